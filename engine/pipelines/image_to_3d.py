# SPDX-License-Identifier: GPL-3.0-or-later
"""Image to 3D, as in the paper's figure: structure, then shape, then material, then the O-Voxels of both."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import EspalierError
from ..models.shape_vae import ShapeOutput
from ..sparse.tensor import SparseTensor
from .asset import VoxelAsset
from .stages import DEFAULTS, Keep, Report, Settings, Stages, Steps, keep_stage, on_host
from .structure import cascade_cells, occupied_cells

STAGES = ("condition", "structure", "shape", "material", "decode")


class Watcher(Protocol):
    """Who wants to see what there is before the end."""

    def structure(self, cells: np.ndarray, grid: int) -> None:
        """The occupied cells int32 [N, 3] of a ``grid``^3 grid are known."""

    def shape(self, asset: VoxelAsset) -> None:
        """The O-Voxels are known; their materials are not."""


class ImageTo3D(Stages):
    """Generates objects with one model set."""

    @torch.inference_mode()
    def run(
        self,
        image: Image.Image,
        seed: int,
        kind: str | None = None,
        settings: Settings = DEFAULTS,
        report: Report = lambda stage, step, of: None,
        keep: Keep = lambda stage, arrays, random_state: None,
        watcher: Watcher | None = None,
    ) -> VoxelAsset:
        """Generate the object in a prepared (square, premultiplied RGB) image.

        All noise comes from one CPU generator in the order structure, low-resolution shape, shape, material.
        ``report(stage, step, of)`` starts each of ``STAGES`` with step 0 and may raise to cancel. Raises
        EspalierError("empty_result") when nothing solid came out, "bad_request" for an unknown kind or setting.
        """
        route = self.models.config.kind(kind)
        noise = torch.Generator().manual_seed(seed)
        finish = partial(keep_stage, keep, noise)

        report("condition", 0, 1)
        cond = self.condition(image, {route.structure_cond, route.cond} | ({route.low.cond} if route.low else set()))
        report("condition", 1, 1)

        step = partial(report, "structure")
        step(0, 1)
        z = self.structure_latent(cond[route.structure_cond], noise, settings, step)
        cells = self.structure_cells(z, route.structure_grid)
        finish("structure", latent=z[0], coords=cells[:, 1:])
        if watcher is not None:
            watcher.structure(on_host(cells[:, 1:]), route.structure_grid)

        step = partial(report, "shape")
        step(0, 1)
        resolution, low = route.resolution, {}
        if route.low:
            coarse = self.shape_latent(route.low.shape, cells, cond[route.low.cond], noise, settings, step)
            low = {"shape_low.coords": on_host(coarse.coords[:, 1:]), "shape_low": on_host(coarse.feats)}
            cells, resolution = self.refine(coarse, route.low.resolution, resolution, settings.max_tokens)
        shape = self.shape_latent(route.shape, cells, cond[route.cond], noise, settings, step)
        finish("shape", latent=shape.feats, coords=shape.coords[:, 1:])
        voxels = self.decode_shape(shape)
        if watcher is not None:
            watcher.shape(_asset(voxels, resolution))

        step = partial(report, "material")
        step(0, 1)
        material = self.material_latent(route.texture, shape, cond[route.cond], noise, settings, step)
        finish("material", latent=material.feats, coords=material.coords[:, 1:])

        latents = {
            "structure": on_host(z[0]),
            "coords": on_host(shape.coords[:, 1:]),
            "shape": on_host(shape.feats),
            "material": on_host(material.feats),
            **low,
        }
        return self.decode(voxels, material, resolution, latents, partial(report, "decode"))

    def structure_latent(self, cond: Tensor, noise: torch.Generator, settings: Settings, report: Steps) -> Tensor:
        """Sample the latent [1, C, r, r, r] of the sparse structure."""
        flow = self.models.model("sparse_structure_flow_model")
        side = flow.config.resolution
        start = torch.randn(1, flow.config.in_channels, side, side, side, generator=noise).to(self.device)
        return self.sample("sparse_structure_sampler", "structure", flow, start, cond, settings, report)

    def structure_cells(self, z: Tensor, grid: int) -> Tensor:
        """Occupied cells int32 [N, 4] of a ``grid``^3 grid. Raises EspalierError("empty_result") when there is none."""
        cells = occupied_cells(self.models.model("sparse_structure_decoder")(z), grid)
        if len(cells) == 0:
            raise _nothing()
        return cells

    def shape_latent(
        self,
        flow_name: str,
        cells: Tensor,
        cond: Tensor,
        noise: torch.Generator,
        settings: Settings,
        report: Steps,
    ) -> SparseTensor:
        """Sample the shape latent [N, C] on ``cells``, denormalised."""
        flow = self.models.model(flow_name)
        start = torch.randn(len(cells), flow.config.in_channels, generator=noise).to(self.device)
        start = SparseTensor(start, cells)
        sample = self.sample("shape_slat_sampler", "shape", flow, start, cond, settings, report)
        return sample.replace(self.normalisation("shape_slat_normalization").undo(sample.feats))

    def refine(self, coarse: SparseTensor, low_resolution: int, resolution: int, max_tokens: int) -> tuple[Tensor, int]:
        """The cells int32 [N, 4] that the low-resolution shape touches on the fine grid, and that grid's resolution."""
        decoder = self.models.model("shape_slat_decoder")
        fine = decoder.upsample(coarse, decoder.levels)
        return cascade_cells(fine, low_resolution, resolution, 2**decoder.levels, max_tokens)

    def decode_shape(self, shape: SparseTensor) -> ShapeOutput:
        """Decode the shape latent to O-Voxels. Raises EspalierError("empty_result") without voxels."""
        try:
            return self.models.model("shape_slat_decoder").decode(shape)
        except EspalierError as error:
            raise (_nothing() if error.code == "empty_shape" else error) from error

    def decode(
        self,
        voxels: ShapeOutput,
        material: SparseTensor,
        resolution: int,
        latents: dict[str, np.ndarray],
        report: Steps = lambda step, of: None,
    ) -> VoxelAsset:
        """Decode the material latent on the O-Voxels of the shape."""
        report(0, 1)
        attrs = self.models.model("tex_slat_decoder")(material, guide_subs=voxels.subs).feats * 0.5 + 0.5
        report(1, 1)
        return _asset(voxels, resolution, on_host(attrs.clamp(0, 1)), latents)


def _asset(
    voxels: ShapeOutput,
    resolution: int,
    attrs: np.ndarray | None = None,
    latents: dict[str, np.ndarray] | None = None,
) -> VoxelAsset:
    """The O-Voxels on the host; without ``attrs`` yet, of no material."""
    return VoxelAsset(
        resolution=resolution,
        coords=on_host(voxels.coords[:, 1:]),
        vertices=on_host(voxels.vertices),
        intersected=on_host(voxels.intersected),
        split_weight=on_host(voxels.split_weight),
        attrs=np.zeros((len(voxels.coords), 6), np.float32) if attrs is None else attrs,
        latents=latents or {},
    )


def _nothing() -> EspalierError:
    return EspalierError(
        "empty_result", "The model found no solid object in this image. Try another seed or a clearer picture."
    )
