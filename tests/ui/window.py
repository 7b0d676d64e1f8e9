# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender with a window on a screen of its own (Xvfb), with a script that clicks in it."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import picture
from blender_root import HERE, base_env, die, enter, say, setup


def die_with_parent():
    """Should this script be killed outright, its children get SIGTERM."""
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def stop(p, name, grace=5):
    """End a process this script started, by its pid."""
    if p.poll() is None:
        p.terminate()
        try:
            p.wait(grace)
        except subprocess.TimeoutExpired:
            say(f"{name} did not end, killing pid {p.pid}")
            p.kill()
            p.wait()


def start_screen(root, suite, width, height, work):
    """Start an X server whose picture lies in ``work``; return its process and its display."""
    read, write = os.pipe()
    command = ["/usr/bin/Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-fbdir", str(work)]
    command += ["-nolisten", "tcp", "-noreset", "+extension", "GLX"]
    with open(work / "xvfb.log", "w") as log:
        process = subprocess.Popen(
            enter(root, command),
            pass_fds=(write,),
            env=base_env(suite),
            preexec_fn=die_with_parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    os.close(write)
    number = b""
    while not number.endswith(b"\n"):
        if not select.select([read], [], [], 60)[0]:
            stop(process, "Xvfb")
            die("Xvfb did not come up:\n" + (work / "xvfb.log").read_text()[-2000:])
        piece = os.read(read, 16)
        if not piece:
            die("Xvfb ended:\n" + (work / "xvfb.log").read_text()[-2000:])
        number += piece
    os.close(read)
    return process, ":" + number.decode().strip()


def ui(suite, o, args):
    """Run a script in Blender's window and end with its status; see ``blender_root.py ui``."""
    root = setup(suite)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` ends what was started
    width, height = map(int, o.size.split("x"))
    work = Path(tempfile.mkdtemp(prefix="blender-ui-"))
    processes = []
    status, started = 1, time.time()
    try:
        screen, display = start_screen(root, suite, width, height, work)
        processes.append((screen, "Xvfb"))
        shot = os.path.abspath(o.screenshot) if o.screenshot else ""
        if shot:
            Path(shot).parent.mkdir(parents=True, exist_ok=True)
            for file in (shot, re.sub(r"(\.\w+)$", r".blender\1", shot)):
                with contextlib.suppress(OSError):
                    os.unlink(file)
        script = os.path.abspath(o.script) if o.script else ""
        config = {"fbdir": str(work), "screenshot": shot, "script": script, "wait": o.wait, "ui_scale": o.ui_scale}
        env = base_env(suite, {"DISPLAY": display, "BLENDER_ROOT_UI": json.dumps(config)})
        env.update(LIBGL_ALWAYS_SOFTWARE="1", XDG_RUNTIME_DIR=str(work), TMPDIR=str(work))
        env.update(ALSOFT_DRIVERS="null", SDL_AUDIODRIVER="dummy")
        env.pop("WAYLAND_DISPLAY", None)
        command = ["/usr/bin/blender", *([] if o.keep_prefs else ["--factory-startup"]), "--gpu-backend", o.backend]
        command += ["--window-geometry", "0", "0", str(width), str(height), "--no-window-focus", "-setaudio", "None"]
        command += ["--python-exit-code", "1", *args, "--python", str(HERE / "driver.py")]
        say(f"Xvfb pid {screen.pid} on {display} after {time.time() - started:.1f} s; starting Blender")
        blender = subprocess.Popen(enter(root, command), env=env, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
        processes.append((blender, "blender"))
        try:
            status = blender.wait(o.timeout)
        except subprocess.TimeoutExpired:
            status = 124
            say(f"Blender (pid {blender.pid}) still running after {o.timeout} s")
            if shot:
                late = re.sub(r"(\.\w+)$", r".timeout\1", shot)
                picture.png(late, *picture.xframe(str(work)))
                say("picture of that moment:", late)
        if status == 0 and shot and not os.path.exists(shot):
            say("Blender ended well but there is no screenshot")
            status = 3
    finally:
        for process, name in reversed(processes):
            stop(process, name)
        if status == 0 and not o.keep:
            shutil.rmtree(work, ignore_errors=True)
        else:
            say(f"left for inspection: {work}")
    say(f"ui rc={status} in {time.time() - started:.1f} s")
    sys.exit(status if status >= 0 else 128 - status)
