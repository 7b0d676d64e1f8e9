# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse sampling equals dense sampling where everything is there, and renormalises where it is not."""

import torch
import torch.nn.functional as F
from espalier.engine.ovoxel import VoxelTable, sample_sparse
from hypothesis import given, settings
from hypothesis import strategies as st


def test_full_grid_equals_dense_trilinear_interpolation():
    generator = torch.Generator().manual_seed(3)
    n = 11
    dense = torch.rand((n, n, n, 4), generator=generator)
    coords = torch.cartesian_prod(*[torch.arange(n)] * 3)
    positions = (torch.rand((500, 3), generator=generator) - 0.5) * (1 - 1 / n)
    sampled = sample_sparse(coords, dense.view(-1, 4), positions, n)
    grid = (positions * 2).flip(1).view(1, 1, 1, -1, 3)
    expected = F.grid_sample(dense.permute(3, 0, 1, 2)[None], grid, align_corners=False, padding_mode="border")
    torch.testing.assert_close(sampled, expected[0, :, 0, 0].T, atol=1e-5, rtol=0)


def test_a_single_voxel_gives_its_value_all_around_and_nothing_further_away():
    coords, feats = torch.tensor([[3, 4, 5]]), torch.tensor([[0.25, 0.5]])
    centre = (coords[0] + 0.5) / 8 - 0.5
    near = centre + torch.tensor([[0.0, 0, 0], [0.12, -0.1, 0.05], [-0.124, 0.0, 0.1]])
    torch.testing.assert_close(sample_sparse(coords, feats, near, 8), feats.expand(3, 2))
    far = centre + torch.tensor([[0.13, 0, 0], [9.0, 0, 0], [-9.0, 3.0, 0]])
    assert (sample_sparse(coords, feats, far, 8) == 0).all()


def test_undefined_values_stay_in_their_own_neighbourhood():
    coords = torch.tensor([[0, 0, 0], [6, 6, 6]])
    feats = torch.tensor([[torch.nan], [1.0]])
    at = (torch.tensor([[6.9, 6.2, 6.6]]) / 8) - 0.5
    assert sample_sparse(coords, feats, at, 8).item() == 1.0


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), count=st.integers(0, 60))
def test_voxel_table_finds_exactly_the_voxels_it_was_given(seed, count):
    generator = torch.Generator().manual_seed(seed)
    shape = (19, 8, 33)
    every = torch.cartesian_prod(*[torch.arange(n) for n in shape])
    coords = every[torch.randperm(len(every), generator=generator)[:count]]
    table = VoxelTable(coords, shape)
    around = torch.cartesian_prod(*[torch.arange(-2, n + 9) for n in shape])
    rows = table.rows(*around.unbind(1))
    assert int((rows >= 0).sum()) == count
    assert torch.equal(coords[rows[rows >= 0]], around[rows >= 0])
