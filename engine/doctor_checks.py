# SPDX-License-Identifier: GPL-3.0-or-later
"""What the doctor looks at without loading anything heavy: versions, devices, memory, the data folder, packages."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import secrets
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from . import machine

MIB, GB = 1 << 20, 1e9
LITTLE_MEMORY = 3 * GB
"""Free host memory below which even the starter model may fail."""

LITTLE_SPACE = 1 * GB
REPAIR = "Press Install Engine in the Espalier panel to repair it (in a checkout: run build.py test once)."

PACKAGES = (
    ("torch", ("torch",)),
    ("numpy", ("numpy",)),
    ("scipy", ("scipy",)),
    ("safetensors", ("safetensors",)),
    ("pillow", ("pillow",)),
    ("xatlas", ("xatlas",)),
    ("fast-simplification", ("fast-simplification",)),
    ("psutil", ("psutil",)),
    ("onnxruntime", ("onnxruntime", "onnxruntime-gpu")),
    ("huggingface_hub", ("huggingface-hub",)),
    ("numba", ("numba",)),
    ("triton", ("triton", "triton-windows")),
    ("flash-attn", ("flash-attn",)),
)
"""What the report names, and the distributions that it may come from."""

OPTIONAL = (
    ("onnxruntime", "BiRefNet cannot run, so images need a transparent or plain background"),
    ("huggingface_hub", "models cannot be downloaded, only imported from a folder"),
    ("triton", "plain torch computes instead"),
    ("flash-attn", "torch's own attention computes instead"),
    ("numba", "large meshes are converted more slowly; training data cannot be made"),
)
"""Packages that the engine works without, and what that costs."""

ENVIRONMENT = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "PYTORCH_CUDA_ALLOC_CONF")
"""Variables that change what the engine finds."""


@dataclass(frozen=True)
class Finding:
    """What one check found. state: "ok"; "note": works, with a cost; "broken": something needed does not work, and
    ``advice`` says in one sentence what to do. ``text`` is for people, ``facts`` the same for programs."""

    name: str
    state: Literal["ok", "note", "broken"]
    text: str
    advice: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


Check = Callable[[Path], Finding]


def system(_data: Path) -> Finding:
    """The extension, the system and the Python."""
    facts = {
        "espalier": machine.extension_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "processor": machine.processor_name(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "executable": sys.executable,
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    }
    lines = [
        f"Espalier {facts['espalier']}, Python {facts['python']} in {sys.executable}",
        f"{facts['system']}; {facts['processor']}, {facts['cores']} cores",
        *(f"{name}={value}" for name, value in facts["environment"].items()),
    ]
    return Finding("system", "ok", "\n".join(lines), facts=facts)


def device(_data: Path) -> Finding:
    """The device that computes. An NVIDIA card that torch cannot use is a note: the processor works as well."""
    card, torch_has_cuda = machine.cuda_device(), machine.torch_has_cuda()
    facts = {"torch_has_cuda": torch_has_cuda, "card": card[0] if card else None, "memory": card[1] if card else 0}
    if card is None:
        text = "no NVIDIA card or driver found: the processor computes, which is slow for TRELLIS.2-4B"
        return Finding("device", "note", text, facts=facts)
    if not torch_has_cuda:
        text = f"{card[0]}, but this torch is built without CUDA: the processor computes, which is slow. {REPAIR}"
        return Finding("device", "note", text, facts=facts)
    return Finding("device", "ok", f"{card[0]}, {card[1] / GB:.1f} GB", facts=facts)


def memory(_data: Path) -> Finding:
    """Memory of the machine."""
    total, free = machine.host_memory()
    facts = {"total": total, "free": free}
    if not total:
        return Finding("memory", "ok", "the system does not tell how much memory it has", facts=facts)
    text = f"{total / GB:.1f} GB"
    if free:
        text = f"{text}, {free / GB:.1f} GB free"
    if free and free < LITTLE_MEMORY:
        return Finding("memory", "note", f"{text}: little is free, close other programs before a job", facts=facts)
    return Finding("memory", "ok", text, facts=facts)


def data_folder(data: Path) -> Finding:
    """Whether the data folder can be written and read, and the space of its disk. Makes the folder."""
    facts: dict[str, Any] = {"folder": str(data)}
    probe = data / f".doctor-{secrets.token_hex(4)}"
    content = secrets.token_bytes(MIB)
    try:
        data.mkdir(parents=True, exist_ok=True)
        with probe.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        same = probe.read_bytes() == content
        probe.unlink()
        facts["free"] = shutil.disk_usage(data).free
    except OSError as error:
        with contextlib.suppress(OSError):
            probe.unlink()
        advice = "Allow writing there and free some space, or choose another data folder in the preferences."
        text = f"{data} cannot be written: {error.strerror or error}"
        return Finding("data", "broken", text, advice, facts)
    text = f"{data}, {facts['free'] / GB:.1f} GB free"
    if not same:
        advice = "Check that disk, or choose another data folder in the preferences."
        return Finding("data", "broken", f"{text}; what was written was not read back", advice, facts)
    if facts["free"] < LITTLE_SPACE:
        return Finding("data", "note", f"{text}: little space is left for jobs and models", facts=facts)
    return Finding("data", "ok", f"{text}, written and read back", facts=facts)


def packages(_data: Path) -> Finding:
    """Versions of what the engine imports; a missing one that it cannot do without is broken."""
    versions = {name: _first_version(names) for name, names in PACKAGES}
    facts = {"versions": versions}
    text = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    missing = [name for name in machine.REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        return Finding("packages", "broken", f"{text or 'none'}; missing: {', '.join(missing)}", REPAIR, facts)
    return Finding("packages", "ok", text, facts=facts)


def backends(_data: Path) -> Finding:
    """Which optional packages are there, and what the missing ones cost."""
    versions = {name: _first_version(names) for name, names in PACKAGES}
    found = {"cuda": machine.cuda_device() is not None and machine.torch_has_cuda()}
    found |= {name: versions[name] is not None for name, _ in OPTIONAL}
    costs = {"cuda": "the processor computes"} | dict(OPTIONAL)
    lines = [f"found: {', '.join(name for name, there in found.items() if there) or 'none'}"]
    lines += [f"{name} is missing: {costs[name]}" for name, there in found.items() if not there]
    costly = not (found["onnxruntime"] and found["huggingface_hub"])
    return Finding("backends", "note" if costly else "ok", "\n".join(lines), facts={"found": found})


def _first_version(distributions: tuple[str, ...]) -> str | None:
    return next(filter(None, map(machine.package_version, distributions)), None)
