# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash table finds what sorting and searching find."""

import pytest
import torch
from espalier.engine.kernels.voxel_index import SortedIndex
from espalier.engine.sparse.sites import kernel_offsets, pack_keys, pack_offset

OFFSETS = [pack_offset(offset) for offset in kernel_offsets((3, 3, 3), (1, 1, 1))]


def some_keys(count=330, size=8):
    """Distinct voxels of two samples, some at the border of the coordinate range's start, in no order."""
    generator = torch.Generator().manual_seed(1)
    chosen = torch.randperm(2 * size**3, generator=generator)[:count]
    batch, cell = chosen // size**3, chosen % size**3
    return pack_keys(torch.stack([batch, cell // size**2, cell // size % size, cell % size], 1))


def agrees(kernels, device):
    keys = some_keys()
    index, reference = kernels.HashIndex(keys.to(device)), SortedIndex(keys)
    wanted = torch.cat([keys.flip(0), keys + 1, keys - pack_offset((0, 1, 0)), torch.full_like(keys, -1)]).view(4, -1)
    assert torch.equal(index.find(wanted.to(device)).cpu(), reference.find(wanted))
    assert torch.equal(index.neighbours(OFFSETS).cpu(), reference.neighbours(OFFSETS))


def serves_no_and_one_voxel(kernels, device):
    for keys in (some_keys()[:0], some_keys()[:1]):
        index = kernels.HashIndex(keys.to(device))
        assert torch.equal(index.neighbours(OFFSETS).cpu(), SortedIndex(keys).neighbours(OFFSETS))
        assert index.find(torch.tensor([0, 5], device=device)).tolist() == [len(keys)] * 2
        assert len(index.find(keys.new_empty(0).to(device))) == 0


def launches(kernels):
    index = kernels.HashIndex(torch.empty(1000, dtype=torch.int64, device="meta"))
    index.find(torch.empty(10, dtype=torch.int64, device="meta"))
    index.neighbours(OFFSETS)


CHANGES = {
    "no mirrored neighbour": ("tl.store(table + mirrored, row.to(tl.int32), mask=exists & (found < count))", "pass"),
    "mirrored at the same tap": ("(taps - 1 - tap)", "tap"),
    "offset left out": (" + tl.load(offsets + tap)", ""),
    "places before the first": ("pending = wanted & (key >= 0)", "pending = wanted"),
    "found without comparing": ("hit = pending & (stored == key)", "hit = pending & (stored != _EMPTY)"),
    "probing ends at the first slot": ("pending = pending & (stored != key) & (stored != _EMPTY)", "pending &= False"),
    "insertion overwrites": ("placed = pending & (found == _EMPTY)", "placed = pending"),
    "last rows not inserted": ("pending = row < count\n", "pending = row < count - 1\n"),
}


def test_finds_what_searching_finds(place):
    place.check("voxel_index_triton", agrees)


def test_serves_empty_and_single_voxel_sets(place):
    place.check("voxel_index_triton", serves_no_and_one_voxel)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("voxel_index_triton", agrees, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("voxel_index_triton", launches)
