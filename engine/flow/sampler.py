# SPDX-License-Identifier: GPL-3.0-or-later
"""Integration of a flow from noise to sample, with guidance inside an interval of times (spec/models.md 7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from ..sparse.tensor import SparseTensor
from .guidance import dense_std, guide, rescale, sparse_std
from .schedule import time_sequence

State = Tensor | SparseTensor
Velocity = Callable[[Any, Tensor, Any], Any]
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class SamplerParams:
    """Settings of one sampling run; the names are those of the released configuration.

    ``guidance_interval`` holds times in [0, 1], both ends included; outside it only the conditional flow is evaluated.
    Two are ours, approximations that are off by default: ``order`` 2 steps with the previous velocity, too
    (Adams-Bashforth), for as many evaluations; ``guidance_reuse`` n evaluates the unconditional flow only at every n-th
    guided step and takes what guidance added from there.
    """

    steps: int = 12
    guidance_strength: float = 1.0
    guidance_rescale: float = 0.0
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    rescale_t: float = 1.0
    order: int = 1
    guidance_reuse: int = 1

    def with_overrides(self, overrides: dict[str, Any]) -> SamplerParams:
        """Return a copy with the given fields replaced. Raises TypeError on a name that is no field."""
        return replace(self, **overrides)

    def strength(self, t: float) -> float:
        """The strength of guidance at the time ``t``; with 0 and 1 one side alone is evaluated."""
        low, high = self.guidance_interval
        return self.guidance_strength if low <= t <= high else 1.0

    def single_passes(self) -> int:
        """How many steps evaluate one side alone, in a run that can have both at once."""
        times = time_sequence(self.steps, self.rescale_t).tolist()[:-1]
        guided = sum(self.strength(t) not in (0, 1) for t in times)
        return self.steps - len(range(0, guided, self.guidance_reuse))


@dataclass(frozen=True)
class Step:
    """The state after one step: ``sample`` is x_t at the next time, ``clean`` the flow's estimate of x_0."""

    sample: State
    clean: State


class FlowEulerGuidanceIntervalSampler:
    """Integrates ``dx/dt = v(x, t, cond)`` from t = 1 to t = 0.

    The path is ``x_t = (1 - t) x_0 + (sigma + (1 - sigma) t) noise`` with sigma = ``sigma_min``, so that the velocity
    predicts ``(1 - sigma) noise - x_0``. Strength 1 is plain Euler, an interval of [0, 1] plain guidance.
    """

    def __init__(self, sigma_min: float = 1e-5) -> None:
        self.sigma_min = sigma_min

    @torch.no_grad()
    def sample(
        self,
        model: Velocity,
        noise: State,
        cond: Any,
        neg_cond: Any,
        params: SamplerParams,
        report: Report = lambda step, total: None,
        both: Any = None,
    ) -> State:
        """Return the sample for ``noise`` (dense [B, C, ...] or sparse, float32).

        ``model(x, t, cond)`` gets t as float32 [B] times 1000. ``report(step, steps)`` follows every step and may raise
        to cancel. With ``both`` given, ``model(x, t, both)`` returns the velocities for cond and for neg_cond.
        """
        state, pace = noise, _Pace(_values(noise).device)
        for index, step in enumerate(self.walk(model, noise, cond, neg_cond, params, both), start=1):
            state = step.sample
            pace.wait()
            report(index, params.steps)
        return state

    @torch.no_grad()
    def walk(
        self, model: Velocity, noise: State, cond: Any, neg_cond: Any, params: SamplerParams, both: Any = None
    ) -> Iterator[Step]:
        """Yield the state after each step, ``x_t' = x_t - (t - t') v`` for order 1. No step waits for the device."""
        times = time_sequence(params.steps, params.rescale_t).tolist()
        state, guided, difference, before = noise, 0, None, None
        _batch_size(noise)  # sparse states count their rows once, which waits
        for t, t_next in pairwise(times):
            strength = params.strength(t)
            if strength in (0, 1):
                v = _values(model(state, self._times(state, t), cond if strength else neg_cond))
            else:
                kept = difference if guided % params.guidance_reuse else None
                positive, negative = self._sides(model, state, t, cond, neg_cond, both, kept)
                guided += 1
                if params.guidance_reuse > 1:
                    difference = positive - negative
                v = self._guided(state, t, positive, negative, params)
            x, length = _values(state), t - t_next
            clean = _like(state, self._clean(x, v, t))
            slope = v
            if params.order == 2 and before is not None and before[2] == strength:
                # Where guidance sets in or ends the velocity jumps: there the previous one says nothing.
                share = length / (2 * before[1])
                slope = (1 + share) * v - share * before[0]
            before = (v, length, strength)
            state = _like(state, x - length * slope)
            yield Step(state, clean)

    def _times(self, state: State, t: float) -> Tensor:
        return torch.full((_batch_size(state),), 1000 * t, dtype=torch.float32, device=_values(state).device)

    def _sides(
        self, model: Velocity, state: State, t: float, cond: Any, neg_cond: Any, both: Any, difference: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Velocities with and without condition; with a ``difference`` only the first is evaluated."""
        times = self._times(state, t)
        if difference is None and both is not None:
            positive, negative = model(state, times, both)
            return _values(positive), _values(negative)
        positive = _values(model(state, times, cond))
        negative = _values(model(state, times, neg_cond)) if difference is None else positive - difference
        return positive, negative

    def _guided(self, state: State, t: float, positive: Tensor, negative: Tensor, params: SamplerParams) -> Tensor:
        v = guide(positive, negative, params.guidance_strength)
        if params.guidance_rescale == 0:
            return v
        x = _values(state)
        clean_positive, clean = self._clean(x, positive, t), self._clean(x, v, t)
        clean = rescale(clean, _std(state, clean_positive), _std(state, clean), params.guidance_rescale)
        return ((1 - self.sigma_min) * x - clean) / self._noise_level(t)

    def _noise_level(self, t: float) -> float:
        return self.sigma_min + (1 - self.sigma_min) * t

    def _clean(self, x: Tensor, v: Tensor, t: float) -> Tensor:
        """The clean sample that velocity ``v`` at x_t points to."""
        return (1 - self.sigma_min) * x - self._noise_level(t) * v


class _Pace:
    """On CUDA keeps the host at most one step ahead of the device, so that progress is true and a cancel prompt."""

    def __init__(self, device: torch.device) -> None:
        self._on_cuda = device.type == "cuda"
        self._before: torch.cuda.Event | None = None

    def wait(self) -> None:
        """To be called after each step: waits until the device has done the step before it."""
        if not self._on_cuda:
            return
        if self._before is not None:
            self._before.synchronize()
        self._before = torch.cuda.Event(blocking=True)
        self._before.record()


def _values(state: State) -> Tensor:
    return state.feats if isinstance(state, SparseTensor) else state


def _like(state: State, values: Tensor) -> State:
    return state.replace(values) if isinstance(state, SparseTensor) else values


def _batch_size(state: State) -> int:
    return state.batch_size if isinstance(state, SparseTensor) else state.shape[0]


def _std(state: State, values: Tensor) -> Tensor:
    return sparse_std(values, state.layout) if isinstance(state, SparseTensor) else dense_std(values)
