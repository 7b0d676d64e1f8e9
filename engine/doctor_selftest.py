# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's self-test: load torch, check the sparse convolution, make an object with the starter model, plan memory.

It runs in a process of its own, so that a library that crashes or hangs is a finding and not the doctor's end.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import device_lock, machine
from .doctor_checks import REPAIR, Finding
from .doctor_memory import memory_plan
from .errors import EspalierError
from .failure import explain
from .jobs import JobFolder
from .progress import StageClock

LIMIT_SECONDS = 300.0
"""Of the whole self-test, which takes ten seconds on a machine that is not busy."""

LOCK_SECONDS = 20.0
LARGEST_DIFFERENCE = 1e-4
GRID, CHANNELS = 12, 16


def self_test(data: Path) -> Finding:
    """Run the self-test in ``data``, elsewhere when that cannot be written, and return what it found."""
    with contextlib.ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(_folder(data)))
        except OSError:
            folder = Path(stack.enter_context(_folder(None)))
        output = stack.enter_context((folder / "output.txt").open("w+b"))
        main = Path(__file__).with_name("__main__.py")
        command = [sys.executable, "-I", "-X", "utf8", "-u", str(main), "doctor", "--self-test", str(folder)]
        # As the engine is started for jobs: threads that wait by spinning stall on a busy machine.
        environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        try:
            code: int | None = process.wait(LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        return judge(output.read().decode("utf-8", "replace"), code)


def judge(output: str, code: int | None) -> Finding:
    """Return the finding of a self-test that printed ``output`` and ended with ``code`` (None: ran out of time)."""
    steps: list[dict[str, Any]] = []
    begun, last = "starting Python", ""
    for line in output.splitlines():
        try:
            event = json.loads(line)
            begun = event.get("begin", begun)
        except (ValueError, AttributeError):
            last = line.strip() or last
            continue
        if "begin" not in event:
            steps.append(event)
    facts: dict[str, Any] = {"steps": steps}
    lines = [step["text"] for step in steps if "text" in step]
    ending = steps[-1] if steps else {}
    if "skipped" in ending:
        return Finding("self-test", "note", "\n".join([*lines, f"skipped: {ending['skipped']}"]), facts=facts)
    if "failed" in ending:
        why = f" ({ending['hint']})" if ending.get("hint") else ""
        return Finding("self-test", "broken", "\n".join([*lines, f"{begun} failed{why}"]), ending["failed"], facts)
    if code is None:
        text = f"{begun} did not end within {LIMIT_SECONDS:.0f} s"
        advice = "Close other programs and run the doctor again."
        return Finding("self-test", "broken", "\n".join([*lines, text]), advice, facts)
    if code != 0:
        text = f"{begun} ended by itself with code {code}"
        if last:
            text = f"{text}: {last[:300]}"
        return Finding("self-test", "broken", "\n".join([*lines, text]), REPAIR, facts)
    return Finding("self-test", "ok", "\n".join(lines), facts=facts)


def run(folder: Path) -> int:
    """Do the self-test in this process, with a job in ``folder``: one JSON object per line and 0 when all went well."""
    begin = time.monotonic()

    def wait(sentence: str) -> None:
        if time.monotonic() - begin > LOCK_SECONDS:
            raise EspalierError("busy", sentence)

    try:
        kind = "cuda" if machine.torch_has_cuda() and machine.cuda_device() else "cpu"
        with device_lock.hold(device_lock.lock_file(kind), "the doctor's self-test", wait):
            for name, step in STEPS:
                _tell(begin=name)
                started = time.monotonic()
                facts = step(folder)
                _tell(step=name, **facts, seconds=round(time.monotonic() - started, 3))
    except EspalierError as error:
        _tell(**({"skipped": error.sentence} if error.code == "busy" else _failure(error)))
        return 1
    except Exception as error:
        _tell(**_failure(explain(error, folder)))
        return 1
    return 0


def load_torch(_folder: Path) -> dict[str, Any]:
    """Import torch and use its device. Raises EspalierError when it was built for CUDA and cannot use the card."""
    started = time.monotonic()
    import torch

    facts: dict[str, Any] = {"torch": torch.__version__, "threads": torch.get_num_threads(), "device": "cpu"}
    if machine.torch_has_cuda() and machine.cuda_device():
        if not torch.cuda.is_available():
            raise EspalierError(
                "cuda", "Torch cannot use the NVIDIA card. Install a newer NVIDIA driver, then run the doctor again."
            )
        torch.ones(8, device="cuda").sum().item()
        facts["device"] = "cuda"
        facts["cuda"] = torch.version.cuda
        facts["free"], facts["total"] = torch.cuda.mem_get_info()
    seconds = time.monotonic() - started
    where = "on the processor"
    if facts["device"] == "cuda":
        where = f"with CUDA {facts['cuda']}, {facts['free'] / 1e9:.1f} of {facts['total'] / 1e9:.1f} GB free"
    return {
        **facts,
        "text": f"torch {torch.__version__} {where}, {facts['threads']} threads: loaded in {seconds:.1f} s",
    }


def check_convolution(_folder: Path) -> dict[str, Any]:
    """Compare the sparse convolution with torch's dense one on the same voxels, of which a third is occupied."""
    import torch

    from .kernels.choice import why_not
    from .sparse.convolution import SparseConv3d
    from .sparse.sites import Sites
    from .sparse.tensor import SparseTensor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    random = torch.Generator().manual_seed(0)
    occupied = torch.rand(GRID, GRID, GRID, generator=random) < 1 / 3
    voxels = occupied.nonzero()
    coords = torch.cat([torch.zeros(len(voxels), 1, dtype=torch.int64), voxels], 1).int()
    feats = torch.randn(len(voxels), CHANNELS, generator=random)
    layer = SparseConv3d(CHANNELS, CHANNELS, 3).requires_grad_(False)
    layer.weight.copy_(torch.randn(layer.weight.shape, generator=random) / math.sqrt(27 * CHANNELS))
    dense = torch.zeros(1, CHANNELS, GRID, GRID, GRID)
    dense[0, :, occupied] = feats.T
    expected = torch.nn.functional.conv3d(dense, layer.weight.permute(0, 4, 1, 2, 3), layer.bias, padding=1)
    expected = expected[0, :, occupied].T
    layer = layer.to(device)
    found = layer(SparseTensor(feats.to(device), Sites(coords.to(device)))).feats.cpu()
    difference = (found - expected).abs().max().item()
    if not difference < LARGEST_DIFFERENCE:
        raise EspalierError(
            "wrong_numbers",
            f"The sparse convolution differs from torch's by {difference:.1e} on this device. Update the graphics "
            "driver, and report this.",
        )
    text = f"sparse convolution equals torch's ({difference:.0e} apart)"
    if device == "cuda":
        text = f"{text}\n{why_not(feats.to(device).device) or 'the Triton kernels serve'}"
    return {"difference": difference, "text": text}


def generate(folder: Path) -> dict[str, Any]:
    """Make an object of a drawn mushroom with the starter model in the job folder ``folder``/job, and check all arrays.

    Raises EspalierError when a stage fails or leaves something that is no number.
    """
    from .pipelines import generate_job
    from .weights.safetensors_file import SafetensorsFile

    source = folder / "mushroom.png"
    _draw_mushroom(source)
    request = {"kind": "generate", "seed": 0, "settings": {"texture_size": 512, "faces": 2000}, "online": False}
    job = JobFolder.create(folder, {**request, "input": "input.png"}, source, "job")
    clock = StageClock({})
    generate_job.run(job, _Report(clock), lambda: False)
    seconds = {stage: round(value, 2) for stage, value in clock.seconds().items()}
    for path in sorted(job.path.glob("*.safetensors")):
        file = SafetensorsFile(path)
        for name in file.entries:
            file.read(name)  # raises for what is no number
    faces = _check_result(job.path / "result.npz")
    stages = ", ".join(f"{stage} {value:.2f}" for stage, value in seconds.items())
    text = f"starter model: {faces} faces in {sum(seconds.values()):.1f} s ({stages}), all numbers finite"
    return {"faces": faces, "stages": seconds, "text": text}


STEPS: tuple[tuple[str, Callable[[Path], dict[str, Any]]], ...] = (
    ("loading torch", load_torch),
    ("the sparse convolution", check_convolution),
    ("the starter model", generate),
    ("the memory plan", memory_plan),
)


class _Report:
    """Takes the times of the stages; nobody watches."""

    def __init__(self, clock: StageClock) -> None:
        self._clock = clock

    def __call__(self, stage: str, step: int, of: int) -> None:
        self._clock.enter(stage)

    def tell(self, text: str) -> None:
        """Nothing is told."""

    def preview(self, stage: str, file: str) -> None:
        """Nothing is shown."""

    def log(self, level: str, text: str) -> None:
        """Nothing is said: what matters becomes an error."""


def _draw_mushroom(path: Path) -> None:
    """A red cap on a blue stem, lit from the front, before a transparent background; 256 pixels square."""
    import numpy as np
    from PIL import Image

    y, x = (np.mgrid[0:256, 0:256] - 127.5) / 128
    pixels = np.zeros((256, 256, 4))
    for width, top, bottom, colour in ((0.3, 0.9, 0.85, (70, 60, 140)), (0.9, 0.85, 0.1, (230, 50, 90))):
        across = np.sqrt(np.clip(1 - (x / width) ** 2, 0, 1))
        inside = (across > 0) & (y < bottom + 0.1 * across) & (y > bottom - top * across)
        light = 0.55 + 0.45 * across[inside]
        pixels[inside] = np.column_stack([*(light * channel for channel in colour), np.full(len(light), 255)])
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def _check_result(path: Path) -> int:
    """Return the number of faces in result.npz. Raises EspalierError when an array holds what is no number."""
    import numpy as np

    with np.load(path) as arrays:
        for name in arrays.files:
            if not np.isfinite(arrays[name]).all():
                raise EspalierError(
                    "wrong_numbers", f"The finished object's {name} hold values that are no numbers. Report this."
                )
        return len(arrays["faces"])


def _folder(parent: Path | None) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="doctor-", dir=parent, ignore_cleanup_errors=True)


def _failure(error: EspalierError) -> dict[str, str]:
    return {"failed": error.sentence, "hint": error.hint}


def _tell(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)
