"""Engines for the client's tests: real processes, with jobs that take a fraction of a second."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from espalier.addon.client import EngineClient, JobQueue, JobStore
from espalier.addon.client import engine as engine_module

FAKE = Path(__file__).resolve().with_name("fake_engine.py")


@pytest.fixture(autouse=True)
def own_device(tmp_path, monkeypatch):
    """Keep the device lock of a test away from other engines of the same user."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))


@pytest.fixture
def extension(tmp_path):
    """Return a function that makes an extension folder whose engine is a script (default: the fake engine)."""

    def make(script=f"import runpy; runpy.run_path({str(FAKE)!r}, run_name='__main__')", name="extension"):
        folder = tmp_path / name / "engine"
        folder.mkdir(parents=True)
        (folder / "__main__.py").write_text(script)
        return folder.parent

    return make


@pytest.fixture
def client(tmp_path, extension, monkeypatch):
    """Return a function that makes an engine client, ended after the test. A respawn takes 0.2 s, not 5."""
    monkeypatch.setattr(engine_module, "RESPAWN_SECONDS", 0.2)
    clients = []

    def make(folder=None, name="engine"):
        folder = folder or extension(name=f"extension-{name}")
        clients.append(EngineClient(Path(sys.executable), folder, tmp_path / f"{name}.log"))
        return clients[-1]

    yield make
    for made in clients:
        made.shutdown(0.5)


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path / "jobs")


@pytest.fixture
def queue(store, client):
    return JobQueue(store, client())


@pytest.fixture
def order(store):
    """Return a function that stores a job for the fake engine."""

    def make(kind="generate", name="chair", **settings):
        return store.create({"kind": kind, "name": name, "settings": settings, "seed": 1}, b"image bytes" * 50, ".png")

    return make


@pytest.fixture
def mounted(tmp_path):
    """Return a function that mounts a small disk at a folder; needs root and skips without."""
    places = []

    def mount(options):
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        if os.name == "nt" or os.geteuid() != 0:
            pytest.skip("mounting a small disk needs root")
        if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True).returncode:
            pytest.skip("this machine does not allow mounting")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)
