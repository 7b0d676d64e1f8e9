# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender with the extension installed from its zip: the application in a window where that can be, else the wheel."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import package
from ..console import ROOT, CommandError, clean_environment
from .rig import PATIENCE

TOOL = ROOT / "tests" / "ui" / "blender_root.py"
SUITE = "sid"
INSIDE = Path(__file__).with_name("inside_blender.py")
WITHOUT_ADDON = Path(__file__).with_name("without_addon.py")
SIZE = "1600x1000"
_SET_UP_SECONDS = 900
_SCREEN_SECONDS = 60


class Blender:
    """Starts Blenders that share one user folder and one data folder, as those of one artist do.

    Without ``window`` the application draws nothing, which leaves the processor to what is measured.
    """

    def __init__(self, folder: Path, window: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.data = folder, folder / "share" / "espalier"
        self._zip = folder / "espalier.zip"
        self._screen: subprocess.Popen[bytes] | None = None
        self._display = ""
        (folder / "tmp").mkdir()
        package.write_package(self._zip)
        self.is_application = _can_be_set_up()
        self._window = window and self.is_application
        if self.is_application:
            self._install()
        if self._window:
            self._open_screen()

    @property
    def kind(self) -> str:
        """Which Blender it is, for people."""
        where = "in a window" if self._window else "without a window"
        return f"Blender 5.2 {where}" if self.is_application else "the bpy wheel"

    def start(self, name: str, script: Path = INSIDE, **task: Any) -> subprocess.Popen[bytes]:
        """Start a Blender that does the ``task`` of ``script`` and notes what happens in the folder ``name``.

        The process is Blender itself. Its words go to ``<name>/blender.log``.
        """
        notes = self.folder / name
        notes.mkdir(parents=True, exist_ok=True)
        told = {"notes": str(notes), "python": sys.executable, "zip": str(self._zip), **task}
        (notes / "task.json").write_text(json.dumps(told), encoding="utf-8")
        if self.is_application:
            command = [*self._inside(), "/usr/bin/blender", *(self._on_screen() if self._window else ["--background"])]
            command += ["--python-exit-code", "1", "--python", str(script), "--", str(notes / "task.json")]
        else:
            command = [sys.executable, "-I", "-X", "utf8", str(script), "--", str(notes / "task.json")]
        with (notes / "blender.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )

    def close(self) -> None:
        """Close the screen."""
        if self._screen is not None:
            self._screen.terminate()
            self._screen.wait()
            self._screen = None

    @staticmethod
    def _on_screen() -> list[str]:
        width, height = SIZE.split("x")
        geometry = ["--window-geometry", "0", "0", width, height, "--no-window-focus"]
        return ["--gpu-backend", "opengl", "-setaudio", "None", *geometry]

    def _inside(self) -> list[str]:
        return [sys.executable, str(TOOL), "exec", SUITE, "--"]

    def _environment(self) -> dict[str, str]:
        temporary = str(self.folder / "tmp")
        return clean_environment(
            BLENDER_USER_RESOURCES=str(self.folder / "user"),
            XDG_DATA_HOME=str(self.folder / "share"),
            XDG_RUNTIME_DIR=temporary,
            TMPDIR=temporary,
            DISPLAY=self._display,
            LIBGL_ALWAYS_SOFTWARE="1",
            ALSOFT_DRIVERS="null",
            SDL_AUDIODRIVER="dummy",
        )

    def _install(self) -> None:
        command = [sys.executable, str(TOOL), "run", SUITE, "--", "--command", "extension", "install-file"]
        done = subprocess.run(
            [*command, "-r", "user_default", "-e", str(self._zip)],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        if done.returncode:
            raise CommandError(f"The extension could not be installed: {done.stderr.strip().splitlines()[-1:]}")

    def _open_screen(self) -> None:
        read, write = os.pipe()
        command = [*self._inside(), "/usr/bin/Xvfb", "-displayfd", str(write), "-screen", "0", f"{SIZE}x24"]
        with (self.folder / "screen.log").open("wb") as log:
            self._screen = subprocess.Popen(
                [*command, "-nolisten", "tcp", "-noreset", "+extension", "GLX"],
                pass_fds=(write,),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        os.close(write)
        number = b""
        try:
            while not number.endswith(b"\n"):
                piece = os.read(read, 16) if select.select([read], [], [], _SCREEN_SECONDS)[0] else b""
                if not piece:
                    raise CommandError(f"The screen did not open; its words are in {self.folder / 'screen.log'}.")
                number += piece
        finally:
            os.close(read)
        self._display = f":{number.decode().strip()}"


def _can_be_set_up() -> bool:
    """Whether the application is there, or could be fetched; setting it up needs root and Debian's packages."""
    # A Python of the system is not the same inside the application's root.
    if os.environ.get("ESPALIER_NO_BLENDER") or Path(sys.executable).resolve().is_relative_to("/usr"):
        return False
    done = subprocess.run([sys.executable, str(TOOL), "setup", SUITE], capture_output=True, timeout=_SET_UP_SECONDS)
    return done.returncode == 0


def wait_for(condition: Callable[[], Any], process: subprocess.Popen[bytes], seconds: float = PATIENCE) -> bool:
    """Wait until the condition holds; false when the process ends first. Raises CommandError for a hang."""
    deadline = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            return bool(condition())
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            raise CommandError(f"Blender did nothing that was waited for in {seconds:.0f} s.")
        time.sleep(0.01)
    return True
