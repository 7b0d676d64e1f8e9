# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse primitives and blocks agree with the reference (fixture 06)."""

import pytest
import torch
from espalier.engine.models.sparse_blocks import (
    SparseConvNeXtBlock3d,
    SparseResBlockC2S3d,
    SparseResBlockDownsample3d,
    SparseResBlockS2C3d,
    SparseResBlockUpsample3d,
)
from espalier.engine.sparse import (
    SparseConv3d,
    SparseTensor,
    channel_to_space,
    copy_to_children,
    pool_children,
    sample_nearest,
    sample_trilinear,
    space_to_channel,
)

CONVOLUTIONS = ["conv_k3", "conv_k3_nobias", "conv_k3_d2", "conv_k1", "conv_k313", "conv_k3_d121"]


@pytest.fixture(scope="module")
def units(golden):
    with torch.no_grad():
        yield golden("06_sparse_units")


@pytest.fixture
def x(units):
    return SparseTensor(units.io["feats"], units.io["coords"])


@pytest.fixture
def block_input(units):
    return SparseTensor(units.io["block_in.feats"], units.io["coords"])


def loaded(units, name, module):
    prefix = f"{name}."
    module.load_state_dict({key.removeprefix(prefix): w for key, w in units.weights.items() if key.startswith(prefix)})
    return module


def assert_same_tensor(units, name, actual):
    units.assert_close(f"{name}.feats", actual.feats)
    assert torch.equal(actual.coords, units.io[f"{name}.coords"])


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_agrees(units, x, name):
    spec = units.case["specs"][name]
    size, dilation = (tuple(v) if isinstance(v, list) else v for v in (spec["kernel_size"], spec["dilation"]))
    convolution = loaded(units, name, SparseConv3d(16, spec["out_channels"], size, dilation, spec["bias"]))
    units.assert_close(f"{name}.out", convolution(x).feats)


def test_space_to_channel_sorts_parents(units, x):
    assert_same_tensor(units, "s2c.out", space_to_channel(x))


def test_channel_to_space_replays_the_remembered_order(units, x):
    coarse = space_to_channel(x)
    assert_same_tensor(units, "c2s_cached.out", channel_to_space(coarse, coarse.sites.finer))


def test_channel_to_space_follows_a_given_mask(units, x):
    coarse = space_to_channel(x).fresh()
    children = coarse.sites.subdivide(units.io["c2s_explicit.sub"])
    assert_same_tensor(units, "c2s_explicit.out", channel_to_space(coarse, children))
    assert_same_tensor(units, "up_explicit.out", copy_to_children(coarse, children))


@pytest.mark.parametrize("mode", ["mean", "max"])
def test_pooling_agrees(units, x, mode):
    assert_same_tensor(units, f"down_{mode}.out", pool_children(x, mode))


def test_nearest_upsampling_replays_the_remembered_order(units, x):
    pooled = pool_children(x, "mean")
    assert_same_tensor(units, "up_cached.out", copy_to_children(pooled, pooled.sites.finer))


def test_lookups_agree(units, x):
    units.assert_close("grid_trilinear.out", sample_trilinear(x, units.io["grid_query"]))
    units.assert_close("grid_nearest.out", sample_nearest(x, units.io["grid_query"]))


def test_down_blocks_agree(units, block_input):
    block = loaded(units, "block_s2c", SparseResBlockS2C3d(16, 32))
    assert_same_tensor(units, "block_s2c.out", block(block_input))
    block = loaded(units, "block_down_mean", SparseResBlockDownsample3d(16, 32))
    assert_same_tensor(units, "block_down_mean.out", block(block_input))


def test_convnext_block_agrees(units, block_input):
    block = loaded(units, "block_convnext", SparseConvNeXtBlock3d(16))
    units.assert_close("block_convnext.out", block(block_input).feats)


@pytest.mark.parametrize(
    ("name", "kind"), [("block_c2s_pred", SparseResBlockC2S3d), ("block_up_nearest", SparseResBlockUpsample3d)]
)
def test_predicting_up_blocks_agree(units, block_input, name, kind):
    out, logits = loaded(units, name, kind(16, 8))(block_input)
    assert_same_tensor(units, f"{name}.out", out)
    units.assert_close(f"{name}.sub", logits.feats)


def test_guided_up_block_agrees(units, block_input):
    block = loaded(units, "block_c2s_guided", SparseResBlockC2S3d(16, 8, pred_subdiv=False))
    out, logits = block(block_input, units.io["guide_sub.feats"])
    assert_same_tensor(units, "block_c2s_guided.out", out)
    assert logits is None
