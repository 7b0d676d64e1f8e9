# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's data for these tests: the bpy wheel, emptied before each test."""

import gc
import importlib.util
import io
import json

import numpy as np
import pytest

if importlib.util.find_spec("bpy") is None:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/blender" in item.path.as_posix():
            item.add_marker(pytest.mark.blender)


@pytest.fixture(autouse=True)
def empty_file():
    """Every test starts in a new file without objects."""
    import bpy

    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture
def uncollected():
    """Keep the collector from walking through what the test session has loaded (torch) and Blender has not."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def png(pixels):
    """Encoded PNG of uint8 [height, width, 3 or 4]."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def box(size=(0.6, 0.4, 0.2), low=(-0.1, -0.2, -0.05)):
    """Vertices and triangles of a box, outward winding."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float32)
    faces = [
        [0, 1, 3],
        [0, 3, 2],
        [4, 6, 7],
        [4, 7, 5],
        [0, 4, 5],
        [0, 5, 1],
        [2, 3, 7],
        [2, 7, 6],
        [0, 2, 6],
        [0, 6, 4],
        [1, 5, 7],
        [1, 7, 3],
    ]
    return corners * np.float32(size) + np.float32(low), np.array(faces, dtype=np.int32)


@pytest.fixture
def result_folder(tmp_path):
    """Return a writer of job folders with a finished result: a box, red above and half transparent where asked.

    Its levels of detail, ``lods``, have 4 faces less each.
    """

    def write(alpha_mode="opaque", normals=None, maps=("base_color", "orm"), lods=0, occlusion=False, **arrays):
        vertices, faces = box()
        rng = np.random.default_rng(3)
        uv = rng.random((len(faces), 3, 2)).astype(np.float32)
        data = {"vertices": vertices, "faces": faces, "uv": uv, **arrays}
        if normals is not None:
            data["normals"] = normals
        np.savez(tmp_path / "result.npz", **data)
        for level in range(1, lods + 1):
            kept = len(faces) - 4 * level
            np.savez(tmp_path / f"lod{level}.npz", vertices=vertices, faces=faces[:kept], uv=uv[:kept])
        colour = np.full((16, 16, 4), (200, 60, 30, 255), dtype=np.uint8)
        colour[:4, :, 3] = 0
        files = {
            "base_color": png(colour if alpha_mode != "opaque" else colour[..., :3]),
            "orm": png(np.full((16, 16, 3), (255, 128, 64))),
            "normal": png(np.full((16, 16, 3), (128, 128, 255))),
        }
        for name in maps:
            (tmp_path / f"{name}.png").write_bytes(files[name])
        info = {
            "alpha_mode": alpha_mode,
            "maps": {name: f"{name}.png" for name in maps},
            "report": {"faces": len(data["faces"])},
            "occlusion": occlusion,
            "lods": [
                {"file": f"lod{level}.npz", "share": 1 - level / 3, "faces": 12 - 4 * level}
                for level in range(1, lods + 1)
            ],
        }
        (tmp_path / "result.json").write_text(json.dumps(info))
        return tmp_path

    return write


@pytest.fixture
def engine(tmp_path, result_folder, monkeypatch):
    """The registered extension with a stand-in engine and an image chosen in the panel."""
    import espalier
    from espalier.addon import preferences
    from espalier.addon.client import EnginePython, JobQueue, JobStore
    from espalier.addon.session import session

    from .stand_in import StandIn, choose_image

    stand_in = StandIn(result_folder())
    python = EnginePython(tmp_path / "python", "preferences")
    stand_in.python = python.path
    monkeypatch.setattr(preferences, "engine_python", lambda: python)
    monkeypatch.setattr(preferences, "data", lambda: tmp_path / "data")
    espalier.register()
    session.__init__()
    session.queue = JobQueue(JobStore(tmp_path / "data" / "jobs"), stand_in)
    choose_image()
    yield stand_in
    espalier.unregister()


def glb_header(path):
    """The JSON part of a .glb file."""
    data = path.read_bytes()
    return json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
