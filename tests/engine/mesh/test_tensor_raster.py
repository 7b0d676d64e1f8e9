# SPDX-License-Identifier: GPL-3.0-or-later
"""A card without Triton's kernels shows the same faces, bit for bit; also where nvdiffrast names most of them.

nvdiffrast itself is not run here: what stands in for it answers as its documentation says, from our own rasteriser, and
worse than any rasteriser would.
"""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice, nvdiffrast_names
from espalier.engine.kernels.nvdiffrast_names import named_faces
from espalier.engine.mesh.lookup import raster, tensor_raster
from espalier.engine.mesh.lookup.raster import rasterise
from espalier.tests.engine.kernels.test_uv_raster import layout as rough_layout

FIELDS = ("texel", "face", "barycentric", "inside")


@pytest.fixture(autouse=True)
def no_kernels(monkeypatch):
    monkeypatch.setattr(choice, "serve", lambda device: False)


def charts():
    """Many small squares of two faces: hardly a face has only texels that lie clearly in it. A large one over them."""
    line = np.arange(9) / 9
    corner = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 1, 1, 2)
    square = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]])
    large = np.array([[[0.1, 0.05], [0.9, 0.07], [0.4, 0.97]]])
    return np.concatenate([(corner + square * 0.09).reshape(-1, 3, 2), large]).astype(np.float32)


LAYOUTS = {"rough": rough_layout(), "charts": charts(), "one face": charts()[-1:], "flat face": np.full((1, 3, 2), 0.3)}


def assert_same(found, expected):
    for name in FIELDS:
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs), name


@pytest.mark.parametrize("size", [32, 61])
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_card_shows_the_same_faces(name, size, card, monkeypatch):
    with choice.plain_torch():
        expected = rasterise(LAYOUTS[name], size)
    assert_same(rasterise(LAYOUTS[name], size), expected)
    # However the work is cut.
    monkeypatch.setattr(tensor_raster, "_PAIRS_AT_ONCE", 50)
    monkeypatch.setattr(raster, "_rasterise", None)
    assert_same(rasterise(LAYOUTS[name], size), expected)


class Installed(ModuleType):
    """``nvdiffrast.torch`` in its documented form: triangles in clip space in, (u, v, z/w, number of the face + 1) out.

    The nearest face shows, rows begin at the bottom of clip space, a size that is no multiple of 8 is refused. On
    common edges it names the wrong one of two faces, and every ninth texel it leaves out.
    """

    def __init__(self):
        super().__init__("nvdiffrast.torch")
        self.calls = 0

    def RasterizeCudaContext(self, device):
        return device

    def rasterize(self, context, pos, tri, resolution, grad_db):
        height, width = resolution
        if height % 8 or width % 8:
            raise RuntimeError("The size is no multiple of 8.")
        assert pos.dtype == torch.float32 and tri.dtype == torch.int32 and pos.ndim == 3 and not grad_db
        self.calls += 1
        triangles = pos[0][tri.long()].double()
        corners = (triangles[..., :2] + 1.0) / 2.0 * width
        depth = triangles[:, 0, 2]
        order = depth.argsort(descending=True)
        # The last to claim a texel keeps it: the nearest, and of neighbours the later one.
        planes = tensor_raster._Planes(corners)
        owner = torch.full((height, width), -1, dtype=torch.int64, device=pos.device)
        place = torch.arange(height * width, device=pos.device)
        for face in order.tolist():
            inside = planes.least_weight(torch.full_like(place, face), place % width, place // width) >= -1e-4
            owner.view(-1)[inside] = face
        owner.view(-1)[::9] = -1
        return torch.stack([owner * 0, owner * 0, owner * 0, owner + 1], -1).float()[None], None


@pytest.fixture
def nvdiffrast(monkeypatch):
    package, module = ModuleType("nvdiffrast"), Installed()
    package.__spec__, package.torch = ModuleSpec("nvdiffrast", None), module
    monkeypatch.setitem(sys.modules, "nvdiffrast", package)
    monkeypatch.setitem(sys.modules, "nvdiffrast.torch", module)
    nvdiffrast_names._context.cache_clear()
    yield module
    nvdiffrast_names._context.cache_clear()


def on_processor(name, size):
    with choice.plain_torch():
        return rasterise(LAYOUTS[name], size)


@pytest.mark.parametrize("size", [32, 61])
@pytest.mark.parametrize("name", LAYOUTS)
def test_faces_that_nvdiffrast_names_change_nothing(name, size, card, nvdiffrast):
    assert_same(rasterise(LAYOUTS[name], size), on_processor(name, size))
    assert nvdiffrast.calls == 1


def test_faces_named_with_certainty_are_not_looked_at_again(monkeypatch):
    """Two faces cover the image, and no centre is near the edge between them."""
    a, b, c, d = (-1.0, -0.5), (40.0, -0.5), (40.0, 40.5), (-1.0, 40.5)
    corners, none = torch.tensor([[a, b, c], [a, c, d]], dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    expected = tensor_raster.rasterise(corners, none, 32, raster.REACH)
    looked, pairs = [], tensor_raster._pairs
    monkeypatch.setattr(tensor_raster, "_pairs", lambda tried, *rest: looked.append(len(tried)) or pairs(tried, *rest))
    for named, faces in ((expected[1], 0), (torch.where(expected[0] == 0, -1, expected[1]), 2)):
        found = tensor_raster.rasterise(corners, none, 32, raster.REACH, named)
        assert looked.pop(0) == faces and looked.pop(0) == 0
        assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("failure", ["missing", "refuses"])
def test_without_its_help_torch_looks_at_all_faces(failure, card, nvdiffrast, monkeypatch):
    if failure == "missing":
        monkeypatch.delitem(sys.modules, "nvdiffrast")
    else:
        monkeypatch.setattr(nvdiffrast, "rasterize", lambda *arguments, **options: (_ for _ in ()).throw(RuntimeError))
    assert named_faces(torch.zeros((1, 3, 2), dtype=torch.float64), 8) is None
    assert_same(rasterise(LAYOUTS["charts"], 32), on_processor("charts", 32))
