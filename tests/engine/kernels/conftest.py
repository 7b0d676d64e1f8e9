# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the kernels are tested: in the interpreter of two versions of Triton, compiled by both, and on a GPU.

A test takes ``place`` (agreement with the definition), ``gpu`` (what the interpreter cannot do: it rounds to bfloat16
towards zero, and its products of bfloat16 are garbage), ``interpreter`` (a changed kernel must be noticed) or
``compiler`` (all chips). What they run are functions of the test's file:

    def agrees(kernels, device): ...    # kernels: the module under test; raises AssertionError on a difference
    def launches(kernels): ...          # calls its launchers, with tensors on the "meta" device where it can
"""

import importlib.metadata
import inspect
import json
import os
import select
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from espalier.engine.kernels.architecture import ARCHITECTURES
from espalier.tests.engine.kernels.triton_child import ROOT, load_kernels

VERSIONS = {"3.7": None, "3.6": ROOT / "build" / "triton-3.6.0"}
"""Folder of each version of Triton; None for the one of the environment (requirements/develop.txt)."""

SHARED_MEMORY = {75: 64, 80: 163, 86: 99, 89: 99, 90: 227, 100: 227, 120: 99}
"""KiB of shared memory that one block may have (CUDA C++ Programming Guide, technical specifications)."""

TENSOR_MEMORY_COLUMNS = 512

PATIENCE_SECONDS = 300


class TritonProcess:
    """A child process with one version of Triton, started when first asked and again after a crash."""

    def __init__(self, version, interpret):
        self.version, self.interpret, self._process = version, interpret, None
        self._cache = tempfile.TemporaryDirectory(prefix="espalier-triton-")

    def _start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TRITON_")}
        environment |= {"TRITON_CACHE_DIR": self._cache.name, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        if self.interpret:
            environment["TRITON_INTERPRET"] = "1"
        if VERSIONS[self.version]:
            environment["ESPALIER_TRITON"] = str(VERSIONS[self.version])
        command = [sys.executable, "-P", "-X", "utf8", str(Path(__file__).with_name("triton_child.py"))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, cwd=ROOT, text=True)
        hello = self._read()
        assert hello.get("version", "").startswith(self.version), hello

    def _read(self):
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE_SECONDS)
        line = self._process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        self._process.kill()
        self._process.wait()
        return {"error": "Crash" if ready else "Hang", "text": f"status {self._process.returncode}"}

    def ask(self, kernels, function, change=None, chip=0, **arguments):
        """What the child answers: {"value": ...}, or {"error": name of the exception, "text": trace}."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        request = {
            "kernels": kernels,
            "file": inspect.unwrap(function).__code__.co_filename,
            "function": function.__name__,
            "arguments": arguments,
            "change": change,
            "chip": chip,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._cache.cleanup()


class Interpreter:
    """Runs kernels on the CPU."""

    def __init__(self, process):
        self._process = process

    def check(self, kernels, function, **arguments):
        """Fail unless ``function(module, device="cpu", **arguments)`` returns; arguments are numbers and strings."""
        answer = self._process.ask(kernels, function, **arguments)
        assert "error" not in answer, answer["text"]

    def check_notices(self, kernels, function, change, **arguments):
        """Fail unless ``function`` fails by assertion, or crashes, once the text ``change[0]`` of the kernel's file
        (which must occur once) is ``change[1]``.
        """
        answer = self._process.ask(kernels, function, list(change), **arguments)
        assert answer.get("error") in ("AssertionError", "Crash"), answer.get("text", "nobody noticed the change")


class Compiler:
    """Compiles kernels for every chip; needs no GPU."""

    def __init__(self, process):
        self._process = process

    def check(self, kernels, function, chips=ARCHITECTURES, **arguments):
        """Fail unless every launch of ``function(module, **arguments)`` compiles for each chip and fits into it.

        Returns what is known of the launches on each chip (triton_child.compile_launches).
        """
        compiled = {}
        for chip in chips:
            answer = self._process.ask(kernels, function, chip=chip, **arguments)
            assert "error" not in answer, f"sm_{chip}: {answer['text']}"
            assert answer["value"], f"{function.__name__} launched nothing"
            for launch in answer["value"]:
                assert launch["shared"] <= SHARED_MEMORY[chip] * 1024, f"sm_{chip}: {launch}"
                assert launch["tensor_memory"] <= TENSOR_MEMORY_COLUMNS, f"sm_{chip}: {launch}"
                assert launch["scratch"] == 0, f"sm_{chip}: {launch}"
            compiled[chip] = answer["value"]
        return compiled


class Gpu:
    """Runs kernels on the CUDA device, in this process."""

    def check(self, kernels, function, **arguments):
        """As ``Interpreter.check``, with device="cuda"."""
        function(load_kernels(kernels), device="cuda", **arguments)


def _why_absent(version):
    folder = VERSIONS[version]
    if folder is None:
        installed = importlib.metadata.version("triton") if find_spec("triton") else "none"
        return "" if installed.startswith(version) else f"this environment has Triton {installed}, not {version}"
    return "" if folder.is_dir() else f"Triton {version} is not in {folder}: `build.py test` puts it there"


@pytest.fixture(scope="session")
def processes():
    """One child process per version of Triton and use, kept for the whole run."""
    running = {}
    yield lambda *key: running.setdefault(key, TritonProcess(*key))
    for process in running.values():
        process.stop()


def _process(processes, version, interpret):
    reason = _why_absent(version)
    if reason:
        pytest.skip(reason)
    return processes(version, interpret)


@pytest.fixture
def interpreter(processes):
    """Of the newest version there is: that a change is noticed does not depend on it."""
    version = next((version for version in VERSIONS if not _why_absent(version)), next(iter(VERSIONS)))
    return Interpreter(_process(processes, version, True))


@pytest.fixture(params=VERSIONS)
def compiler(request, processes):
    return Compiler(_process(processes, request.param, False))


@pytest.fixture(params=[*VERSIONS, pytest.param("gpu", marks=pytest.mark.gpu)])
def place(request, processes):
    return _gpu() if request.param == "gpu" else Interpreter(_process(processes, request.param, True))


@pytest.fixture(params=[pytest.param("gpu", marks=pytest.mark.gpu)])
def gpu(request):
    return _gpu()


def _gpu():
    if not torch.cuda.is_available() or not find_spec("triton"):
        pytest.skip("needs a CUDA device and Triton")
    return Gpu()
