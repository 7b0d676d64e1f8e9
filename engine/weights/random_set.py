# SPDX-License-Identifier: GPL-3.0-or-later
"""``random-set``: the published model set at its full size with random weights, to see what it asks of a machine.

Names, shapes, precisions and layout are those of the release, so loader and pipelines take the same way as with the
real weights. What comes out has no meaning.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import EspalierError
from ..models.config import DTYPES
from ..models.dinov3 import DINOv3Config
from ..models.layers import Torso
from ..models.registry import build_model
from .precision import made_for
from .released import CONFIGURATIONS, NETWORKS, ReleasedNetwork
from .safetensors_file import DTYPES as STORED_DTYPES

CHUNK = 1 << 24
"""Numbers drawn at a time: what is in memory of a file of any size."""

_NAMES = {dtype: name for name, dtype in STORED_DTYPES.items()}


def main(arguments: list[str]) -> int:
    """Write the set, or some of its networks, into an empty folder."""
    parser = argparse.ArgumentParser(prog="random-set", description=main.__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder, made if it does not exist")
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), metavar="NAME", help="only these networks")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        write_random_set(options.folder, options.networks or list(NETWORKS), options.seed, _say)
    except EspalierError as error:
        print(f"{error.sentence} {error.hint}".strip(), file=sys.stderr)
        return 1
    return 0


def _say(path: Path) -> None:
    print(f"{path} ({path.stat().st_size / 1e9:.2f} GB)", flush=True)


def write_random_set(
    folder: Path, networks: Sequence[str], seed: int = 0, report: Callable[[Path], None] = lambda path: None
) -> None:
    """Write both configurations and the files of ``networks`` (keys of ``NETWORKS``) into the empty ``folder``.

    ``report`` is told each weights file when it is complete. The same seed gives a network the same bytes whatever else
    is written.
    Raises EspalierError("not_empty") when the folder holds anything, "no_space" before anything is written.
    """
    if folder.exists() and any(folder.iterdir()):
        raise EspalierError("not_empty", f"The folder “{folder}” is not empty. Choose another one.")
    folder.mkdir(parents=True, exist_ok=True)
    tables = {name: stored_tensors(NETWORKS[name]) for name in networks}
    needed = sum(tensor.nbytes for table in tables.values() for tensor in table.values()) + (1 << 24)
    if shutil.disk_usage(folder).free < needed:
        raise EspalierError(
            "no_space", f"The weights need {needed / 1e9:.1f} GB on the disk of “{folder}”. Free some space."
        )
    for configuration in CONFIGURATIONS.iterdir():
        shutil.copyfile(configuration, folder / configuration.name)
    for name, table in tables.items():
        network = NETWORKS[name]
        stem = folder / network.path
        stem.parent.mkdir(parents=True, exist_ok=True)
        if network.by_transformers:
            sidecar, description = stem.with_name("config.json"), network.args
        else:
            sidecar = stem.with_name(stem.name + ".json")
            description = {"name": network.name, "args": network.args}
        sidecar.write_text(json.dumps(description, indent=4), encoding="utf-8")
        generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {network.path}".encode()))
        weights = stem.with_name(stem.name + ".safetensors")
        _write(weights, header(table, network.by_transformers), table, generator)
        report(weights)


def stored_tensors(network: ReleasedNetwork) -> dict[str, Tensor]:
    """The tensors of the network's file, without values (on the meta device), in the order in which they lie there."""
    args = network.args
    if network.by_transformers:
        args = vars(DINOv3Config.from_published(args))
    with torch.device("meta"):
        model = build_model(network.name, args)
    if isinstance(model, Torso):
        model.convert_to(made_for(network.args))
    table = model.state_dict()
    if network.stored:
        table = {name: tensor.to(DTYPES[network.stored]) for name, tensor in table.items()}
    return dict(sorted(table.items(), key=lambda item: (-item[1].itemsize, item[0])))


def header(table: dict[str, Tensor], metadata: bool) -> bytes:
    """The table of contents that stands before the tensors in a safetensors file, with its length."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}} if metadata else {}
    offset = 0
    for name, tensor in table.items():
        place = [offset, offset + tensor.nbytes]
        entries[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": place}
        offset += tensor.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write(path: Path, contents: bytes, table: dict[str, Tensor], generator: torch.Generator) -> None:
    partial = path.with_name(path.name + ".part")
    with partial.open("wb") as file:
        file.write(contents)
        for name, tensor in table.items():
            for start in range(0, tensor.numel(), CHUNK):
                count = min(CHUNK, tensor.numel() - start)
                values = _values(name, tensor.shape, count, generator).to(tensor.dtype)
                file.write(values.view(torch.uint8).numpy())
    partial.replace(path)


def _values(name: str, shape: torch.Size, count: int, generator: torch.Generator) -> Tensor:
    """Numbers that keep activations near 1: scales near 1, biases near 0, matrices with rows of length about 1."""
    values = torch.empty(count).uniform_(-1, 1, generator=generator)
    if name.endswith(("gamma", "lambda1")) or (len(shape) == 1 and name.endswith("weight")):
        return values.mul_(0.1).add_(1)
    if len(shape) == 1:
        return values.mul_(0.05)
    return values.mul_(math.sqrt(3 * shape[0] / shape.numel()))
