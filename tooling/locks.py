# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's lock files: every wheel of one platform, Python and device, with its hash.

``wheels/lock-<platform>-<tag>-<device>.txt`` is all that one ``pip install --no-deps --require-hashes`` needs.
Published torch for Linux wants NVIDIA's libraries even on a machine without such a GPU, so Linux has a ``cuda`` lock
everywhere and a ``cpu`` lock where a CPU build is known (requirements/cpu-builds.txt). No file says where wheels come
from: pip's own configuration does.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .console import ROOT, CommandError, clean_environment, folder_size, megabytes, say

WHEELS = ROOT / "wheels"
REQUIREMENTS = ROOT / "requirements"
# Blender 4.2 to 5.0 run Python 3.11, 5.1 and 5.2 run 3.13.
PYTHONS = ("3.11", "3.13")
# Our name of a platform, the resolver's, and pip's (for the check of what was written).
PLATFORMS = {
    "linux-x86_64": (
        "x86_64-manylinux_2_28",
        [*(f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)), "manylinux2014_x86_64"],
    ),
    "windows-x86_64": ("x86_64-pc-windows-msvc", ["win_amd64"]),
    "macos-arm64": ("aarch64-apple-darwin", ["macosx_14_0_arm64"]),
}
# What only the CUDA build of torch needs.
CUDA_ONLY = re.compile(r"^(nvidia-|cuda-|triton$)")


@dataclass(frozen=True)
class Pin:
    """One distribution of a lock file: normalised name, exact version, SHA-256 of each wheel that may be taken."""

    name: str
    version: str
    hashes: tuple[str, ...]


def tag_of(python: str) -> str:
    """``3.11`` as wheels write it: ``cp311``."""
    return "cp" + python.replace(".", "")


def lock_path(platform_name: str, tag: str, device: str) -> Path:
    """Where the lock of one platform, Python and device (``cpu`` or ``cuda``) lies, or would lie."""
    return WHEELS / f"lock-{platform_name}-{tag}-{device}.txt"


def locks_to_try(platform_name: str, tag: str, nvidia: bool) -> list[Path]:
    """The locks that fit a machine, best first; the next one serves when pip cannot find the first one's torch."""
    devices = ("cuda", "cpu") if nvidia else ("cpu", "cuda")
    return [path for device in devices if (path := lock_path(platform_name, tag, device)).exists()]


def this_platform() -> str:
    """Our name of the platform this runs on, e.g. ``linux-x86_64``."""
    system = {"Darwin": "macos"}.get(platform.system(), platform.system().lower())
    machine = {"AMD64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{system}-{machine}"


def download_size(path: Path) -> int:
    """Bytes that installing from this lock downloads at most, as the lock file's head says."""
    match = re.search(r"^# download: (\d+) MB$", path.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise ValueError(f"{path.name} does not say how large its downloads are.")
    return int(match[1]) * 1_000_000


def cpu_builds(platform_name: str, tag: str) -> list[Pin]:
    """The CPU builds that a machine of this kind may have in a folder of its own."""
    lines = (REQUIREMENTS / "cpu-builds.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return [Pin(name, version, (digest,)) for lock, name, version, digest in rows if lock == f"{platform_name}-{tag}"]


def _resolve(uv: Path, platform_name: str, python: str) -> list[Pin]:
    """Ask the resolver for one platform and Python; only published wheels, nothing that needs a compiler."""
    command = [
        *(str(uv), "pip", "compile", "--quiet", "--no-header", "--format", "pylock.toml", "--only-binary", ":all:"),
        *("--python-version", python, "--python-platform", PLATFORMS[platform_name][0]),
        str(REQUIREMENTS / "engine.txt"),
    ]
    # torch's wheels for macOS ask for 14.0; the resolver assumes 13.0 unless told.
    environment = clean_environment(MACOSX_DEPLOYMENT_TARGET="14.0")
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise CommandError(f"No set of wheels fits Python {python} on {platform_name}:\n{done.stderr.strip()}")
    return [
        Pin(
            package["name"], package["version"], tuple(sorted(wheel["hashes"]["sha256"] for wheel in package["wheels"]))
        )
        for package in tomllib.loads(done.stdout)["packages"]
    ]


def _lines(pins: list[Pin]) -> str:
    return "".join(
        f"{pin.name}=={pin.version} \\\n" + " \\\n".join(f"    --hash=sha256:{digest}" for digest in pin.hashes) + "\n"
        for pin in pins
    )


def _fetch(pins: list[Pin], platform_name: str, python: str) -> int:
    """Let pip fetch exactly these wheels for that platform, as an installation would; return their bytes."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "lock.txt"
        lock.write_text(_lines(pins), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        command += ["--no-cache-dir", "--require-hashes", "--python-version", python, "-r", str(lock)]
        for name in PLATFORMS[platform_name][1]:
            command += ["--platform", name]
        target = Path(folder) / "wheels"
        done = subprocess.run([*command, "-d", str(target)], capture_output=True, text=True, env=clean_environment())
        if done.returncode:
            raise CommandError(
                f"The wheels of Python {python} on {platform_name} cannot be fetched:\n{done.stderr.strip()}"
            )
        return folder_size(target)


def _write(path: Path, pins: list[Pin], platform_name: str, python: str) -> None:
    size = _fetch(pins, platform_name, python)
    path.write_text(
        f"# Espalier's engine on {platform_name}, Python {python}\n# download: {round(size / 1e6)} MB\n"
        "# Made by `python3 build.py wheels` from requirements/engine.txt.\n" + _lines(pins),
        encoding="utf-8",
    )
    say(f"  {path.relative_to(ROOT)}: {len(pins)} wheels, {megabytes(size)}")


def refresh(uv: Path) -> None:
    """Resolve ``requirements/engine.txt`` for every platform and Python, fetch the wheels as proof, write the locks."""
    WHEELS.mkdir(exist_ok=True)
    for platform_name in PLATFORMS:
        for python in PYTHONS:
            tag = tag_of(python)
            pins = _resolve(uv, platform_name, python)
            published = "cuda" if any(CUDA_ONLY.match(pin.name) for pin in pins) else "cpu"
            _write(lock_path(platform_name, tag, published), pins, platform_name, python)
            builds = {pin.name: pin for pin in cpu_builds(platform_name, tag)}
            if builds:
                local = [builds.get(pin.name, pin) for pin in pins if not CUDA_ONLY.match(pin.name)]
                _write(lock_path(platform_name, tag, "cpu"), local, platform_name, python)


def main(uv: Path) -> int:
    """``build.py wheels``: make the lock files anew."""
    say("Resolving and fetching the engine's wheels for each platform (several GB pass through a temporary folder).")
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    refresh(uv)
    return 0
