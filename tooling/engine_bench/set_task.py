# SPDX-License-Identifier: GPL-3.0-or-later
"""The published set with random weights on the disk, once for all parts that read their networks as a job does."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from ...engine.weights.random_set import write_random_set
from ...engine.weights.released import NETWORKS, ReleasedNetwork
from ..finishing_bench.watch import Steps, answer, request_of

ENCODERS = ("sparse_structure_encoder", "shape_slat_encoder", "tex_slat_encoder")
FOLDER = "set"


def main(arguments: list[str]) -> int:
    """Argument: the folder with the request: ``narrow`` for networks of the same kinds that are hardly anything."""
    folder, request = request_of(arguments)
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    names = [name for name in NETWORKS if name not in ENCODERS]
    with narrowed() if request["narrow"] else nullcontext(), Steps(folder).step("write"):
        write_random_set(folder / FOLDER, names)
    answer(folder, {"bytes": sum(path.stat().st_size for path in (folder / FOLDER).rglob("*.safetensors"))})
    return 0


def narrowed() -> Any:
    """Inside this the published networks have a twelfth of their width, next to no depth, and no float16, at which
    processors are slow."""
    return patch.dict(NETWORKS, {name: replace(network, args=_narrow(network)) for name, network in NETWORKS.items()})


def _narrow(network: ReleasedNetwork) -> dict[str, Any]:
    args = {**network.args, "use_fp16": False} if "use_fp16" in network.args else dict(network.args)
    if network.name == "DINOv3ViT":
        return {**args, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 2}
    if "model_channels" in args and isinstance(args["model_channels"], int):
        narrow = {"model_channels": 128, "cond_channels": 128, "num_blocks": 1, "num_heads": 1}
        return {**args, **narrow, "resolution": 8 if args["resolution"] == 16 else args["resolution"]}
    if "model_channels" in args:
        return {**args, "model_channels": [width // 8 for width in args["model_channels"]], "num_blocks": [0] * 5}
    return {**args, "channels": [width // 8 for width in args["channels"]], "num_res_blocks": 0}
