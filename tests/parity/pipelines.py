# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs of tiny networks with the reference's random numbers (case 14)."""

import json
import re
from pathlib import Path

import numpy as np
import torch
from espalier.engine.conditioning.image import prepare_image
from espalier.engine.ovoxel import dual_grid_to_mesh, sample_sparse
from espalier.engine.pipelines.asset import VoxelAsset
from espalier.engine.pipelines.image_to_3d import ImageTo3D
from espalier.engine.weights.model_set import ModelSet, load_model_set
from safetensors.torch import save_file

from .case import Case
from .runners import compares


def write_set(case: Case, folder: Path) -> ModelSet:
    """Lay the case's networks out as a released model set; networks left out of the selection are left out."""
    (folder / "ckpts").mkdir()
    weights: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in case.weights.items():
        model, key = name.split(".", 1)
        weights.setdefault(model, {})[key] = tensor.contiguous()
    encoder = {key.replace("model.layer.", "layer."): value for key, value in weights.pop("image_cond_model").items()}
    save_file(encoder, folder / "ckpts" / "model.safetensors")
    (folder / "ckpts" / "config.json").write_text(json.dumps(case.about["dino_config"]))
    for name, tensors in weights.items():
        model = case.about["models"][name]
        save_file(tensors, folder / "ckpts" / f"{name}.safetensors")
        (folder / "ckpts" / f"{name}.json").write_text(json.dumps({"name": model["class"], "args": model["args"]}))
    samplers = {
        key: {
            "name": "FlowEulerGuidanceIntervalSampler",
            "args": {"sigma_min": case.about["sigma_min"]},
            "params": case.about["sampler_params"][short],
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
        "shape_slat_normalization": case.about["shape_slat_normalization"],
        "tex_slat_normalization": case.about["tex_slat_normalization"],
        "image_cond_model": {"name": "DinoV3FeatureExtractor", "args": {"model_name": "ckpts"}},
        "default_pipeline_type": "512",
    }
    (folder / "pipeline.json").write_text(json.dumps({"name": "Trellis2ImageTo3DPipeline", "args": args}))
    return load_model_set(folder, precision="float32")


class RowTable:
    """Compares a run with the recorded one voxel by voxel, as the case allows a few to differ."""

    def __init__(self, case: Case) -> None:
        given = case.about["tolerance"]
        self.case = case
        self.mismatch = float(re.search(r"([\d.]+)% mismatching rows", given["coords"])[1]) / 100
        self.tolerance = given["feats"]

    def match(self, name: str, ours: np.ndarray) -> tuple[list[int], list[int]]:
        """Compare voxel sets: the error is the share of voxels in one set only. Returns the rows of those in both."""
        theirs = self.case.recorded(name)[:, -3:].tolist()
        rows = {tuple(c): row for row, c in enumerate(ours.tolist())}
        common = [row for row, c in enumerate(theirs) if tuple(c) in rows]
        missed = len(theirs) + len(rows) - 2 * len(common)
        in_order = len(rows) == len(ours) and (missed or ours.tolist() == theirs)
        share = missed / max(len(theirs), 1) if in_order else float("nan")
        self.case.record(name, share, self.mismatch, "the rows are in another order")
        return [rows[tuple(theirs[row])] for row in common], common

    def close(self, name: str, ours: np.ndarray, rows: tuple[list[int], list[int]], clamp: bool = False) -> None:
        """Compare values on the matched voxels."""
        expected = self.case.recorded(name)[rows[1]]
        actual = torch.from_numpy(np.ascontiguousarray(ours))[rows[0]]
        self.case.close(name, actual, expected.clamp(0, 1) if clamp else expected, **self.tolerance)


def compare_features(case: Case, cond: dict[int, torch.Tensor]) -> None:
    for size, tokens in cond.items():
        for name, part in (
            (f"cond_{size}", tokens),
            (f"cond_{size}.first64", tokens[:, :64]),
            (f"cond_{size}.last64", tokens[:, -64:]),
        ):
            if name in case:
                case.close(name, part, **case.about["tolerance"]["feats"])


def compare_surface(case: Case, kind: str, asset: VoxelAsset, table: RowTable, rows: tuple) -> None:
    """Vertices are one a voxel; triangles are compared as sets of voxel triples, whatever row a voxel has."""
    vertices, faces = dual_grid_to_mesh(
        *(torch.from_numpy(part) for part in (asset.coords, asset.vertices, asset.intersected, asset.split_weight)),
        asset.resolution,
    )
    table.close(f"{kind}.vertices", vertices.numpy(), rows)
    recorded_coords = case.recorded(f"{kind}.voxel_coords")
    ours = {tuple(map(tuple, t)) for t in asset.coords[faces.numpy()].tolist()}
    theirs = {tuple(map(tuple, t)) for t in recorded_coords[case.recorded(f"{kind}.faces").long()].tolist()}
    turned = {t[i:] + t[:i] for t in ours for i in range(3)}
    missed = len(theirs - turned) + max(len(ours) - len(theirs), 0)
    case.record(f"{kind}.faces", missed / max(len(theirs), 1), table.mismatch)


def compare_image_run(case: Case, pipeline: ImageTo3D, image, kind: str) -> None:
    table, kept = RowTable(case), {}
    asset = pipeline.run(
        image, case.about["seed"], kind, keep=lambda stage, arrays, state: kept.update({stage: (arrays, state)})
    )
    case.agree(f"{kind}.resolution", asset.resolution, case.recorded(f"{kind}.resolution").item())
    table.match(f"{kind}.ss_coords", kept["structure"][0]["coords"])
    for name, latent in (("shape_slat", "shape"), ("tex_slat", "material")):
        cells = table.match(f"{kind}.{name}.coords", asset.latents["coords"])
        table.close(f"{kind}.{name}.feats", asset.latents[latent], cells)
    voxels = table.match(f"{kind}.voxel_coords", asset.coords)
    table.close(f"{kind}.voxel_attrs", asset.attrs, voxels, clamp=True)
    compare_surface(case, kind, asset, table, voxels)
    if f"{kind}.vertex_attrs" in case:
        looked_up = sample_sparse(
            case.recorded(f"{kind}.voxel_coords"),
            case.recorded(f"{kind}.voxel_attrs"),
            case.recorded(f"{kind}.vertices"),
            asset.resolution,
        )
        case.close(f"{kind}.vertex_attrs", looked_up, **table.tolerance)
    case.agree(f"{kind}: random states kept", len({state for _, state in kept.values()}), 3)


@compares("both pipelines end to end", "pipeline.run(image.png")
def pipelines(case: Case) -> None:
    pipeline = ImageTo3D(write_set(case, case.scratch))
    image = prepare_image(case.folder / "image.png").image
    sizes = {int(size) for name in case.names if name in case for size in re.findall(r"^cond_(\d+)", name)}
    compare_features(case, pipeline.condition(image, sizes))
    for name in case.names:
        if name.endswith(".resolution") and name in case:
            compare_image_run(case, pipeline, image, name.removesuffix(".resolution"))
