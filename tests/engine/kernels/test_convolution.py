# SPDX-License-Identifier: GPL-3.0-or-later
"""The convolution kernel computes what gathering and one matrix product compute."""

import contextlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from espalier.engine.kernels import architecture
from espalier.engine.kernels.choice import plain_torch
from espalier.engine.kernels.convolution import convolve
from espalier.engine.kernels.voxel_index import SortedIndex
from espalier.engine.sparse import SparseConv3d, SparseTensor
from espalier.engine.sparse.sites import kernel_offsets, pack_keys, pack_offset

DTYPES = {"float16": torch.float16, "float32": torch.float32, "bfloat16": torch.bfloat16}


def neighbour_map(count, size, kernel=(3, 3, 3)):
    generator = torch.Generator().manual_seed(2)
    cell = torch.randperm(size**3, generator=generator)[:count]
    keys = pack_keys(torch.stack([torch.zeros_like(cell), cell // size**2, cell // size % size, cell % size], 1))
    return SortedIndex(keys).neighbours([pack_offset(offset) for offset in kernel_offsets(kernel, (1, 1, 1))])


def case(dtype, channels, count=140, size=10):
    torch.manual_seed(0)
    neighbours = neighbour_map(count, size)
    feats, bias = torch.randn(count, channels[0]), torch.randn(channels[1])
    weight = torch.randn(channels[1], 27, channels[0]) / (9 * channels[0]) ** 0.5
    return [tensor.to(DTYPES[dtype]) for tensor in (feats, weight, bias)], neighbours


def agrees(kernels, device, dtype="float16", channels=(40, 24), bias=True):
    tensors, neighbours = case(dtype, channels)
    if not bias:
        tensors[2] = None
    expected = convolve(*(None if tensor is None else tensor.double() for tensor in tensors), neighbours)
    neighbours = neighbours.to(device)
    tensors = [None if tensor is None else tensor.to(device) for tensor in tensors]
    out = kernels.convolve(*tensors, neighbours, kernels.tiles_of(neighbours))
    assert out.dtype == DTYPES[dtype]
    eps = torch.finfo(out.dtype).eps
    torch.testing.assert_close(out.cpu().double(), expected, rtol=eps, atol=max(eps / 8, 4e-6))


def rows_do_not_depend_on_their_neighbours_in_a_tile(kernels, device):
    """The first rows alone come out as they do among all rows."""
    tensors, neighbours = case("float16", (64, 32), count=200)
    tensors, neighbours = [tensor.to(device) for tensor in tensors], neighbours.to(device)
    whole = kernels.convolve(*tensors, neighbours, kernels.tiles_of(neighbours))
    alone = neighbours.clone()
    alone[50:] = len(neighbours)
    part = kernels.convolve(*tensors, alone, kernels.tiles_of(alone))
    assert torch.equal(part[:50], whole[:50])
    assert not torch.equal(part[50:], whole[50:])


def tiles_visit_each_tap_that_a_row_has(kernels, device):
    neighbours = neighbour_map(700, 12).to(device)
    tiles = kernels.tiles_of(neighbours)
    assert torch.equal(tiles.order.sort().values.cpu(), torch.arange(700, dtype=torch.int32))
    for tile, (taps, visited) in enumerate(zip(tiles.taps.tolist(), tiles.counts.tolist(), strict=True)):
        rows = tiles.order[tile * 128 : tile * 128 + 128].long()
        needed = (neighbours[rows] < 700).any(0).nonzero().squeeze(1).tolist()
        assert sorted(taps[:visited]) == needed
    assert tiles.counts.sum() < 27 * len(tiles.counts)


def reaches_features_beyond_two_to_the_31(kernels, device):
    """A tile of rows whose only neighbours lie behind the 2^31st value; untouched memory costs nothing."""
    channels, count = 64, (1 << 25) + 128
    feats = torch.from_numpy(np.zeros((count, channels), np.float16)).to(device)
    feats[-128:] = torch.randn(128, channels, device=device)
    weight = torch.randn(16, 1, channels, device=device).half()
    neighbours = torch.arange(count - 128, count, dtype=torch.int32, device=device).view(-1, 1)
    one = torch.ones(1, dtype=torch.int32, device=device)
    tiles = kernels.RowTiles(torch.arange(128, dtype=torch.int32, device=device), one.view(1, 1) - 1, one)
    out = torch.empty(128, 16, dtype=torch.float16, device=device)
    kernels.convolve(feats, weight, None, neighbours, tiles, out)
    torch.testing.assert_close(out.float(), feats[-128:].float() @ weight[:, 0].float().t(), rtol=2e-3, atol=2e-3)


def is_what_layers_compute_with(kernels, device):
    """A layer with functions before and after it, as the autoencoders have them."""
    torch.manual_seed(0)
    cell = torch.randperm(512)[:200]
    coords = torch.stack([torch.zeros_like(cell), cell // 64, cell // 8 % 8, cell % 8], 1).to(device)
    layer = SparseConv3d(16, 16, 3).to(device).half()
    feats, skip = (torch.randn(200, 16, device=device).half() for _ in range(2))
    called, convolve = [], kernels.convolve
    kernels.convolve = lambda *arguments: called.append(1) or convolve(*arguments)
    results = []
    for serving in (contextlib.nullcontext(), plain_torch()):
        with torch.no_grad(), serving:
            for before, after, added in ((None, None, None), (F.silu, None, None), (F.silu, torch.add, skip)):
                x = SparseTensor(feats.clone(), coords)
                results.append(layer(x, before, after, added, reuse=True).feats.float())
            x = SparseTensor(feats, coords)
            results.append(layer(x, after=torch.add, skip=x.feats).feats.float())
    kernels.convolve = convolve
    assert len(called) == 4
    for fast, plain in zip(results[:4], results[4:], strict=True):
        torch.testing.assert_close(fast, plain, rtol=2e-3, atol=2e-3)


def launches(kernels):
    """The widest and the narrowest layer of the released networks, and one whose channels leave a rest."""
    for dtype, *channels in (("float16", 1024, 1024), ("bfloat16", 64, 64), ("float32", 40, 24)):
        if not kernels.serves(DTYPES[dtype], 27, torch.device("meta")):
            assert dtype != "float32"
            assert architecture.of(torch.device("meta")) < 80
            continue
        feats, weight, bias = (
            torch.empty(shape, dtype=DTYPES[dtype], device="meta")
            for shape in ((1000, channels[0]), (channels[1], 27, channels[0]), (channels[1],))
        )
        order, taps, counts, neighbours = (
            torch.empty(shape, dtype=torch.int32, device="meta") for shape in ((1000,), (8, 27), (8,), (1000, 27))
        )
        kernels.convolve(feats, weight, bias, neighbours, kernels.RowTiles(order, taps, counts))


CHANGES = {
    "a tap": ("range(tl.load(tile_counts + tile) * steps)", "range((tl.load(tile_counts + tile) - 1) * steps)"),
    "the mask of absent neighbours": ("mask=(neighbour < count)[:, None] & inside[None, :]", "mask=inside[None, :]"),
    "the mask of channels": ("inside = depth < given_channels", "inside = depth < given_channels + 32"),
    "the bias": ("if bias is not None:", "if False:"),
    "the order of rows": ("row = tl.load(order + place, mask=exists, other=0)", "row = place"),
    "the last channels": ("steps = tl.cdiv(given_channels, DEPTH)", "steps = given_channels // DEPTH"),
    "float32 sums": (
        'total = tl.dot(given, factors, total, input_precision="ieee")',
        'total = tl.dot(given, factors, total, input_precision="ieee").to(tl.float16).to(tl.float32)',
    ),
}


@pytest.mark.parametrize(
    ("dtype", "channels", "bias"),
    [
        ("float16", (40, 24), True),
        ("float32", (8, 3), False),
        ("float32", (40, 24), True),
        ("float16", (64, 200), True),
    ],
)
def test_equals_gathering_and_one_product(place, dtype, channels, bias):
    place.check("convolution_triton", agrees, dtype=dtype, channels=channels, bias=bias)


def test_bfloat16_equals_gathering_and_one_product(gpu):
    gpu.check("convolution_triton", agrees, dtype="bfloat16", channels=(128, 64))


def test_rows_do_not_depend_on_their_neighbours_in_a_tile(gpu):
    gpu.check("convolution_triton", rows_do_not_depend_on_their_neighbours_in_a_tile)


def test_tiles_visit_each_tap_that_a_row_has(place):
    place.check("convolution_triton", tiles_visit_each_tap_that_a_row_has)


def test_layers_compute_with_it(place):
    place.check("convolution_triton", is_what_layers_compute_with)


def test_reaches_features_beyond_two_to_the_31(place):
    place.check("convolution_triton", reaches_features_beyond_two_to_the_31)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("convolution_triton", agrees, change)


def test_offsets_of_32_bits_are_noticed(interpreter):
    change = ("neighbour.to(tl.int64)[:, None]", "neighbour[:, None]")
    interpreter.check_notices("convolution_triton", reaches_features_beyond_two_to_the_31, change)


def test_compiles_for_every_chip(compiler):
    """In half precision with tensor cores, and with features on their way while others are multiplied."""
    for chip, launched in compiler.check("convolution_triton", launches).items():
        assert len(launched) == (1 if chip < 80 else 3)
        assert all(launch["tensor_cores"] and launch["loads_ahead"] for launch in launched[:-1])
