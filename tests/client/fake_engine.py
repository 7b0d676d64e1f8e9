"""An engine whose jobs are quick and misbehave on request; the server, the pipes and the files are the real ones.

Started by the client in place of ``engine/__main__.py``. A request's ``settings`` say what the job does.
"""

import ctypes
import errno
import hashlib
import importlib.util
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAGES = ("prepare", "structure", "shape", "finish")


def load_package():
    spec = importlib.util.spec_from_file_location(
        "espalier", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["espalier"] = package
    spec.loader.exec_module(package)


load_package()

from espalier.engine import server  # noqa: E402
from espalier.engine.errors import EspalierError  # noqa: E402


def sealed(data):
    """Return data with its own hash in front, so that half a file is recognised."""
    return hashlib.sha256(data).digest() + data


def generate(job, report, cancelled):
    """Work in four stages of some steps each, and write a sealed file after each.

    In the stage that ``hold`` names it stays until the job folder has a file "go on", or is gone.
    """
    settings = job.request()["settings"]
    data = job.file(job.request()["input"]).read_bytes()
    for stage in STAGES:
        for step in range(settings.get("steps", 3)):
            report(stage, step, settings.get("steps", 3))
            time.sleep(settings.get("pause", 0.01))
        while stage == settings.get("hold") and job.path.exists() and not job.file("go on").exists():
            report(stage, 0, settings.get("steps", 3))
            time.sleep(0.01)
        job.write_bytes(f"{stage}.bin", sealed(data * settings.get("copies", 1)))
        job.save_random_state(stage, stage.encode() * 100)
        report.preview(stage, f"{stage}.bin")
    job.write_json("result.json", {"stages": list(STAGES)})
    return {"result": "result.json"}


def deaf(job, report, cancelled):
    """Look neither left nor right, with a helper process of its own."""
    report("deaf", 0, 1)
    helper = subprocess.Popen(["sleep", "600"])
    job.write_json("helper.json", {"pid": helper.pid})
    while True:
        time.sleep(0.05)


def chatter(job, report, cancelled):
    """Print in every way there is."""
    for line in range(200):
        report("chatter", line, 200)
        if line == 100:
            report.tell("Half of it is said")
        print("a line on stdout", line)
        sys.stdout.write("another\n")
        os.write(1, b"bytes on descriptor 1\n")
    subprocess.run(
        [sys.executable, "-c", "print('from a child'); import sys; print(repr(sys.stdin.read()))"], check=True
    )
    return {}


def fail(job, report, cancelled):
    """Raise what the request names."""
    report("fail", 0, 1)
    raise {
        "sentence": EspalierError("no_subject", "No subject was found in the image. Choose another one.", "hint"),
        "full": OSError(errno.ENOSPC, "No space left on device"),
        "denied": PermissionError(errno.EACCES, "Permission denied", "/somewhere"),
        "memory": MemoryError(),
        "module": ModuleNotFoundError("No module named 'torch'", name="torch"),
        "exit": SystemExit(7),
        "other": ValueError("something odd"),
    }[job.request()["settings"]["with"]]


def small_files(job, report, cancelled):
    """Meet the system's limit on the size of a file."""
    report("small_files", 0, 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    job.write_bytes("large.bin", bytes(100_000))
    return {}


def slow_disk(job, report, cancelled):
    """Have a disk that, the first time, takes a second for what is written last, and end as the request says."""
    report("slow_disk", 0, 1)
    write, again = job.write_json, job.file("again")

    def slowly(name, value):
        time.sleep(1.0)
        return write(name, value)

    if not again.exists():
        again.touch()
        job.write_json = slowly
    return fail(job, report, cancelled) if "with" in job.request()["settings"] else {}


def segfault(job, report, cancelled):
    """Crash as a broken native library does."""
    report("segfault", 0, 1)
    ctypes.string_at(0)


def garbage(job, report, cancelled):
    """Write into the messages."""
    report("garbage", 0, 1)
    STDOUT.write(b"Fatal error: this is no message\n")
    time.sleep(60)


def bad_frames(job, report, cancelled):
    """Send frames that are no messages, between good ones."""
    for body in (b"\xff\xfe", b"[1, 2]", b'{"v": 1, "kind": "surprise"}', b'{"v": 1, "kind": "progress", "job": 3}'):
        report("bad_frames", 0, 1)
        STDOUT.write(len(body).to_bytes(4, "big") + body)
    return {}


HANDLERS = {
    handler.__name__: handler
    for handler in (generate, deaf, chatter, fail, small_files, slow_disk, segfault, garbage, bad_frames)
}

if __name__ == "__main__":
    STDIN, STDOUT = server.take_standard_streams()
    sys.exit(server.serve(STDIN, STDOUT, HANDLERS, release=lambda: print("models released", file=sys.stderr)))
