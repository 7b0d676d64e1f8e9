# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine and this Python offer, asked without importing torch (which takes seconds); and peak memory of a
job.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

from .container_memory import memory_limits

# Modules that the engine cannot work without.
REQUIRED = ("numpy", "torch", "safetensors", "PIL", "scipy", "fast_simplification", "xatlas", "psutil")
MIB = 1 << 20
# Of malloc.h.
_M_ARENA_MAX = -8


def describe() -> dict[str, Any]:
    """Return the facts of the engine's greeting.

    ``torch`` is its version, or None when it is not installed; ``device`` {type "cuda" or "cpu", name}; ``memory`` in
    bytes {total, free} of the machine and {device_total} of a CUDA device; ``backends`` what can compute; ``missing``
    the required modules that this Python lacks.
    """
    cuda = cuda_device() if torch_has_cuda() else None
    total, free = host_memory()
    memory = {"total": total, "free": free}
    backends = ["cpu"]
    device = {"type": "cpu", "name": processor_name()}
    if cuda is not None:
        device = {"type": "cuda", "name": cuda[0]}
        memory["device_total"] = cuda[1]
        backends.insert(0, "cuda")
        if importlib.util.find_spec("triton") is not None:
            backends.insert(1, "triton")
    return {
        "python": platform.python_version(),
        "torch": package_version("torch"),
        "device": device,
        "memory": memory,
        "backends": backends,
        "missing": [name for name in REQUIRED if importlib.util.find_spec(name) is None],
    }


def extension_version() -> str:
    """Return the extension's version from its manifest."""
    manifest = Path(__file__).resolve().parent.parent / "blender_manifest.toml"
    try:
        with manifest.open("rb") as file:
            return str(tomllib.load(file)["version"])
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        return "unknown"


def host_memory() -> tuple[int, int]:
    """Return the memory that this process may have and what of it is free to use, in bytes; zeros where unknown.

    That is the machine's, or less in a container or a service with a limit of its own.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, KeyError, ValueError):
            lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
            amounts = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
            total, free = amounts["MemTotal"], amounts["MemAvailable"]
            # A group without a limit of its own says a number beyond every memory in version 1.
            limit, left = memory_limits() or (total, free)
            return min(total, limit), min(free, left)
    if sys.platform == "win32":
        return _windows_memory()
    with contextlib.suppress(OSError, ValueError, AttributeError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return total, 0
    return 0, 0


def share_heaps() -> None:
    """Have all threads take memory from two heaps. The C library of Linux would give each thread its own, and each heap
    keeps what lies between blocks still in use: 170 MB after five jobs. To be called before there are threads.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def give_back_memory() -> None:
    """Give memory that is free back to the system; the C library of Linux would keep it between the jobs."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def memory_now() -> dict[str, int]:
    """Return the bytes that this process has in memory, ``used`` (0 where unknown), and that are ``free`` to it.

    With a CUDA device in use also ``device_used``, what this process holds there, and ``device_free``.
    """
    memory = {"used": 0, "free": host_memory()[1]}
    with contextlib.suppress(OSError, ValueError, IndexError, AttributeError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        memory["used"] = pages * os.sysconf("SC_PAGE_SIZE")
    cuda = _loaded_cuda()
    if cuda is not None:
        memory["device_used"], memory["device_free"] = int(cuda.memory_reserved()), int(cuda.mem_get_info()[0])
    return memory


class PeakMemory:
    """The most memory that a job used: of this process, and of the CUDA device through torch, if torch is loaded by
    then.
    """

    def __init__(self) -> None:
        # Linux can forget the peak of earlier jobs; elsewhere the peak is that of the process since its start.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        cuda = _loaded_cuda()
        if cuda is not None:
            cuda.reset_peak_memory_stats()

    def read(self) -> dict[str, int]:
        """Return {host} and, with a CUDA device, {device}, in bytes."""
        peak = {"host": _peak_host_memory()}
        cuda = _loaded_cuda()
        if cuda is not None:
            peak["device"] = int(cuda.max_memory_reserved())
        return peak


def _loaded_cuda() -> Any:
    """Return torch.cuda when torch is loaded and its CUDA is in use, else None. Importing torch for this would be
    dear.
    """
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return cuda if cuda is not None and cuda.is_available() and cuda.is_initialized() else None


def _peak_host_memory() -> int:
    with contextlib.suppress(OSError, ValueError):
        match = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE)
        if match:
            return int(match[1]) * 1024
    if sys.platform == "win32":
        return _windows_peak()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def package_version(distribution: str) -> str | None:
    """Return the version of an installed package, None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def torch_has_cuda() -> bool:
    """Read from torch's own version file whether it was built for CUDA."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"^cuda\b[^=]*=\s*['\"]", text, re.MULTILINE) is not None


@functools.cache
def cuda_device() -> tuple[str, int] | None:
    """Return name and memory of the first CUDA device that this process may use, from the driver; None without one."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count, device, total = ctypes.c_int(0), ctypes.c_int(0), ctypes.c_size_t(0)
        name = ctypes.create_string_buffer(256)
        answers = (
            driver.cuInit(0),
            driver.cuDeviceGetCount(ctypes.byref(count)),
            driver.cuDeviceGet(ctypes.byref(device), 0),
            driver.cuDeviceGetName(name, len(name), device),
            driver.cuDeviceTotalMem_v2(ctypes.byref(total), device),
        )
    except (OSError, AttributeError):
        return None
    if any(answers) or count.value == 0:
        return None
    return name.value.decode("utf-8", "replace"), total.value


def processor_name() -> str:
    """Return what the processor is called."""
    with contextlib.suppress(OSError):
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
        if match:
            return match[1].strip()
    return platform.processor() or platform.machine() or "CPU"


def _windows_memory() -> tuple[int, int]:
    class MemoryStatus(ctypes.Structure):
        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("free", ctypes.c_ulonglong),
            ("others", ctypes.c_ulonglong * 5),
        ]

    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    kernel = ctypes.CDLL("kernel32")
    return (status.total, status.free) if kernel.GlobalMemoryStatusEx(ctypes.byref(status)) else (0, 0)


def _windows_peak() -> int:
    class Counters(ctypes.Structure):
        _fields_ = [
            ("length", ctypes.c_ulong),
            ("faults", ctypes.c_ulong),
            ("peak", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        ]

    counters = Counters(length=ctypes.sizeof(Counters))
    kernel = ctypes.CDLL("kernel32")
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    done = kernel.K32GetProcessMemoryInfo(
        ctypes.c_void_p(kernel.GetCurrentProcess()), ctypes.byref(counters), counters.length
    )
    return counters.peak if done else 0
