# SPDX-License-Identifier: GPL-3.0-or-later
"""Image to 3D, as in the paper's figure: structure, then shape, then material, then the O-Voxels of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..conditioning.image import image_tensor
from ..errors import EspalierError
from ..flow.sampler import FlowEulerGuidanceIntervalSampler, State
from ..sparse.tensor import SparseTensor
from ..weights.configuration import sampler_params
from ..weights.model_set import ModelSet
from .asset import VoxelAsset
from .structure import cascade_cells, occupied_cells

STAGES = ("condition", "structure", "shape", "material", "decode")
MAX_TOKENS = 49152

Report = Callable[[str, int, int], None]


class Keep(Protocol):
    """Receives what a stage produced and the random state after it, for the job folder."""

    def __call__(self, stage: str, arrays: Mapping[str, np.ndarray], random_state: bytes) -> None: ...


@dataclass(frozen=True)
class Settings:
    """What a user may change.

    max_tokens: the budget of latent cells in a 1536 cascade.
    samplers: overrides of the set's own sampler parameters, by stage: ``structure``, ``shape``, ``material``.
    """

    max_tokens: int = MAX_TOKENS
    samplers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class ImageTo3D:
    """Runs one model set."""

    def __init__(self, models: ModelSet) -> None:
        self.models = models
        self.device = models.device

    @torch.inference_mode()
    def run(
        self,
        image: Image.Image,
        seed: int,
        kind: str | None = None,
        settings: Settings = Settings(),
        report: Report = lambda stage, step, of: None,
        keep: Keep = lambda stage, arrays, random_state: None,
    ) -> VoxelAsset:
        """Generate the object in a prepared (square, premultiplied RGB) image.

        All noise comes from one CPU generator in the order structure, low-resolution shape, shape, material.
        ``report(stage, step, of)`` starts each of ``STAGES`` with step 0 and may raise to cancel. Raises
        EspalierError("empty_result") when nothing solid came out, "bad_request" for an unknown kind or setting.
        """
        route = self.models.config.kind(kind)
        noise = torch.Generator().manual_seed(seed)
        finish = partial(self._finish, keep=keep, noise=noise)

        report("condition", 0, 1)
        cond = self.condition(image, {route.structure_cond, route.cond} | ({route.low.cond} if route.low else set()))
        report("condition", 1, 1)

        step = partial(report, "structure")
        step(0, 1)
        z = self.structure_latent(cond[route.structure_cond], noise, settings, step)
        cells = self.structure_cells(z, route.structure_grid)
        finish("structure", latent=z[0], coords=cells[:, 1:])

        step = partial(report, "shape")
        step(0, 1)
        resolution, low = route.resolution, {}
        if route.low:
            coarse = self.shape_latent(route.low.shape, cells, cond[route.low.cond], noise, settings, step)
            low = {"shape_low.coords": _host(coarse.coords[:, 1:]), "shape_low": _host(coarse.feats)}
            cells, resolution = self.refine(coarse, route.low.resolution, resolution, settings.max_tokens)
        shape = self.shape_latent(route.shape, cells, cond[route.cond], noise, settings, step)
        finish("shape", latent=shape.feats, coords=shape.coords[:, 1:])

        step = partial(report, "material")
        step(0, 1)
        material = self.material_latent(route.texture, shape, cond[route.cond], noise, settings, step)
        finish("material", latent=material.feats, coords=material.coords[:, 1:])

        latents = {
            "structure": _host(z[0]),
            "coords": _host(shape.coords[:, 1:]),
            "shape": _host(shape.feats),
            "material": _host(material.feats),
            **low,
        }
        return self.decode(shape, material, resolution, latents, partial(report, "decode"))

    def condition(self, image: Image.Image, sizes: set[int]) -> dict[int, Tensor]:
        """Image tokens [1, M, D] float32 by image size."""
        encoder = self.models.image_encoder()
        return {size: encoder(image_tensor(image, size).to(self.device)) for size in sorted(sizes)}

    def structure_latent(
        self, cond: Tensor, noise: torch.Generator, settings: Settings, report: Callable[[int, int], None]
    ) -> Tensor:
        """Sample the latent [1, C, r, r, r] of the sparse structure."""
        flow = self.models.model("sparse_structure_flow_model")
        side = flow.config.resolution
        start = torch.randn(1, flow.config.in_channels, side, side, side, generator=noise).to(self.device)
        return self._sample("sparse_structure_sampler", "structure", flow, flow, start, cond, settings, report)

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
        report: Callable[[int, int], None],
    ) -> SparseTensor:
        """Sample the shape latent [N, C] on ``cells``, denormalised."""
        flow = self.models.model(flow_name)
        start = torch.randn(len(cells), flow.config.in_channels, generator=noise).to(self.device)
        start = SparseTensor(start, cells)
        sample = self._sample("shape_slat_sampler", "shape", flow, flow, start, cond, settings, report)
        return sample.replace(self._normalisation("shape_slat_normalization").undo(sample.feats))

    def refine(self, coarse: SparseTensor, low_resolution: int, resolution: int, max_tokens: int) -> tuple[Tensor, int]:
        """The cells int32 [N, 4] that the low-resolution shape touches on the fine grid, and that grid's resolution."""
        decoder = self.models.model("shape_slat_decoder")
        fine = decoder.upsample(coarse, decoder.levels)
        return cascade_cells(fine, low_resolution, resolution, 2**decoder.levels, max_tokens)

    def material_latent(
        self,
        flow_name: str,
        shape: SparseTensor,
        cond: Tensor,
        noise: torch.Generator,
        settings: Settings,
        report: Callable[[int, int], None],
    ) -> SparseTensor:
        """Sample the material latent [N, C] on the shape's cells, conditioned on the shape latent; denormalised."""
        flow = self.models.model(flow_name)
        concat = shape.replace(self._normalisation("shape_slat_normalization").apply(shape.feats))
        channels = flow.config.in_channels - concat.feats.shape[1]
        start = shape.replace(torch.randn(len(shape), channels, generator=noise).to(self.device))
        model = partial(flow, concat_cond=concat)
        sample = self._sample("tex_slat_sampler", "material", flow, model, start, cond, settings, report)
        return sample.replace(self._normalisation("tex_slat_normalization").undo(sample.feats))

    def decode(
        self,
        shape: SparseTensor,
        material: SparseTensor,
        resolution: int,
        latents: dict[str, np.ndarray],
        report: Callable[[int, int], None] = lambda step, of: None,
    ) -> VoxelAsset:
        """Decode both latents to O-Voxels with materials. Raises EspalierError("empty_result") without voxels."""
        report(0, 2)
        try:
            voxels = self.models.model("shape_slat_decoder").decode(shape)
        except EspalierError as error:
            raise (_nothing() if error.code == "empty_shape" else error) from error
        report(1, 2)
        attrs = self.models.model("tex_slat_decoder")(material, guide_subs=voxels.subs).feats * 0.5 + 0.5
        report(2, 2)
        return VoxelAsset(
            resolution=resolution,
            coords=_host(voxels.coords[:, 1:]),
            vertices=_host(voxels.vertices),
            intersected=_host(voxels.intersected),
            split_weight=_host(voxels.split_weight),
            attrs=_host(attrs.clamp(0, 1)),
            latents=latents,
        )

    def _sample(
        self,
        sampler: str,
        stage: str,
        flow: nn.Module,
        model: Callable[..., Any],
        start: State,
        cond: Tensor,
        settings: Settings,
        report: Callable[[int, int], None],
    ) -> Any:
        """Run one stage's sampler. The unconditional side sees zeros in place of image tokens."""
        defaults = self.models.config.samplers.get(sampler)
        if defaults is None:
            raise EspalierError("bad_config", f"The model's pipeline.json has no {sampler}. Fetch the model again.")
        try:
            params = sampler_params(defaults.params, settings.samplers.get(stage, {}))
        except (TypeError, ValueError, OverflowError) as error:
            raise EspalierError(
                "bad_request", f"The settings of the {stage} sampler cannot be used: {error}."
            ) from None
        euler = FlowEulerGuidanceIntervalSampler(defaults.sigma_min)
        positive, negative = flow.condition(cond), flow.condition(torch.zeros_like(cond))
        return euler.sample(model, start, positive, negative, params, report)

    def _normalisation(self, name: str) -> Any:
        if name not in self.models.config.normalisations:
            raise EspalierError("bad_config", f"The model's pipeline.json has no {name}. Fetch the model again.")
        return self.models.config.normalisations[name]

    @staticmethod
    def _finish(stage: str, *, keep: Keep, noise: torch.Generator, **tensors: Tensor) -> None:
        keep(stage, {name: _host(tensor) for name, tensor in tensors.items()}, noise.get_state().numpy().tobytes())


def _host(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _nothing() -> EspalierError:
    return EspalierError(
        "empty_result", "The model found no solid object in this image. Try another seed or a clearer picture."
    )
