# SPDX-License-Identifier: GPL-3.0-or-later
"""The split-weight loss prefers the cut along which a folded quad really folds."""

import torch
from espalier.engine.sparse.sites import Sites
from espalier.engine.training.diagonals import diagonal_loss, quad_rows

CORNERS = torch.tensor([[0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 1, 0], [0, 1, 0, 0]], dtype=torch.int32)
FLAGS = torch.tensor([[False, False, True], *[[False, False, False]] * 3])
FOLDED_ALONG_02 = torch.tensor([[0.5, 0.5, 0.1], [0.5, 0.5, 0.9], [0.5, 0.5, 0.1], [0.5, 0.5, 0.1]])


def test_the_quad_around_a_crossed_z_edge_lists_its_voxels_in_order():
    assert quad_rows(Sites(CORNERS), FLAGS).tolist() == [[0, 1, 2, 3]]


def test_an_incomplete_quad_is_left_out():
    assert len(quad_rows(Sites(CORNERS[:3]), FLAGS[:3])) == 0


def test_the_right_diagonal_costs_less_whichever_way_the_quad_folds():
    right, wrong = torch.tensor([3.0, -3.0, 3.0, -3.0]), torch.tensor([-3.0, 3.0, -3.0, 3.0])
    turned = FOLDED_ALONG_02[[1, 0, 3, 2]]
    for vertices, good, bad in ((FOLDED_ALONG_02, right, wrong), (turned, wrong, right)):
        low, high = (diagonal_loss(raw, vertices, FLAGS, Sites(CORNERS)) for raw in (good, bad))
        assert low < 0.1 * high
