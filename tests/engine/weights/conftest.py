# SPDX-License-Identifier: GPL-3.0-or-later
"""A small model set, the hub that offers it, and the events of what is done with it."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest

from .hub_server import HubServer

OWN, OTHER = "test/tiny", "test/decoders"


def read_folder(folder):
    """{path: bytes} of a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def entry_of(name, parts, **options):
    """A published set of {repository: {path in the set: (source, content, known)}}: hashes only where ``known``."""
    from espalier.engine.weights.registry import MIT, Part, PublishedFile, PublishedSet

    return PublishedSet(
        name=name,
        purpose="For tests.",
        check=options.pop("check", "networks"),
        parts=tuple(
            Part(
                repository,
                "main",
                MIT,
                tuple(
                    PublishedFile(path, source, len(content), hashlib.sha256(content).hexdigest())
                    if known
                    else PublishedFile(path, source)
                    for path, (source, content, known) in files.items()
                ),
            )
            for repository, files in parts.items()
        ),
        **options,
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The tiny model set as the released one is published: one network comes from another repository.

    Returns (entry, {repository: {path: bytes}}, folder with the set as it shall lie on disk).
    """
    import json

    from espalier.tests.tiny_set import pipeline, write_tiny_set

    folder = write_tiny_set(tmp_path_factory.mktemp("tiny"))
    stem = "ckpts/sparse_structure_decoder"
    for ending in (".json", ".safetensors"):
        place = folder / OTHER / f"{stem}{ending}"
        place.parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}{ending}").rename(place)
    document = pipeline(2)
    document["args"]["models"]["sparse_structure_decoder"] = f"{OTHER}/{stem}"
    (folder / "pipeline.json").write_text(json.dumps(document))
    files = read_folder(folder)
    known = {path for path in files if path.endswith(".safetensors") or path == "pipeline.json"}
    ours = {path: content for path, content in files.items() if not path.startswith(OTHER)}
    theirs = {path.removeprefix(f"{OTHER}/"): content for path, content in files.items() if path.startswith(OTHER)}
    parts = {
        OWN: {path: (path, content, path in known) for path, content in ours.items()},
        OTHER: {f"{OTHER}/{path}": (path, content, True) for path, content in theirs.items()},
    }
    return entry_of("Tiny", parts), {OWN: ours, OTHER: theirs}, folder


@pytest.fixture(scope="session")
def single():
    """A set of one file of 1 MB, and its repositories."""
    content = np.random.default_rng(0).bytes(1_000_003)
    entry = entry_of("Single", {"test/single": {"onnx/model.onnx": ("onnx/model.onnx", content, True)}}, check="file")
    return entry, {"test/single": {"onnx/model.onnx": content}}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Return a function that starts a hub with some repositories; huggingface_hub of this process asks that one."""
    import huggingface_hub.constants as constants
    import huggingface_hub.utils._http as http

    started = []

    def start(repositories):
        server = HubServer({name: dict(files) for name, files in repositories.items()})
        started.append(server)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        return server

    # Only the user's own token may open a gate, never one of whoever runs the tests.
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "tokens"))
    monkeypatch.setattr(http.time, "sleep", lambda seconds: None)
    yield start
    for server in started:
        server.close()


class Events(list):
    """What was said: (event, fields). Called like ``say``."""

    def __call__(self, event, text="", **fields):
        self.append((event, {"text": text, **fields}))

    def of(self, kind):
        return [fields for event, fields in self if event == kind]


@pytest.fixture
def say():
    return Events()


@pytest.fixture
def models(tmp_path):
    from espalier.engine.weights.models_folder import ModelsFolder

    return ModelsFolder(tmp_path / "data" / "models")


def without_checksums(entry):
    """The same set with nothing published about its files."""
    from espalier.engine.weights.registry import PublishedFile

    parts = tuple(
        dataclasses.replace(part, files=tuple(PublishedFile(file.path, file.source) for file in part.files))
        for part in entry.parts
    )
    return dataclasses.replace(entry, parts=parts)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The published set's descriptions, in full size and without weights, on a graphics card."""
    from espalier.engine.weights.model_set import load_model_set
    from espalier.engine.weights.released import CONFIGURATIONS, NETWORKS

    folder = tmp_path_factory.mktemp("published")
    for name in ("pipeline.json", "texturing_pipeline.json"):
        shutil.copy(CONFIGURATIONS / name, folder / name)
    for network in NETWORKS.values():
        path = folder / network.path
        path.parent.mkdir(parents=True, exist_ok=True)
        if network.name == "DINOv3ViT":
            (path.parent / "config.json").write_text(json.dumps(network.args))
            (path.parent / "model.safetensors").touch()
        else:
            description = {"name": network.name, "args": network.args}
            path.with_name(path.name + ".json").write_text(json.dumps(description))
    return load_model_set(folder, "cuda")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A set of all the released kinds, next to no width."""
    from espalier.tests.engine.pipelines.released_set import write_released_set

    return write_released_set(tmp_path_factory.mktemp("small") / "set")
