# SPDX-License-Identifier: GPL-3.0-or-later
"""One guided step of a sampler with each saving of ``BoundFlow`` on or off; with all off it is the plain definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...engine.models.bound_flow import State
from ...engine.models.recorded import Recorded
from ...engine.models.transformer import Condition, FlowTransformer


@dataclass(frozen=True)
class Savings:
    """What is saved; ``NAMES`` says what each is called in the tables."""

    keys_once: bool = True
    constant: bool = True
    phases_once: bool = True
    together: bool = True
    recorded: bool = True


NAMES = {
    "keys_once": "image keys and values once a stage",
    "constant": "unconditional cross-attention as a constant",
    "phases_once": "rotary phases once a stage",
    "together": "both sides of guidance in one batch",
    "recorded": "kernels recorded (CUDA graph)",
}


def guided_step(flow: FlowTransformer, x: State, cond: Tensor, savings: Savings) -> Callable[[Tensor, Tensor], Tensor]:
    """A function of tokens [1, L, C] and time [1] that returns both velocities [2, L, C'] for the sample ``x``."""
    zeros = torch.zeros_like(cond)
    kept_phases, kept_image, nothing = flow.phases(x), flow.condition(cond), flow.no_condition()
    kept_zeros = None if savings.constant else flow.condition(zeros)
    kept_pair = None if savings.constant else flow.condition(torch.cat([cond, zeros]))

    def conditions() -> list[Condition]:
        """One for each pass of the network."""
        if savings.together and not savings.constant:
            return [kept_pair if savings.keys_once else flow.condition(torch.cat([cond, zeros]))]
        image = kept_image if savings.keys_once else flow.condition(cond)
        if savings.constant:
            return [image.beside(nothing)] if savings.together else [image, nothing]
        return [image, kept_zeros if savings.keys_once else flow.condition(zeros)]

    def step(tokens: Tensor, t: Tensor) -> Tensor:
        phases = kept_phases if savings.phases_once else flow.phases(x)
        copies = 2 if savings.together and not savings.constant else 1
        tokens, t = tokens.expand(copies, -1, -1), t.expand(copies)
        return torch.cat([flow.velocities(tokens, t, condition, phases, None) for condition in conditions()])

    return Recorded(step) if savings.recorded else step
