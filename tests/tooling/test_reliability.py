# SPDX-License-Identifier: GPL-3.0-or-later
"""The trials of ``build.py reliability``, small: they pass where nothing is lost, and notice what is broken."""

import mmap
import os
import random

import pytest
from espalier.addon.client import JobStore
from espalier.tests.tiny_set import write_tiny_set
from espalier.tooling.reliability_trials import blender_app, rig
from espalier.tooling.reliability_trials.blender_trials import blender_kills, two_blenders
from espalier.tooling.reliability_trials.engine_kills import engine_kills
from espalier.tooling.reliability_trials.figures import Figure, Outcome, table
from espalier.tooling.reliability_trials.fuzzed_frames import fuzzed_frames


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("set"))


@pytest.fixture
def wheel(monkeypatch):
    """Blender is the wheel: the application has tests of its own, and is slow to start."""
    pytest.importorskip("bpy")
    monkeypatch.setattr(blender_app, "_can_be_set_up", lambda: False)


def test_an_engine_that_is_killed_loses_no_job(tmp_path, model):
    outcome = engine_kills(tmp_path, model, 2, 0, random.Random(1))
    assert outcome.good, outcome.text


def test_altered_messages_stop_neither_engine_nor_client(tmp_path, model):
    outcome = fuzzed_frames(tmp_path, model, 60)
    assert outcome.good, outcome.text


@pytest.mark.blender
@pytest.mark.slow
def test_a_blender_that_is_killed_loses_no_job(tmp_path, model, wheel):
    outcome = blender_kills(tmp_path, model, 2, random.Random(2))
    assert outcome.good, outcome.text


@pytest.mark.blender
@pytest.mark.slow
def test_two_blenders_do_each_job_once(tmp_path, model, wheel):
    outcome = two_blenders(tmp_path, model, 2)
    assert outcome.good, outcome.text


def test_half_files_are_noticed(tmp_path):
    store = JobStore(tmp_path / "jobs")
    job = store.create({"name": "cup"}, b"x", ".jpg")
    assert rig.half_files(store) == []
    broken = {
        "a.json": b'{"x": ',
        "b.npz": b"PK\x03\x04 half",
        "c.png": b"\x89PNG half",
        "d.safetensors": b'\x40\0\0\0\0\0\0\0{"t":',
    }
    for name, content in broken.items():
        (job.folder / name).write_bytes(content)
    assert {path.name for path in rig.half_files(store)} == set(broken)


def test_what_misses_its_limit_is_told_and_a_kept_record_comes_back():
    outcome = Outcome([Figure("Lost", 0, 0), Figure("Tick", 21.5, 20.0, "ms", "finish")], ["Done twice."])
    assert not outcome.good
    text = table([Outcome.of(outcome.record())])
    assert "| Lost | 0 | ≤ 0 | reached |" in text and "| Tick | 21.5 ms | ≤ 20 ms | **missed** | finish |" in text
    assert "* Done twice." in text


def test_memory_is_what_a_process_works_with_and_not_the_files_that_it_reads(tmp_path):
    size = 64 << 20
    file = tmp_path / "program"
    file.write_bytes(bytes(size))
    before, _ = rig.memory_of(os.getpid())
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert sum(mapped[place] for place in range(0, size, 4096)) == 0
        reading, _ = rig.memory_of(os.getpid())
    held = bytearray(b"x") * size
    working, _ = rig.memory_of(os.getpid())
    assert reading - before < 0.1 * size
    assert working - reading > 0.9 * len(held)
    assert rig.memory_of(0) == (0, 0)
