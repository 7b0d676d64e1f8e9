# SPDX-License-Identifier: GPL-3.0-or-later
"""Texels show the same faces at the same points as in the rasteriser on the CPU."""

from unittest import mock

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.lookup import raster

SIZE = 32


def layout():
    """Charts with corners on texel centres and between, small faces that leave the image, slivers and flat faces."""
    rng = np.random.default_rng(1)
    line = (np.arange(3, 16, 4) + 0.5) / SIZE
    low = np.stack(np.meshgrid(line[:-1], line[:-1], indexing="ij"), -1).reshape(-1, 1, 2)
    square = np.array([[[0, 0], [4, 0], [4, 4]], [[0, 0], [4, 4], [0, 4]]]) / SIZE
    chart = (low[:, None] + square[None]).reshape(-1, 3, 2)
    small = rng.uniform(0, 1, (14, 1, 2)) + rng.uniform(-0.07, 0.07, (14, 3, 2))
    sliver = np.array([[[0.1, 0.801], [0.9, 0.802], [0.5, 0.8015]], [[20.5 / SIZE, 10.5 / SIZE]] * 3])
    return np.concatenate([chart, small, sliver, chart[3:5] + 0.3 / SIZE, chart[:2] + 16.25 / SIZE]).astype(np.float32)


def rim_of(uv):
    return np.flatnonzero(raster._touches_rim(uv) | (raster._Planes(raster.texel_space(uv, SIZE)).area == 0))


def agrees(kernels, device):
    uv = layout()
    with choice.plain_torch():
        expected = raster.rasterise(uv, SIZE)
    assert (~expected.inside).sum() > 20
    corners, rim = torch.from_numpy(raster.texel_space(uv, SIZE)), torch.from_numpy(rim_of(uv))
    found = kernels.rasterise(corners.to(device), rim.to(device), SIZE, raster.REACH)
    for ours, name in zip(found, ("texel", "face", "barycentric", "inside"), strict=True):
        assert np.array_equal(ours.cpu().numpy(), getattr(expected, name)), name


def finishing_agrees(kernels, device):
    """Where arrays of the host go to the card by themselves."""
    from espalier.engine.kernels import uv_raster_triton

    uv = layout()
    with choice.plain_torch():
        expected = raster.rasterise(uv, SIZE)
    with mock.patch.object(uv_raster_triton, "rasterise", wraps=kernels.rasterise) as used:
        found = raster.rasterise(uv, SIZE)
    assert used.called
    for name in ("texel", "face", "barycentric", "inside"):
        assert np.array_equal(getattr(found, name), getattr(expected, name)), name
        assert getattr(found, name).dtype == getattr(expected, name).dtype


def serves_nothing(kernels, device):
    corners, rim = torch.zeros((0, 3, 2), dtype=torch.float64, device=device), torch.zeros(0, dtype=torch.int64)
    texel, face, barycentric, inside = kernels.rasterise(corners, rim.to(device), SIZE, raster.REACH)
    assert len(texel) == len(face) == len(barycentric) == len(inside) == 0


def launches(kernels):
    def empty(*shape, dtype=torch.int64):
        return torch.empty(shape, dtype=dtype, device="meta")

    corners, rim, texel = empty(77, 3, 2, dtype=torch.float64), empty(33), empty(50)
    boxes = kernels.Boxes.around(corners, 4096, 0.0)
    owner = kernels.claim_inside(corners, boxes, 4096, 12345)
    nearest = kernels.reach_rim(corners, rim, owner, boxes, 4096, raster.REACH, 12345)
    kernels.locate(corners, texel, owner, nearest, 4096)


CHANGES = {
    "one weight not tested": (
        "tl.minimum(tl.minimum(weight_b, weight_c), 1.0 - weight_b - weight_c)",
        "tl.minimum(weight_b, weight_c)",
    ),
    "flat faces not left out": ("inside = listed & (area != 0) & (least >= 0)", "inside = listed & (least >= 0)"),
    "borders left out": ("(area != 0) & (least >= 0)", "(area != 0) & (least > 0)"),
    "half a texel aside": ("column.to(tl.float64) - (ax - 0.5)", "column.to(tl.float64) - ax"),
    "one edge left out": ("for start in tl.static_range(3)", "for start in tl.static_range(2)"),
    "edges without ends": ("t = tl.minimum(tl.maximum(t, 0.0), 1.0)", "pass"),
    "reach not limited": (" & (gap <= tl.load(reach))", ""),
    "distance not asked": ("mine = free & (tl.load(distance + texel) == bits)", "mine = free"),
    "rim not looked up": ("face = tl.load(rim + segment)", "face = segment"),
    "highest face": (
        "tl.atomic_min(nearest + texel, face.to(tl.int32)",
        "tl.atomic_xchg(nearest + texel, face.to(tl.int32)",
    ),
    "edges for planes": ("tl.where(is_inside, plane_b, edge_b)", "edge_b"),
    "width and height exchanged": ("top + (offset // width).to(tl.int32)", "top + (offset // height).to(tl.int32)"),
}


def test_shows_what_the_rasteriser_on_the_cpu_shows(place):
    place.check("uv_raster_triton", agrees)


def test_finishing_rasterises_by_the_kernels(place):
    place.check("uv_raster_triton", finishing_agrees)


def test_serves_no_faces(place):
    place.check("uv_raster_triton", serves_nothing)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("uv_raster_triton", agrees, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("uv_raster_triton", launches)
