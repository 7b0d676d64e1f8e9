# SPDX-License-Identifier: GPL-3.0-or-later
"""How much the engine's process keeps of what was compiled for one job's lengths."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = Path(__file__).resolve().parents[2] / "engine" / "__main__.py"

SCRIPT = """
import ctypes
from pathlib import Path

import torch

def kilobytes():
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Anonymous:", "Swap:")))

weight, bias = torch.randn(192, 64).bfloat16(), torch.randn(192).bfloat16()

def multiply(lengths):
    for length in lengths:
        torch.nn.functional.linear(torch.randn(length, 64).bfloat16(), weight, bias)

with torch.no_grad():
    multiply(range(1000, 1200))
    before = kilobytes()
    multiply(range(1200, 1600))
print(kilobytes() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads memory from /proc")
def test_memory_does_not_grow_with_every_new_number_of_tokens():
    spec = importlib.util.spec_from_file_location("engine_main", MAIN)
    main = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(main)
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **main.SHAPES_KEPT}, check=True)
    assert int(done.stdout) < 3000, done.stdout
