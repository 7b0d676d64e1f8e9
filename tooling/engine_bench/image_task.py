# SPDX-License-Identifier: GPL-3.0-or-later
"""The measured process of conditioning: the image encoder on one picture."""

from __future__ import annotations

from functools import partial

import torch

from ...engine.weights import activations
from ...engine.weights.released import NETWORKS
from ..finishing_bench.watch import answer, request_of
from .measure import ceiling, measured_and_counted, planned
from .networks import prepare, random_network


@torch.inference_mode()
def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``size``, ``device``, ``blocks``."""
    folder, request = request_of(arguments)
    device = prepare(request["device"])
    layers = NETWORKS["image_encoder"].args["num_hidden_layers"]
    encoder = random_network("image_encoder", device, num_hidden_layers=request["blocks"] or layers)
    image = torch.randn(1, 3, request["size"], request["size"], device=device)
    tokens = encoder(image).shape[1]
    memory = activations.of_image_encoder(encoder, tokens)
    call = partial(encoder, image)
    within = planned(call, encoder, memory, device)
    row = {**measured_and_counted(call, device), **within}
    about = {"tokens": tokens, "blocks": len(encoder.layer), "of_blocks": layers, "dtype": "float32"}
    answer(folder, {**about, "ceiling": ceiling(device, torch.bfloat16), "rows": {"image encoder": row}})
    return 0
