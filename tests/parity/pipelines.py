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
from espalier.engine.pipelines.stages import DEFAULTS
from espalier.engine.pipelines.texturing import Texturing, voxelise
from espalier.engine.sparse import SparseTensor
from espalier.engine.weights.model_set import ModelSet, load_model_set
from safetensors.torch import save_file

from .case import Case
from .runners import compares
from .surfaces import as_recorded

TEXTURING = "texturing, small"
"""The texturing of the case runs at a resolution that no released kind has: the set gets a kind for it."""


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
        "pipeline_types": {
            TEXTURING: {
                "cond": 512,
                "structure_grid": 32,
                "shape": "shape_slat_flow_model_512",
                "texture": "tex_slat_flow_model_512",
                "resolution": case.about["texturing_resolution"],
            }
        },
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

    def match(self, name: str, ours: np.ndarray, ordered: bool = True) -> tuple[list[int], list[int]]:
        """Compare voxel sets: the error is the share of voxels in one set only. Returns the rows of those in both."""
        theirs = self.case.recorded(name)[:, -3:].tolist()
        rows = {tuple(c): row for row, c in enumerate(ours.tolist())}
        common = [row for row, c in enumerate(theirs) if tuple(c) in rows]
        missed = len(theirs) + len(rows) - 2 * len(common)
        in_order = len(rows) == len(ours) and (missed or not ordered or ours.tolist() == theirs)
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


def encoded(texturing: Texturing, vertices: np.ndarray, faces: np.ndarray, resolution: int) -> SparseTensor:
    return texturing.encode(voxelise(vertices, faces, resolution))


def compare_encoding(case: Case, shape: SparseTensor, moved: list[SparseTensor]) -> None:
    """Dual vertices on smooth surfaces are poorly determined: what moving the mesh by one rounding step does to the
    latent is allowed on top of the tolerance, three times (the recorded solve is in float32, ours in float64).
    """
    given = case.about["tolerance"]["feats"]
    expected = case.recorded("texturing.shape_slat.feats")
    same = [other.feats for other in moved if torch.equal(other.coords, shape.coords)]
    loose = max((feats - shape.feats).abs().max().item() for feats in same)
    allowed = given["atol"] + given["rtol"] * expected.abs().double() + 3 * loose
    case.equal("texturing.shape_slat.coords", shape.coords)
    case.close("texturing.shape_slat.feats", shape.feats, atol=allowed)


def compare_texturing(case: Case, models: ModelSet, image) -> None:
    """Stage by stage, each from the recorded result of the one before."""
    table, texturing = RowTable(case), Texturing(models)
    route = models.config.texturing_kind(TEXTURING)
    vertices = as_recorded(case.input("texturing.in.vertices")).float().numpy()
    faces = case.input("texturing.in.faces").numpy()
    shape = encoded(texturing, vertices, faces, route.resolution)
    steps = [np.float32(1 + share) for share in (-2e-7, -1e-7, 1.2e-7, 2.4e-7)]
    compare_encoding(case, shape, [encoded(texturing, vertices * step, faces, route.resolution) for step in steps])

    cond = texturing.condition(image, {route.cond})[route.cond]
    noise = torch.Generator().manual_seed(case.about["seed"])
    shape = shape.replace(case.recorded("texturing.shape_slat.feats"))
    material = texturing.material_latent(route.texture, shape, cond, noise, DEFAULTS, lambda step, of: None)
    case.equal("texturing.tex_slat.coords", material.coords)
    case.close("texturing.tex_slat.feats", material.feats, **table.tolerance)

    attrs = texturing.decode(material.replace(case.recorded("texturing.tex_slat.feats")))
    voxels = material.sites
    while voxels.finer is not None:
        voxels = voxels.finer.fine
    # The reference keeps the voxels in the order in which its converter met them, ours are sorted.
    rows = table.match("texturing.pbr_voxel.coords", voxels.coords[:, 1:].numpy(), ordered=False)
    table.close("texturing.pbr_voxel.feats", attrs.numpy(), rows)


@compares("both pipelines end to end", "pipeline.run(image.png")
def pipelines(case: Case) -> None:
    models = write_set(case, case.scratch)
    pipeline = ImageTo3D(models)
    image = prepare_image(case.folder / "image.png").image
    sizes = {int(size) for name in case.names if name in case for size in re.findall(r"^cond_(\d+)", name)}
    compare_features(case, pipeline.condition(image, sizes))
    for name in case.names:
        if name.endswith(".resolution") and name in case:
            compare_image_run(case, pipeline, image, name.removesuffix(".resolution"))
    if "texturing.in.vertices" in case:
        compare_texturing(case, models, image)
