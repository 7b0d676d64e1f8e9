"""What several tests of the process link need."""

import json
import time
from hashlib import sha256
from pathlib import Path


def until(condition, pump=None, seconds=120.0):
    """Pump until the condition holds; fail loudly when it does not in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if pump is not None:
            pump()
        result = condition()
        if result:
            return result
        time.sleep(0.005)
    raise AssertionError(f"not within {seconds} s")


def reach(queue, job, stage, step=0):
    """Pump until the job is at ``step`` of ``stage`` or later in it; fail at once when it ends before."""
    until(lambda: job.ended or (job.stage == stage and job.step >= step), queue.poll)
    assert not job.ended, f"{job.state} before {stage}: {job.problem}"


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def assert_no_half_files(folder):
    """Every file that has its final name is whole: JSON parses, sealed files match their hash."""
    for path in Path(folder).rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix == ".json":
            json.loads(path.read_text())
        if path.suffix == ".bin":
            data = path.read_bytes()
            assert data[:32] == sha256(data[32:]).digest(), path
