# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel moves children into channels and back as indexing does, byte for byte."""

import numpy as np
import pytest
import torch
from espalier.engine.kernels.resampling import plain_channels_to_children, plain_children_to_channels
from espalier.engine.sparse import Sites, SparseTensor, channel_to_space, space_to_channel

NAME = "resampling_triton"


def fine_sites(count=300, size=9):
    cell = torch.randperm(size**3, generator=torch.Generator().manual_seed(4))[:count]
    return Sites(torch.stack([torch.zeros_like(cell), cell // size**2, cell // size % size, cell % size], 1))


def agrees(kernels, device, dtype="float16", channels=24, count=300):
    fine = fine_sites(count)
    coarse = fine.coarsen()
    slot = coarse.finer.slot
    feats = torch.randn(len(fine), channels).to(getattr(torch, dtype))
    table = plain_children_to_channels(feats, slot, len(coarse))
    found = kernels.children_to_channels(feats.to(device), slot.to(device), len(coarse))
    assert torch.equal(found.cpu(), table)
    table = torch.randn(len(coarse), 8 * channels).to(feats.dtype)
    found = kernels.channels_to_children(table.to(device), slot.to(device))
    assert torch.equal(found.cpu(), plain_channels_to_children(table, slot))


def reaches_values_beyond_two_to_the_31(kernels, device):
    channels = 64
    x = torch.from_numpy(np.zeros(((1 << 25) + 8, channels), np.float16)).to(device)
    x[-8:] = torch.randn(8, channels)
    index = torch.arange(len(x) - 8, len(x), dtype=torch.int32, device=device)
    assert torch.equal(kernels.pick_rows(x, index), x[-8:])


def is_what_tensors_are_resampled_by(kernels, device):
    called = []
    pick_rows = kernels.pick_rows
    kernels.pick_rows = lambda *arguments: called.append(1) or pick_rows(*arguments)
    x = SparseTensor(torch.randn(300, 8), fine_sites()).to(device)
    coarse = space_to_channel(x)
    assert torch.equal(channel_to_space(coarse, coarse.sites.finer).feats, x.feats)
    assert len(called) == 2
    kernels.pick_rows = pick_rows


def launches(kernels):
    slot = torch.empty(1000, dtype=torch.int64, device="meta")
    kernels.channels_to_children(torch.empty(200, 512, dtype=torch.float16, device="meta"), slot)
    kernels.children_to_channels(torch.empty(1000, 24, device="meta"), slot, 200)


CHANGES = {
    "absent children": ("mask=(source < count)[:, None] & inside", "mask=inside"),
    "the rest of the channels": ("inside = (channel < WIDTH)[None, :]", "inside = (channel < WIDTH - 1)[None, :]"),
    "the last row": ("exists = row < total", "exists = row < total - 1"),
}


@pytest.mark.parametrize(
    ("dtype", "channels", "count"), [("float16", 24, 300), ("bfloat16", 64, 300), ("float32", 1030, 20)]
)
def test_equals_indexing(place, dtype, channels, count):
    place.check(NAME, agrees, dtype=dtype, channels=channels, count=count)


def test_reaches_values_beyond_two_to_the_31(place):
    place.check(NAME, reaches_values_beyond_two_to_the_31)


def test_sparse_tensors_are_resampled_by_it(place):
    place.check(NAME, is_what_tensors_are_resampled_by)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices(NAME, agrees, change)


def test_offsets_of_32_bits_are_noticed(interpreter):
    change = ("mask=exists, other=count).to(tl.int64)", "mask=exists, other=count)")
    interpreter.check_notices(NAME, reaches_values_beyond_two_to_the_31, change)


def test_compiles_for_every_chip(compiler):
    compiler.check(NAME, launches)
