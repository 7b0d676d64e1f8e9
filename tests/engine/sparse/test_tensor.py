# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sparse tensor remembers, and what it forgets."""

import gc
import weakref

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.sparse import SparseTensor, channel_to_space, pool_children, space_to_channel
from espalier.engine.sparse.sites import pack_keys, unpack_keys
from espalier.tests.samples import batch_of
from hypothesis import given, settings
from hypothesis import strategies as st

voxels = st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=40, unique=True)


def tensor_of(samples):
    return batch_of([(torch.randn(len(xyz), 3), torch.tensor(xyz)) for xyz in samples])


@settings(max_examples=30, deadline=None)
@given(st.lists(voxels, min_size=1, max_size=3))
def test_down_then_up_is_the_identity(samples):
    x = tensor_of(samples)
    coarse = space_to_channel(x)
    back = channel_to_space(coarse, coarse.sites.finer)
    assert torch.equal(back.feats, x.feats)
    assert torch.equal(back.coords, x.coords)
    assert back.sites is x.sites


@settings(max_examples=30, deadline=None)
@given(voxels)
def test_the_remembered_mask_makes_the_same_voxels(xyz):
    x = tensor_of([xyz])
    coarse = space_to_channel(x)
    children = coarse.fresh().sites.subdivide(coarse.child_mask())
    assert {tuple(row) for row in children.fine.coords.tolist()} == {tuple(row) for row in x.coords.tolist()}


def test_children_have_x_in_the_lowest_bit():
    x = SparseTensor(torch.ones(1, 1), torch.tensor([[0, 3, 2, 2]]))
    assert space_to_channel(x).feats.flatten().tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


def test_fresh_forgets_the_finer_voxels():
    coarse = space_to_channel(tensor_of([[(0, 0, 0), (1, 1, 1)]]))
    assert coarse.child_mask() is not None
    assert coarse.replace(coarse.feats * 2).child_mask() is not None
    assert coarse.fresh().child_mask() is None


def test_dropping_a_latent_frees_its_coordinates_without_the_garbage_collector():
    gc.disable()
    try:
        x = tensor_of([[(0, 0, 0), (5, 5, 5)]])
        coarse = pool_children(x, "max")
        fine = weakref.ref(x.sites)
        del x, coarse
        assert fine() is None
    finally:
        gc.enable()


def test_layout_separates_the_samples():
    x = tensor_of([[(0, 0, 0), (1, 0, 0)], [(2, 2, 2)]])
    assert x.layout == [slice(0, 2), slice(2, 3)]
    assert x.batch_size == 2
    assert x.sample(1).coords.tolist() == [[0, 2, 2, 2]]
    joined = SparseTensor.cat([x, x.sample(1)])
    assert joined.coords[:, 0].tolist() == [0, 0, 1, 2]


def test_keys_sort_like_rows_and_unpack():
    coords = torch.tensor([[0, 5, 6, 7], [1, 0, 0, 0], [0, 5, 7, 0], [3, 1535, 1535, 1535]], dtype=torch.int32)
    assert torch.equal(unpack_keys(pack_keys(coords)), coords)
    rows = coords.tolist()
    assert pack_keys(coords).argsort().tolist() == sorted(range(4), key=lambda i: rows[i])


def test_a_subdivision_without_children_is_reported():
    x = SparseTensor(torch.ones(1, 1), torch.tensor([[0, 0, 0, 0]]))
    with pytest.raises(EspalierError) as caught:
        x.sites.subdivide(torch.zeros(1, 8, dtype=torch.bool))
    assert caught.value.code == "empty_shape"


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\[N, 4\]"):
        SparseTensor(torch.ones(1, 1), torch.zeros(1, 3))
    with pytest.raises(ValueError, match="2 feature rows for 1 voxels"):
        SparseTensor(torch.ones(2, 1), torch.zeros(1, 4))
