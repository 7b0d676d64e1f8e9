# SPDX-License-Identifier: GPL-3.0-or-later
"""What both pipelines do: image tokens, sampling with the set's own parameters, the material latent of a shape."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..conditioning.image import image_tensor
from ..errors import EspalierError
from ..flow.sampler import FlowEulerGuidanceIntervalSampler, SamplerParams, State
from ..models.bound_flow import BoundFlow
from ..models.transformer import FlowTransformer
from ..sparse.tensor import SparseTensor
from ..weights.configuration import Normalisation, sampler_params
from ..weights.model_set import ModelSet

MAX_TOKENS = 49152
SAMPLED = ("structure", "shape", "material")
FAST = {"order": 2, "guidance_reuse": 2}
"""What the choice "fast" changes in every sampler: an approximation (docs/pipelines.md says what it costs)."""

Report = Callable[[str, int, int], None]
"""``report(stage, step, of)``: every stage starts with step 0; it may raise to cancel."""

Steps = Callable[[int, int], None]
"""The same within one stage: ``report(step, of)``."""


class Keep(Protocol):
    """Receives what a stage produced and the random state after it, for the job folder."""

    def __call__(self, stage: str, arrays: Mapping[str, np.ndarray], random_state: bytes) -> None: ...


@dataclass(frozen=True)
class Settings:
    """What a user may change.

    max_tokens: the budget of latent cells in a 1536 cascade.
    fast: sample with ``FAST``.
    samplers: overrides of the set's own sampler parameters and of ``FAST``, by stage (``SAMPLED``). Raises
    EspalierError("bad_request") for a stage or parameter that there is not, and for values that cannot be used.
    """

    max_tokens: int = MAX_TOKENS
    samplers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fast: bool = False

    def __post_init__(self) -> None:
        refuse_unknown("sampler", self.samplers, SAMPLED)
        for stage, values in self.samplers.items():
            refuse_unknown(f"setting of the {stage} sampler", values, [entry.name for entry in fields(SamplerParams)])
            try:
                sampler_params(SamplerParams(), values)
            except (TypeError, ValueError, OverflowError) as error:
                raise EspalierError(
                    "bad_request", f"The settings of the {stage} sampler cannot be used: {error}."
                ) from None


def refuse_unknown(what: str, given: Iterable[str], known: Collection[str]) -> None:
    """Raise EspalierError("bad_request") for a name that is not ``known``: mistyped, it would change nothing."""
    for name in given:
        if name not in known:
            raise EspalierError("bad_request", f"There is no {what} “{name}”. Choose one of: {', '.join(known)}.")


DEFAULTS = Settings()


class Stages:
    """The networks of one model set."""

    def __init__(self, models: ModelSet) -> None:
        self.models = models
        self.device = models.device

    def condition(self, image: Image.Image, sizes: set[int]) -> dict[int, Tensor]:
        """Image tokens [1, M, D] float32 by image size."""
        encoder = self.models.image_encoder()
        return {size: encoder(image_tensor(image, size).to(self.device)) for size in sorted(sizes)}

    def material_latent(
        self,
        flow_name: str,
        shape: SparseTensor,
        cond: Tensor,
        noise: torch.Generator,
        settings: Settings,
        report: Steps,
    ) -> SparseTensor:
        """Sample the material latent [N, C] on the shape's cells, conditioned on the shape latent; denormalised."""
        flow = self.models.model(flow_name)
        concat = shape.replace(self.normalisation("shape_slat_normalization").apply(shape.feats))
        channels = flow.config.in_channels - concat.feats.shape[1]
        start = shape.replace(torch.randn(len(shape), channels, generator=noise).to(self.device))
        sample = self.sample("tex_slat_sampler", "material", flow, start, cond, settings, report, concat)
        return sample.replace(self.normalisation("tex_slat_normalization").undo(sample.feats))

    def sample(
        self,
        sampler: str,
        stage: str,
        flow: FlowTransformer,
        start: State,
        cond: Tensor,
        settings: Settings,
        report: Steps,
        concat: SparseTensor | None = None,
    ) -> Any:
        """Run one stage's sampler from the noise ``start``, under image tokens and what else the flow is told."""
        defaults = self.models.config.samplers.get(sampler)
        if defaults is None:
            raise EspalierError("bad_config", f"The model's pipeline.json has no {sampler}. Fetch the model again.")
        overrides = {**(FAST if settings.fast else {}), **settings.samplers.get(stage, {})}
        params = sampler_params(defaults.params, overrides)
        model = BoundFlow(flow, start, cond, concat, params.single_passes())
        euler = FlowEulerGuidanceIntervalSampler(defaults.sigma_min)
        return euler.sample(model, start, model.positive, model.negative, params, report, model.both)

    def normalisation(self, name: str) -> Normalisation:
        """The mean and deviation of that name. Raises EspalierError("bad_config")."""
        if name not in self.models.config.normalisations:
            raise EspalierError("bad_config", f"The model's pipeline.json has no {name}. Fetch the model again.")
        return self.models.config.normalisations[name]


def keep_stage(keep: Keep, noise: torch.Generator, stage: str, **tensors: Tensor) -> None:
    """Hand what a stage produced, and the state of the generator after it, to ``keep``."""
    arrays = {name: on_host(tensor) for name, tensor in tensors.items()}
    keep(stage, arrays, noise.get_state().numpy().tobytes())


def on_host(tensor: Tensor) -> np.ndarray:
    """The tensor as an array of the host."""
    return tensor.detach().cpu().numpy()
