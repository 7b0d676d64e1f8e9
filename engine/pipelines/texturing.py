# SPDX-License-Identifier: GPL-3.0-or-later
"""Texturing of a given shape: O-Voxels, their latent, a material latent for the image, materials of the same voxels."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import EspalierError
from ..kernels.host_arrays import on_best_device
from ..mesh.unwrap.cluster import cluster_vertices
from ..models.shape_vae import shape_features
from ..ovoxel import DualGrid, mesh_to_dual_grid
from ..sparse.tensor import SparseTensor
from .asset import VoxelAsset
from .stages import DEFAULTS, Keep, Report, Settings, Stages, keep_stage, on_host

STAGES = ("condition", "encode", "material", "decode")

DENSE_FACES = 2_000_000
VERTICES_A_VOXEL = 4
"""A mesh of more than ``DENSE_FACES`` faces keeps at most this many vertices along the side of a voxel."""


class Texturing(Stages):
    """Textures meshes with one model set."""

    @torch.inference_mode()
    def run(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        image: Image.Image,
        seed: int,
        kind: str | None = None,
        settings: Settings = DEFAULTS,
        report: Report = lambda stage, step, of: None,
        keep: Keep = lambda stage, arrays, random_state: None,
    ) -> VoxelAsset:
        """Give the surface (vertices float32 [V, 3] in the unit cube, faces [F, 3]) the materials of a prepared image.

        models.md 8.2. The material's noise is the only draw from the seed's CPU generator. The result has the surface's
        own voxels, lexicographic, and no split weights. ``report(stage, step, of)`` starts each of ``STAGES`` with step
        0 and may raise to cancel. Raises EspalierError("bad_input") for a surface that leaves no voxel, "bad_request"
        for an unknown kind or setting, or a set that lacks the networks for texturing.
        """
        route = self.models.config.texturing_kind(kind)
        noise = torch.Generator().manual_seed(seed)

        report("condition", 0, 1)
        cond = self.condition(image, {route.cond})[route.cond]
        report("condition", 1, 1)

        step = partial(report, "encode")
        step(0, 2)
        grid = voxelise(vertices, faces, route.resolution)
        step(1, 2)
        shape = self.encode(grid)
        step(2, 2)
        keep_stage(keep, noise, "shape", latent=shape.feats, coords=shape.coords[:, 1:])

        step = partial(report, "material")
        step(0, 1)
        material = self.material_latent(route.texture, shape, cond, noise, settings, step)
        keep_stage(keep, noise, "material", latent=material.feats, coords=material.coords[:, 1:])

        report("decode", 0, 1)
        attrs = self.decode(material)
        report("decode", 1, 1)
        return VoxelAsset(
            resolution=route.resolution,
            coords=on_host(grid.coords),
            vertices=on_host(grid.local),
            intersected=on_host(grid.intersected),
            split_weight=None,
            attrs=on_host(attrs.clamp(0, 1)),
            latents={
                "coords": on_host(shape.coords[:, 1:]),
                "shape": on_host(shape.feats),
                "material": on_host(material.feats),
            },
        )

    def encode(self, grid: DualGrid) -> SparseTensor:
        """The shape latent [N, C], denormalised, which remembers the voxels it was made of."""
        coords = torch.nn.functional.pad(grid.coords, (1, 0)).to(self.device)
        feats = shape_features(grid.local, grid.intersected).to(self.device)
        return self.models.model("shape_slat_encoder")(SparseTensor(feats, coords))

    def decode(self, material: SparseTensor) -> Tensor:
        """Attributes [M, 6], unclamped, of the voxels that the encoder saw, in their order."""
        return self.models.model("tex_slat_decoder")(material).feats * 0.5 + 0.5


def voxelise(vertices: np.ndarray, faces: np.ndarray, resolution: int) -> DualGrid:
    """The O-Voxels of a surface in the unit cube. Raises EspalierError("bad_input") when it leaves none.

    A mesh of millions of faces is first thinned to what the grid can tell apart, so that it takes seconds, not minutes.
    """
    if len(faces) > DENSE_FACES:
        vertices, faces = cluster_vertices(vertices, faces, VERTICES_A_VOXEL * resolution)

    def convert(device: torch.device) -> DualGrid:
        return mesh_to_dual_grid(torch.from_numpy(vertices).to(device), torch.from_numpy(faces).to(device), resolution)

    grid = on_best_device(convert) if len(faces) else None
    if grid is None or len(grid.coords) == 0:
        raise EspalierError(
            "bad_input", "The mesh has no area to be textured: all its triangles are thin as a line. Check the mesh."
        )
    return grid
