# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of jobs that Blender builds from: damaged ones are refused with a sentence, and lead nowhere else."""

import io
import json

import numpy as np
import pytest
from espalier.addon.scene.asset import BadResult, Provenance, read_result
from espalier.tests.fuzz.guard import watched
from espalier.tests.fuzz.mutations import PATHS, altered, damaged, fuzzed, written
from hypothesis import strategies as st
from PIL import Image

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
RESULT = {
    "alpha_mode": "opaque",
    "maps": {"base_color": "base_color.png", "orm": "orm.png"},
    "report": {"faces": 2, "notes": []},
    "seed": 3,
}
REQUEST = {"image": "a.png", "seed": 3, "model": {"set": "starter", "path": None}, "settings": {"faces": 100}}
NAMES = tuple((key, path) for key in ("base_color", "normal") for path in PATHS)


def npz(save=np.savez, **more):
    stream = io.BytesIO()
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    save(stream, vertices=vertices, faces=faces, uv=np.full((2, 3, 2), 0.5, np.float32), normals=vertices, **more)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    for name in ("base_color.png", "orm.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "result.json").write_bytes(written(RESULT))
    (tmp_path / "result.npz").write_bytes(npz())
    return tmp_path


def read(folder):
    with watched(folder):
        try:
            asset = read_result(folder)
        except BadResult as refusal:
            assert str(refusal).endswith((".", "?"))
            return
    assert asset.faces.max() < len(asset.vertices) and isinstance(asset.texture.report, dict)


def test_arrays_with_damage_anywhere_are_read_or_refused(folder):
    @fuzzed(300, data=damaged(npz(), npz(np.savez_compressed), npz(more=np.zeros(2)), structured=1200))
    def damage(data):
        (folder / "result.npz").write_bytes(data)
        read(folder)

    damage()


def test_descriptions_of_any_content_are_read_or_refused(folder):
    @fuzzed(200, result=altered(RESULT, NAMES))
    def damage(result):
        (folder / "result.json").write_bytes(written(result))
        read(folder)

    damage()


def test_damaged_descriptions_are_read_or_refused(folder):
    @fuzzed(100, data=damaged(json.dumps(RESULT).encode()))
    def damage(data):
        (folder / "result.json").write_bytes(data)
        read(folder)

    damage()


@fuzzed(150, request=altered(REQUEST))
def test_where_an_object_comes_from_is_told_whatever_the_request_says(request):
    if isinstance(request, dict):
        known = Provenance.of(request, "job")
        assert isinstance(known.image, str) and isinstance(known.seed, int) and isinstance(known.settings, dict)


@fuzzed(100, shape=st.lists(st.sampled_from([0, 1, 3, 2**31, 2**40, 2**62]), max_size=4))
def test_arrays_that_announce_any_size_take_little_memory(tmp_path_factory, shape):
    import zipfile

    folder = tmp_path_factory.getbasetemp() / "result"
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_bytes(written({**RESULT, "maps": {}}))
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {(*shape, 3)!r}, }}".encode()
    with zipfile.ZipFile(folder / "result.npz", "w") as archive:
        archive.writestr("vertices.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24))
    read(folder)
