# SPDX-License-Identifier: GPL-3.0-or-later
"""A flow model with everything that the steps of one sampling run share, computed once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ..sparse import SparseTensor
from .recorded import Recorded
from .transformer import Condition, FlowTransformer

State = Tensor | SparseTensor
Side = Callable[[Tensor, Tensor], Tensor]
"""Velocities [1 or 2, L, C'] of tokens [1, L, C] at the time [1] times 1000, under one condition."""

SHORT = {"cuda": 4096, "cpu": 512}
"""Up to this many tokens, by the kind of device, both sides of guidance are computed as one batch, and on CUDA the
kernels are recorded: a single sample leaves the device waiting for work. A table, never free memory or time."""

OFTEN = 8
"""From this many passes with one side alone their kernels are recorded, too. To record them takes a pass of its own
while the device waits; a few passes do not win that back. A fixed number, not a measured one."""


def is_short(tokens: int, device: torch.device) -> bool:
    """Whether a sample of that many tokens goes through the network together with its unconditional side."""
    return tokens <= SHORT.get(device.type, 0)


class BoundFlow:
    """The velocity of one sample for a sampler: ``model(x, t, side)`` with ``positive``, ``negative`` or ``both``.

    ``like`` is a state of the sample: its shape, or its voxels. cond [1, M, D] are condition tokens; the negative side
    is that of tokens that are all zero. ``concat_cond`` is appended to the channels of every state. ``single_passes``:
    how often one side alone will be asked for.
    """

    def __init__(
        self,
        flow: FlowTransformer,
        like: State,
        cond: Tensor,
        concat_cond: SparseTensor | None = None,
        single_passes: int = OFTEN,
    ) -> None:
        self._flow, self._concat = flow, concat_cond
        phases = flow.phases(like)
        tokens = phases.shape[1]
        short = is_short(tokens, phases.device)
        conditioned, without = flow.condition(cond), flow.no_condition()

        def side(condition: Condition, record: bool) -> Side:
            velocities = partial(flow.velocities, cond=condition, phases=phases, mask=None)
            return Recorded(velocities) if record else velocities

        often = short and single_passes >= OFTEN
        self.positive, self.negative = side(conditioned, often), side(without, often)
        self.both = side(conditioned.beside(without), True) if short else None
        """Both sides at once, where the sample is short; None where it is not."""

    def __call__(self, x: State, t: Tensor, side: Side) -> State | tuple[State, State]:
        """Velocity of the state x; for ``both`` the conditional and the unconditional one."""
        tokens = self._flow.tokens(x)
        if self._concat is not None:
            tokens = torch.cat([tokens, self._flow.tokens(self._concat)], -1)
        states = [self._flow.arranged(part, x) for part in side(tokens, t).split(1)]
        return states[0] if len(states) == 1 else (states[0], states[1])
