# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches a reader that is fed with damage: which files it opens, how long it takes, how much memory it takes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espalier.tests.conftest import ROOT

SECONDS = 20
"""Processor time after which a case counts as hanging; most take milliseconds."""

MEGABYTES = 400
"""How much resident memory one case may take at its peak. The valid files of these tests are a few kilobytes."""

_TWO_PATHS = {"os.rename", "os.link", "os.symlink", "shutil.copyfile", "shutil.move"}
_FILE_EVENTS = {
    *("open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink"),
    *("os.truncate", "os.chmod", "os.utime", "shutil.copyfile", "shutil.rmtree", "shutil.move", "subprocess.Popen"),
}
_INSTALLED = tuple(
    str(Path(path).resolve())
    for path in (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), ROOT / "engine")
)
_TORCH_CACHE = str(Path(tempfile.gettempdir()).resolve() / "torchinductor_")
_SYSTEM = (_TORCH_CACHE, "/proc", "/sys", "/dev", "/usr/lib", "/usr/share", "/etc/ld", "/etc/mime.types")

_touched: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _touched is not None and event in _FILE_EVENTS:
        paths = arguments[:2] if event in _TWO_PATHS else arguments[:1]
        _touched.extend(os.fsdecode(path) for path in paths if isinstance(path, str | bytes | os.PathLike))


sys.addaudithook(_watch)


class OutsideError(AssertionError):
    """A file outside the folder was touched."""


def _outside(paths: list[str], folder: Path) -> list[str]:
    inside = (str(folder.resolve()), *_INSTALLED, *_SYSTEM)
    # A single name comes with an open folder that it is in (so do shutil.rmtree's).
    resolved = {os.path.realpath(path) for path in paths if os.path.dirname(path) and "\0" not in path}
    return sorted(path for path in resolved if not path.startswith(inside))


def _alarm(signum: int, frame: Any) -> None:
    raise AssertionError(f"it hangs: {SECONDS} s of processor time for one case")


@contextlib.contextmanager
def watched(folder: Path, *refusals: type[Exception]) -> Iterator[None]:
    """Let a reader read in ``folder``: it may return, or raise one of ``refusals`` with a sentence.

    Anything else it raises comes through. Fails when it touches a file elsewhere (the installed libraries apart),
    hangs, or takes memory that has nothing to do with the size of the files.
    """
    global _touched
    _touched = []
    timed = hasattr(signal, "setitimer")
    if timed:
        before = signal.signal(signal.SIGPROF, _alarm)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
    memory = _reset_peak()
    try:
        yield
    except refusals as refusal:
        sentence = getattr(refusal, "sentence", "")
        assert sentence.strip().endswith((".", "!", "?")), f"no sentence: {sentence!r}"
    finally:
        if timed:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, before)
        touched, _touched = _touched, None
    outside = _outside(touched, folder)
    if outside:
        raise OutsideError(f"it touched {outside[:3]}, outside {folder}")
    assert _peak() - memory <= MEGABYTES << 20, f"it took {(_peak() - memory) >> 20} MB"


def _reset_peak() -> int:
    """Forget the highest memory use so far, where the system can; return the present one in bytes."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) << 10
