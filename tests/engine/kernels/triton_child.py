# SPDX-License-Identifier: GPL-3.0-or-later
"""A process with one version of Triton that runs functions of the tests on kernel modules: JSON lines in and out.

With TRITON_INTERPRET=1 in the environment Triton's interpreter runs the kernels on the CPU; without it every launch is
compiled for a chip instead of run.
"""

import contextlib
import importlib
import importlib.util
import json
import linecache
import os
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def load_kernels(name, change=None):
    """The module ``engine/kernels/<name>.py``; with ``change`` = (old, new) a copy in which that text is another."""
    if change is None:
        return importlib.import_module(f"espalier.engine.kernels.{name}")
    source = (ROOT / "engine" / "kernels" / f"{name}.py").read_text(encoding="utf-8")
    old, new = change
    if source.count(old) != 1:
        raise LookupError(f"{name}.py holds {old!r} {source.count(old)} times, not once")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.py"
        path.write_text(source.replace(old, new), encoding="utf-8")
        full_name = f"espalier.engine.kernels.{name}_changed"
        spec = importlib.util.spec_from_file_location(full_name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module
        spec.loader.exec_module(module)
        linecache.getlines(str(path))  # the interpreter reads the kernels' source again when they are called
    return module


def load_function(file, name):
    """The function ``name`` of a file of the tests."""
    module = ".".join(["espalier", *Path(file).resolve().relative_to(ROOT).with_suffix("").parts])
    return getattr(importlib.import_module(module), name)


class CompilingDriver:
    """Says that the machine has a chip of a given compute capability, for which Triton then compiles."""

    def __init__(self, chip):
        from triton.backends.compiler import GPUTarget

        self.chip, self.target = chip, GPUTarget("cuda", chip, 32)

    def get_current_target(self):
        return self.target

    def get_current_device(self):
        return self.chip

    def get_current_stream(self, device):
        return 0


def compile_launches(function, kernels, chip, arguments):
    """Call ``function`` with every launch of a kernel replaced by its compilation for ``chip``; what each asks for."""
    from espalier.engine.kernels import architecture
    from triton.runtime import driver
    from triton.runtime.jit import KernelInterface

    compiled = []

    def launcher(kernel, grid):
        def launch(*args, **kwargs):
            made = kernel.run(*args, grid=grid, warmup=True, **kwargs)
            facts, code = made.metadata._asdict(), made.asm["ptx"]
            compiled.append(
                {
                    "kernel": kernel.fn.__name__,
                    "shared": facts["shared"],
                    "tensor_memory": facts.get("tmem_size") or 0,
                    "scratch": facts.get("global_scratch_size") or 0,
                    "tensor_cores": any(word in code for word in ("mma.sync", "wgmma.mma", "tcgen05.mma")),
                    "loads_ahead": "cp.async" in code,
                }
            )

        return launch

    driver.set_active(CompilingDriver(chip))
    architecture.of = lambda device: chip
    KernelInterface.__getitem__ = launcher
    function(kernels, **arguments)
    return compiled


def answer(request):
    """Run one request; {"value": ...} or {"error": kind, "text": trace}."""
    try:
        function = load_function(request["file"], request["function"])
        kernels = load_kernels(request["kernels"], request["change"])
        if request["chip"]:
            return {"value": compile_launches(function, kernels, request["chip"], request["arguments"])}
        return {"value": function(kernels, device="cpu", **request["arguments"])}
    except BaseException as error:
        return {"error": type(error).__name__, "text": traceback.format_exc()}


def main():
    folder = os.environ.get("ESPALIER_TRITON")
    if folder:
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(
        "espalier", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    sys.modules["espalier"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["espalier"])
    import torch
    import triton

    torch.set_num_threads(1)
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        print(json.dumps({"version": triton.__version__}), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
