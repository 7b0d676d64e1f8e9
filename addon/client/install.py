# SPDX-License-Identifier: GPL-3.0-or-later
"""Install Engine: a virtual environment in ``<data>/engine``, from the hash-checked lock file that came with the
extension.

It is made beside its place and takes it only when it works, so a cancelled or failed installation leaves the engine
that was there. The lock files in ``wheels`` (``lock-<platform>-<tag>-<device>.txt``) name every package with version
and hash; where packages come from is pip's own configuration, or the wheels themselves where the extension carries
them.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, TypeVar

from ...engine.protocol import try_lock
from .errors import ClientError, Problem, from_os_error
from .process import PATIENT_THREADS, clean_environment, engine_command, environment_python, group_options, kill

T = TypeVar("T")
Steps = Generator[None, None, T]

_PROBE = "import sys, venv, ensurepip; print('cp%d%d' % sys.version_info[:2])"
_VERIFY = "import numpy, safetensors, torch; print('torch', torch.__version__)"
_REMOVE = "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)"
_AGAIN = "Install the engine again; what was downloaded is kept."
# Room for a download, pip's copy of it, and the unpacked packages, per byte of the download.
_SPACE = 4
_DIST_INFO = "Lib/site-packages/*.dist-info" if os.name == "nt" else "lib/python*/site-packages/*.dist-info"
_LOOK_SECONDS = 0.5
# Of the first object that a new engine makes; half a minute on two processors, most of it compiling.
_TRIAL_SECONDS = 300.0


def platform_name(system: str = "", machine: str = "") -> str:
    """Return the platform as lock files are named: linux-x86_64, windows-x86_64, macos-arm64. Default: this machine."""
    system, machine = system or platform.system(), machine or platform.machine()
    return f"{'macos' if system == 'Darwin' else system.lower()}-{_machine(machine)}"


def lock_files(extension: Path) -> dict[str, list[Path]]:
    """Return this platform's lock files by Python tag ("cp311"), the one that suits this machine's graphics card
    first.
    """
    devices = ("cuda", "cpu") if shutil.which("nvidia-smi") else ("cpu", "cuda")
    found: dict[str, list[Path]] = {}
    for device in devices:
        for path in sorted((extension / "wheels").glob(f"lock-{platform_name()}-cp*-{device}.txt")):
            found.setdefault(path.stem.split("-")[-2], []).append(path)
    return found


def download_bytes(lock: Path) -> int:
    """Return how much a lock file makes pip download, as its head says; 0 when it does not."""
    match = re.search(r"^# download: (\d+) MB$", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return int(match[1]) * 1_000_000 if match else 0


def carries_wheels(extension: Path) -> bool:
    """Return whether the package brings the wheels along, so that nothing is downloaded."""
    return next((extension / "wheels").glob("*.whl"), None) is not None


class EngineInstall:
    """One run of the installation, moved on by ``poll`` without ever waiting.

    ``text`` and ``fraction`` (0 to 1) say how far it is; once ``done``, ``problem`` says why it failed, if it did.
    Stop an engine that runs from ``<data>/engine`` before the end. ``blender_python`` is tried before the Pythons of
    the system.
    """

    def __init__(self, data: Path, extension: Path, blender_python: Path | None = None) -> None:
        self.data, self.extension = data, extension
        self.log_file = data / "logs" / "install.log"
        self.text, self.fraction = "Preparing", 0.0
        self.done = self.cancelled = False
        self.problem: Problem | None = None
        self._blender_python = blender_python or Path(sys.executable)
        self._new = data / "engine-new"
        self._alive = data / "engine-new.alive"
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._steps = self._run()

    def poll(self) -> bool:
        """Move on; true when ``text``, ``fraction`` or ``done`` changed."""
        before = self.text, self.fraction, self.done
        if not self.done:
            try:
                next(self._steps)
            except StopIteration:
                self.done = True
            except ClientError as error:
                self.problem, self.done = error.problem, True
            except OSError as error:
                self.problem, self.done = from_os_error(error, self.data).problem, True
            if self.done:
                self._leave()
        return before != (self.text, self.fraction, self.done)

    def cancel(self) -> None:
        """End the installation now. The engine that was there before stays."""
        if not self.done:
            self._steps.close()
            self.cancelled = self.done = True
            self._leave()

    # ---------------------------------------------------------------------------------------------------------- steps

    def _run(self) -> Steps[None]:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self._claim()
        self.log_file.write_bytes(b"")
        python, locks = yield from self._choose_python()
        for folder in (self._new, *self.data.glob("engine-trash-*")):
            yield from self._remove(python, folder)
        self.text, self.fraction = "Making the environment", 0.02
        output = yield from self._call([str(python), "-I", "-m", "venv", str(self._new)])
        if output.status:
            self._fail("install", f"The environment could not be made. {_AGAIN}", output.last)
        for lock in locks:
            self._check_space(download_bytes(lock))
            output = yield from self._install(lock)
            # A CPU build of torch may have to be on the machine already; the other lock has what everyone can fetch.
            if not output.status or "No matching distribution found for torch" not in output.text:
                break
        if output.status:
            self._explain(output)
        self.text, self.fraction = "Checking", 0.95
        output = yield from self._call([str(environment_python(self._new)), "-I", "-c", _VERIFY])
        if output.status:
            self._fail("engine_check", f"The new engine does not run. {_AGAIN}", output.last)
        self._take_place()
        yield from self._remove(python, self.data / "engine-old")
        yield from self._try_out(python)
        self.text, self.fraction = "Installed", 1.0

    def _choose_python(self) -> Steps[tuple[Path, list[Path]]]:
        """Return a Python that there are lock files for and that can make environments, and those files."""
        locks = lock_files(self.extension)
        if not locks:
            self._fail("no_lock", f"There is no engine for {platform_name()} yet.", "")
        versions = [f"{tag[2]}.{tag[3:]}" for tag in locks]
        names = [*(f"python{version}" for version in versions), "python3", "python"]
        candidates = [str(self._blender_python), *(path for name in names if (path := shutil.which(name)))]
        for candidate in dict.fromkeys(candidates):
            try:
                output = yield from self._call([candidate, "-I", "-c", _PROBE])
            except OSError:
                continue
            if output.status == 0 and output.last in locks:
                return Path(candidate), locks[output.last]
        self._fail(
            "no_python",
            f"No Python that can make the engine was found. Install Python {' or '.join(versions)}, then try again.",
            f"Blender's own Python is {platform.python_version()}.",
        )

    def _install(self, lock: Path) -> Steps[_Output]:
        """Install exactly what a lock file says; what pip has fetched so far tells how far it is."""
        temporary = self._new / "tmp"
        temporary.mkdir(exist_ok=True)
        command = [str(environment_python(self._new)), "-I", "-m", "pip", "install", "--no-deps", "--require-hashes"]
        command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "-r", str(lock)]
        if carries_wheels(self.extension):
            command += ["--no-index", "--find-links", str(self.extension / "wheels")]
        total, looked = max(download_bytes(lock), 1), 0.0
        packages = max(lock.read_text(encoding="utf-8").count("=="), 1)
        pip = self._call(command, {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")})
        self.text = "Downloading"
        while True:
            try:
                next(pip)
            except StopIteration as ended:
                shutil.rmtree(temporary, ignore_errors=True)
                return ended.value
            if time.monotonic() - looked >= _LOOK_SECONDS:
                looked = time.monotonic()
                fetched = min(_folder_size(temporary), total)
                if b"Installing collected" in self.log_file.read_bytes()[-4096:]:
                    unpacked = sum(1 for _ in self._new.glob(_DIST_INFO))
                    self.text, self.fraction = "Unpacking", 0.75 + 0.2 * min(1.0, unpacked / packages)
                elif fetched:
                    self.text = f"Downloading {fetched // 1_000_000} of {total // 1_000_000} MB"
                    self.fraction = max(self.fraction, 0.05 + 0.7 * fetched / total)
            yield

    def _try_out(self, python: Path) -> Steps[None]:
        """Let the new engine make an object for the log: this compiles what would keep the first job waiting.

        The engine is installed by now. Whatever comes of this, the self-test tells it as well.
        """
        self.text, self.fraction = "Making a first object", 0.97
        folder, end = self.data / "engine" / "first-object", time.monotonic() + _TRIAL_SECONDS
        folder.mkdir()
        engine = environment_python(self.data / "engine")
        trial = self._call(
            engine_command(engine, self.extension, "doctor", "--self-test", str(folder)), PATIENT_THREADS
        )
        for _ in trial:
            if time.monotonic() > end:
                trial.close()
                break
            yield
        yield from self._remove(python, folder)

    def _take_place(self) -> None:
        """Put the new environment where the engine is looked for; the old one goes only then."""
        place, old = self.data / "engine", self.data / "engine-old"
        try:
            if place.exists():
                place.rename(old)
            self._new.rename(place)
        except PermissionError as error:
            sentence = "The old engine is in use. Close other Blenders, then install the engine again."
            self._fail("engine_in_use", sentence, error.strerror or "")

    def _remove(self, python: Path, folder: Path) -> Steps[None]:
        """Delete a folder in a process of its own: an environment has ten thousands of files."""
        if folder.exists():
            yield from self._call([str(python), "-I", "-c", _REMOVE, str(folder)])

    # -------------------------------------------------------------------------------------------------------- insides

    def _call(self, command: list[str], extra: Mapping[str, str] = MappingProxyType({})) -> Steps[_Output]:
        """Run a program with its output in the log; return status and output. Closing the steps kills it."""
        with self.log_file.open("ab") as log:
            log.write(f"$ {' '.join(command)}\n".encode("utf-8", "replace"))
            log.flush()
            start = log.tell()
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**clean_environment(), **extra},
                **({"pass_fds": (self._lock,)} if os.name == "posix" and self._lock is not None else {}),
                **group_options(),
            )
        try:
            while process.poll() is None:
                yield
        finally:
            if process.poll() is None:
                kill(process)
                process.wait()
        with self.log_file.open("rb") as log:
            log.seek(start)
            return _Output(process.returncode, log.read().decode("utf-8", "replace"))

    def _claim(self) -> None:
        """Refuse to work on the same folder as another Blender, or as a program that one that died had started.

        The programs inherit the lock: it is free when the last of them is gone.
        """
        lock = os.open(self._alive, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # One that ended in this moment has taken its file away: what we locked is no file any more.
            busy = not try_lock(lock) or os.fstat(lock).st_nlink == 0
        except OSError:
            # A shared disk without locks: nobody can tell.
            busy = False
        if busy:
            os.close(lock)
            self._fail("busy", "Another Blender is installing the engine. Wait until it is done.", "")
        self._lock = lock

    def _leave(self) -> None:
        """Clear away what a failed or cancelled run made, without waiting for it; the next run clears what resists."""
        if self._lock is not None:
            if self._new.exists():
                trash = self.data / f"engine-trash-{secrets.token_hex(4)}"
                with contextlib.suppress(OSError):
                    self._new.rename(trash)
                    subprocess.Popen([str(self._blender_python), "-I", "-c", _REMOVE, str(trash)], **group_options())
            # Windows does not let go of a file that is open; there it stays.
            with contextlib.suppress(PermissionError):
                self._alive.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _check_space(self, size: int) -> None:
        free = shutil.disk_usage(self.data).free
        if free < _SPACE * size:
            where = f"The engine needs {_SPACE * size / 1e9:.1f} GB in {self.data}, where {free / 1e9:.1f} GB are free."
            self._fail("no_space", f"{where} Free some space, or choose another data folder.", "")

    def _explain(self, output: _Output) -> NoReturn:
        text = output.text
        if "DO NOT MATCH THE HASHES" in text:
            sentence = "A package is not the one that Espalier was made with, and was refused. Try again later."
            self._fail("bad_hash", sentence, output.last)
        if "No space left" in text or "not enough space" in text:
            sentence = f"The disk that holds {self.data} is full. Free some space, then install the engine again."
            self._fail("no_space", sentence, output.last)
        if "Permission denied" in text or "Access is denied" in text:
            self._fail("not_writable", f"Espalier may not write in {self.data}. Allow it, then try again.", output.last)
        if carries_wheels(self.extension) and "No matching distribution" in text:
            sentence = "The package lacks a part of the engine for this Python. Download the package again."
            self._fail("incomplete_package", sentence, output.last)
        if re.search(r"certificate (has expired|is not yet valid)", text):
            sentence = (
                f"By this computer's clock a certificate of the download is not valid. Set date and time. {_AGAIN}"
            )
            self._fail("no_network", sentence, output.last)
        if re.search(r"[Cc]onnection|No matching distribution|timed out|resolve|SSL|Network", text):
            self._fail("no_network", f"The engine could not be downloaded. Check the connection. {_AGAIN}", output.last)
        self._fail("install", f"The engine's packages could not be installed. {_AGAIN}", output.last)

    def _fail(self, code: str, sentence: str, hint: str) -> NoReturn:
        raise ClientError(code, sentence, hint, str(self.log_file))


class _Output:
    """What a program said. ``last`` is its last error line, else its last line."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")]
        self.last = (errors or lines or [""])[-1][:300]


def _machine(name: str) -> str:
    return {"amd64": "x86_64", "aarch64": "arm64"}.get(name.lower(), name.lower())


def _folder_size(folder: Path) -> int:
    total = 0
    for parent, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total
