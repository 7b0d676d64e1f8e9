# SPDX-License-Identifier: GPL-3.0-or-later
"""The published networks with random weights, straight on the device, in the precision in which they run there."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from ...engine.models.dinov3 import DINOv3Config
from ...engine.models.layers import Torso
from ...engine.models.registry import build_model
from ...engine.weights.precision import accumulate_in_float32, run_dtype
from ...engine.weights.released import NETWORKS


def prepare(kind: str) -> torch.device:
    """Set torch up as the engine does, for a device "cuda" or "cpu", and return that device with its number.

    On a CPU for one thread, whose processor time is measured.
    """
    torch.manual_seed(0)
    if kind == "cuda":
        accumulate_in_float32()
        # Memory can be limited only of a device that is called by its number.
        return torch.device("cuda", torch.cuda.current_device())
    torch.set_num_threads(1)
    return torch.device(kind)


def random_network(name: str, device: torch.device, **changes: Any) -> nn.Module:
    """The network ``name`` of the published set, its arguments with ``changes``, ready for inference.

    Matrices have rows of length about 1, so that activations stay near 1.
    """
    network = NETWORKS[name]
    args = vars(DINOv3Config.from_published(network.args)) if network.by_transformers else network.args
    with device:
        model = build_model(network.name, {**args, **changes})
        for parameter in model.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=math.sqrt(len(parameter) / parameter.numel()))
    if isinstance(model, Torso):
        model.convert_to(run_dtype(network.name, network.args, device, "auto"))
    # Tables that a network keeps beside its weights are made on the CPU.
    return model.to(device).eval().requires_grad_(False)
