# SPDX-License-Identifier: GPL-3.0-or-later
"""Energies add up to the same bits as in plain torch, in any order of the voxels."""

import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.ovoxel.quadric import Quadrics

VOXELS, PLANES, HITS = 70, 40, 150


def numbers(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some(count, limit, seed):
    return torch.randint(limit, (count,), generator=torch.Generator().manual_seed(seed))


def energies():
    """No energies yet, of voxels of which some get nothing and one gets most."""
    coords = some(3 * VOXELS, 50, 0).view(VOXELS, 3)
    return Quadrics(coords, torch.tensor([0.5, 0.25, 0.125]), 0.01, interleaved=False)


def rows(count, seed):
    return torch.where(some(count, 3, seed) == 0, 7, some(count, VOXELS - 5, seed + 1))


def agrees(kernels, device):
    ours, theirs = energies(), energies()
    planes = theirs.planes(torch.nn.functional.normalize(numbers(PLANES, 3, seed=2), dim=1), numbers(PLANES, 3, seed=3))
    points, hit_planes, hit_rows = numbers(3, HITS, seed=4), some(HITS, PLANES, 5), rows(HITS, 6)
    faces, face_rows = some(90, PLANES, 8), rows(90, 9)
    with choice.plain_torch():
        theirs.add_planes(hit_rows, planes, hit_planes, points)
        theirs.add_planes(face_rows, planes, faces)
    voxels = torch.cat([hit_rows, face_rows])
    source = torch.cat([torch.arange(HITS), -1 - faces])
    sums, count = ours.sums.to(device), ours.count.to(device)
    given = (ours.origin, ours.squares, planes, voxels, source, hit_planes, points)
    kernels.add_planes(sums, count, *(part.to(device) for part in given))
    assert torch.equal(sums.cpu(), theirs.sums)
    assert torch.equal(count.cpu(), theirs.count)


def agrees_for_lines(kernels, device):
    theirs, values, row = numbers(9, VOXELS, seed=1), numbers(9, 200, seed=2), rows(200, 3)
    ours = theirs.clone().to(device)
    kernels.add_values(ours, row.to(device), values.to(device))
    for sums, value in zip(theirs, values):
        sums.scatter_add_(0, row, value)
    assert torch.equal(ours.cpu(), theirs)


def serves_nothing(kernels, device):
    sums, none = (
        torch.ones((9, 4), dtype=torch.float64, device=device),
        torch.zeros(0, dtype=torch.int64, device=device),
    )
    kernels.add_values(sums, none, sums[:, :0])
    kernels.add_planes(sums, sums[0], sums[:3], sums[0, :3], sums[:, :0], none, none, none, sums[:3, :0])
    assert (sums == 1).all()
    kernels.add_values(sums[:, :0], none, sums[:, :0])


def launches(kernels):
    sums, table = torch.zeros((9, 77), dtype=torch.float64), torch.zeros((10, 33), dtype=torch.float64)
    row = torch.zeros(200, dtype=torch.int64)
    kernels.add_planes(sums, sums[0], sums[:3], sums[0, :3], table, row, row, row, torch.zeros((3, 200)).double())
    kernels.add_values(sums, row, torch.zeros((9, 200), dtype=torch.float64))


CHANGES = {
    f"entry {entry} left out": (f"s{entry} += tl.load(planes + {where}, mask=live, other=0.0)", "pass")
    for entry, where in enumerate(["plane", *(f"strided({entry}, count, plane)" for entry in range(1, 6))])
} | {
    "origin along y left out": (" - ny * y", ""),
    "crossing point along x left out": ("s6 += nx * distance + from_x", "s6 += nx * distance"),
    "crossing point along z left out": ("s8 += nz * distance + from_z", "s8 += nz * distance"),
    "voxel's place along y left out": ("(tl.load(points + strided(1, hits, hit), mask=is_hit, other=0.0) - y)", "y"),
    "crossings not counted": ("number += tl.where(is_hit, 1.0, 0.0)", "pass"),
    "faces counted as crossings": ("is_hit = live & (hit >= 0)", "is_hit = live"),
    "what other voxels get added too": (
        "        live = at < end\n        item = tl.load(order + at, mask=live, other=0)\n        hit",
        "        live = at < end + 1\n        item = tl.load(order + at, mask=live, other=0)\n        hit",
    ),
    "order not kept": ("torch.sort(row.int(), stable=True)", "torch.sort(row.int(), descending=True)"),
}
LINES = {
    "what other voxels get added too": (
        "        item = tl.load(order + at, mask=live, other=0)\n        total",
        "        item = tl.load(order + at)\n        live = at <= end\n        total",
    ),
    "only the first entry": ("entry = tl.program_id(1)", "entry = 0"),
}


@pytest.mark.parametrize("function", [agrees, agrees_for_lines])
def test_adds_what_torch_adds(place, function):
    place.check("quadric_sums_triton", function)


def test_serves_nothing_to_add(place):
    place.check("quadric_sums_triton", serves_nothing)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("quadric_sums_triton", agrees, change)


@pytest.mark.parametrize("change", LINES.values(), ids=LINES)
def test_a_part_left_out_of_lines_is_noticed(interpreter, change):
    interpreter.check_notices("quadric_sums_triton", agrees_for_lines, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("quadric_sums_triton", launches)
