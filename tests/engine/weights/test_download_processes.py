# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads in processes of their own: killed, two at a time, on a disk that fills up."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .downloading import fetch

ROOT = Path(__file__).resolve().parents[3]

DRIVER = """
import importlib.util, json, pickle, resource, signal, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("conftest", {root!r} + "/tests/conftest.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))
from espalier.engine.weights.models_command import say
from espalier.engine.weights.models_folder import ModelsFolder
from espalier.engine.weights.download import download
from espalier.engine.failure import explain
entry = pickle.loads(bytes.fromhex(sys.argv[1]))
limit = int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    download([entry], ModelsFolder(Path(sys.argv[2])), say, True)
except Exception as error:
    problem = explain(error, Path(sys.argv[2]))
    say("failed", problem.sentence, code=problem.code)
    sys.exit(1)
"""


def start(entry, models, server, limit=0):
    """Download in a process of its own, which finds the hub as a user's would: through the environment."""
    import pickle

    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(models.path.parent / "hf"),
        "OMP_NUM_THREADS": "1",
    }
    arguments = [pickle.dumps(entry).hex(), str(models.path), str(limit)]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(root=str(ROOT)), *arguments],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )


def events_of(process):
    out, _ = process.communicate(timeout=300)
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.slow
def test_a_killed_download_goes_on_and_two_at_once_fetch_every_byte_once(single, hub, models, say):
    entry, repositories = single
    server = hub(repositories)
    server.cuts = [300_000] + [0] * 1000
    process = start(entry, models, server)
    deadline = time.monotonic() + 240
    while models.arrived(entry) < 262_144 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert models.arrived(entry) == 262_144
    # Another one: the last request of the killed process may still be on its way to the first.
    server = hub(repositories)
    both = [start(entry, models, server) for _ in range(2)]
    told = [events_of(process) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert models.is_complete(entry) and server.gets() == ["bytes=262144-"]
    assert server.sent == 1_000_003 - 262_144
    assert not (models.path.parent / "hf").exists()
    assert sum(event["event"] == "downloaded" for events in told for event in events) == 1


@pytest.mark.slow
def test_a_disk_that_fills_up_on_the_way_ends_in_a_sentence_and_goes_on_later(single, hub, models, say):
    entry, repositories = single
    server = hub(repositories)
    process = start(entry, models, server, limit=500_000)
    last = events_of(process)[-1]
    assert process.returncode == 1 and last["code"] == "no_space" and "full" in last["text"]
    kept = models.arrived(entry)
    assert 400_000 < kept <= 500_000 and not (models.path.parent / "hf").exists()
    server.requests.clear()
    fetch(entry, models, say)
    assert models.is_complete(entry) and server.gets() == [f"bytes={kept}-"]
