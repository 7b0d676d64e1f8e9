# SPDX-License-Identifier: GPL-3.0-or-later
"""The trials of ``build.py reliability``, small: they pass where nothing is lost, and notice what is broken."""

import random

import pytest
from espalier.addon.client import JobStore
from espalier.tests.tiny_set import write_tiny_set
from espalier.tooling import reliability


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("set"))


def test_an_engine_that_is_killed_loses_no_job(tmp_path, model):
    outcome = reliability.engine_kills(tmp_path, model, 2, random.Random(1))
    assert outcome.good, outcome.text
    assert reliability.store_is_readable(tmp_path).good


@pytest.mark.blender
def test_a_blender_that_is_killed_loses_no_job(tmp_path, model):
    pytest.importorskip("bpy")
    outcome = reliability.blender_kills(tmp_path, model, 2, random.Random(2))
    assert outcome.good, outcome.text


def test_half_files_are_noticed(tmp_path):
    store = JobStore(tmp_path / "jobs")
    job = store.create({"name": "cup"}, b"x", ".jpg")
    assert reliability.half_files(store) == []
    for name, content in (("a.json", b'{"x": '), ("b.npz", b"PK\x03\x04 half"), ("c.png", b"\x89PNG half")):
        (job.folder / name).write_bytes(content)
    assert {path.name for path in reliability.half_files(store)} == {"a.json", "b.npz", "c.png"}
