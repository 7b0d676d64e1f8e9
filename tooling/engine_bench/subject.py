# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of one flow stage measure: a random network, a random sample of so many tokens, a random image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...engine.flow.sampler import SamplerParams
from ...engine.models.bound_flow import BoundFlow, State
from ...engine.models.transformer import FlowTransformer
from ...engine.sparse import SparseTensor
from ...engine.weights.released import NETWORKS
from .cascade import surface_cells
from .networks import random_network


@dataclass(frozen=True)
class Subject:
    """A flow, the noise that it starts from, image tokens [1, M, D], and the shape latent that material is given."""

    flow: FlowTransformer
    noise: State
    cond: Tensor
    concat: SparseTensor | None

    def bound(self, params: SamplerParams | None = None) -> BoundFlow:
        """The flow bound to sample and image anew, as a stage begins; without ``params`` for any number of steps."""
        passes = () if params is None else (params.single_passes(),)
        return BoundFlow(self.flow, self.noise, self.cond, self.concat, *passes)


def random_subject(request: dict[str, Any], device: torch.device) -> Subject:
    """The subject of a request with ``network``, ``tokens``, ``image_tokens`` and ``blocks`` (0 for all)."""
    changes = {}
    if request["network"] == "sparse_structure_flow_model":
        changes["resolution"] = round(request["tokens"] ** (1 / 3))
    if request["blocks"]:
        changes["num_blocks"] = request["blocks"]
    flow = random_network(request["network"], device, **changes)
    noise = _noise(flow, request["tokens"], device)
    known = flow.config.in_channels - flow.config.out_channels
    concat = noise.replace(torch.randn(len(noise), known, device=device)) if known else None
    cond = torch.randn(1, request["image_tokens"], flow.config.cond_channels, device=device)
    return Subject(flow, noise, cond, concat)


def about_subject(request: dict[str, Any], subject: Subject) -> dict[str, Any]:
    """What the tables say of a stage beside its rows."""
    return {
        "tokens": request["tokens"],
        "image_tokens": request["image_tokens"],
        "blocks": len(subject.flow.blocks),
        "of_blocks": NETWORKS[request["network"]].args["num_blocks"],
        "dtype": str(subject.flow.dtype).removeprefix("torch."),
    }


def _noise(flow: FlowTransformer, tokens: int, device: torch.device) -> State:
    """A dense volume, or the cells of a ball's surface, as many as there are to be tokens."""
    channels = flow.config.out_channels
    if hasattr(flow, "rope_phases"):
        side = flow.config.resolution
        return torch.randn(1, channels, side, side, side, device=device)
    return SparseTensor(torch.randn(tokens, channels, device=device), surface_cells(tokens, device))
