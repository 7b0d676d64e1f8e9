# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline's glue (case 12) and a whole tiny run with the reference's random numbers (case 14)."""

import json

import numpy as np
import pytest
import torch
from espalier.engine.conditioning.image import prepare_image
from espalier.engine.pipelines.image_to_3d import ImageTo3D
from espalier.engine.pipelines.structure import cascade_cells, occupied_cells
from espalier.engine.weights.configuration import Normalisation
from espalier.engine.weights.model_set import load_model_set
from safetensors.torch import save_file


def test_cascade_cells_and_token_budget_equal_the_reference(golden):
    case = golden("12_cascade")
    assert case.case["entries"]
    for entry in case.case["entries"]:
        key = entry["key"]
        cells, resolution = cascade_cells(
            case.io[f"{key}.hr_coords"], entry["lr_resolution"], entry["resolution"], 16, entry["max_num_tokens"]
        )
        assert resolution == entry["result_resolution"], key
        assert torch.equal(cells, case.io[f"{key}.coords"]), key
        noise = torch.Generator().manual_seed(case.case["seed"])
        torch.randn(1, 4, generator=noise)
        start = torch.randn(len(cells), 4, generator=noise)
        assert torch.equal(start, case.io[f"{key}.noise"]), key
        norm = Normalisation(torch.tensor([0.1, -0.2, 0.3, 0.0]), torch.tensor([1.5, 0.5, 2.0, 1.0]))
        assert torch.equal(norm.undo(start), case.io[f"{key}.out_feats"]), key


def test_occupied_cells_equal_the_reference(golden):
    case = golden("12_cascade")
    for grid in (16, 8, 4):
        assert torch.equal(occupied_cells(case.io["ss.logits"], grid), case.io[f"ss.coords_at_{grid}"])


def write_golden_set(case, folder):
    """Lay the case's networks out as a released model set; networks left out of the selection are left out."""
    (folder / "ckpts").mkdir()
    weights = {}
    for name, tensor in case.weights.items():
        model, key = name.split(".", 1)
        weights.setdefault(model, {})[key] = tensor.contiguous()
    encoder = {key.replace("model.layer.", "layer."): value for key, value in weights.pop("image_cond_model").items()}
    save_file(encoder, folder / "ckpts" / "model.safetensors")
    (folder / "ckpts" / "config.json").write_text(json.dumps(case.case["dino_config"]))
    for name, tensors in weights.items():
        model = case.case["models"][name]
        save_file(tensors, folder / "ckpts" / f"{name}.safetensors")
        (folder / "ckpts" / f"{name}.json").write_text(json.dumps({"name": model["class"], "args": model["args"]}))
    samplers = {
        key: {
            "name": "FlowEulerGuidanceIntervalSampler",
            "args": {"sigma_min": case.case["sigma_min"]},
            "params": case.case["sampler_params"][short],
        }
        for key, short in (
            ("sparse_structure_sampler", "ss"),
            ("shape_slat_sampler", "shape"),
            ("tex_slat_sampler", "tex"),
        )
    }
    args = {
        "models": {name: f"ckpts/{name}" for name in weights},
        **samplers,
        "shape_slat_normalization": case.case["shape_slat_normalization"],
        "tex_slat_normalization": case.case["tex_slat_normalization"],
        "image_cond_model": {"name": "DinoV3FeatureExtractor", "args": {"model_name": "ckpts"}},
        "default_pipeline_type": "512",
    }
    (folder / "pipeline.json").write_text(json.dumps({"name": "Trellis2ImageTo3DPipeline", "args": args}))
    return load_model_set(folder, precision="float32")


def close(actual, expected, atol=2e-4):
    np.testing.assert_allclose(np.asarray(actual), expected.numpy(), rtol=1e-3, atol=atol)


def world(asset):
    return (asset.coords + asset.vertices) / asset.resolution - 0.5


@pytest.mark.parametrize("kind", ["512", "1024_cascade"])
def test_a_whole_run_equals_the_reference(golden, tmp_path, kind):
    case = golden("14_pipeline_tiny")
    if f"{kind}.resolution" not in case.io:
        pytest.skip(f"{kind} is not in this selection of case 14")
    models = write_golden_set(case, tmp_path)
    pipeline = ImageTo3D(models)
    image = prepare_image(case.folder / "image.png").image
    close(pipeline.condition(image, {512})[512].detach(), case.io["cond_512"])
    kept = {}
    asset = pipeline.run(
        image, case.case["seed"], kind, keep=lambda stage, arrays, state: kept.update({stage: (arrays, state)})
    )
    assert asset.resolution == case.io[f"{kind}.resolution"].item()
    assert np.array_equal(kept["structure"][0]["coords"], case.io[f"{kind}.ss_coords"][:, 1:].numpy())
    assert np.array_equal(asset.latents["coords"], case.io[f"{kind}.shape_slat.coords"][:, 1:].numpy())
    close(asset.latents["shape"], case.io[f"{kind}.shape_slat.feats"])
    close(asset.latents["material"], case.io[f"{kind}.tex_slat.feats"])
    assert np.array_equal(asset.coords, case.io[f"{kind}.voxel_coords"].numpy())
    close(world(asset), case.io[f"{kind}.vertices"], atol=1e-5)
    close(asset.attrs, case.io[f"{kind}.voxel_attrs"].clamp(0, 1), atol=1e-4)
    assert len({state for _, state in kept.values()}) == 3
