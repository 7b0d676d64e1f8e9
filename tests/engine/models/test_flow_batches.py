# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow models give a sample the same velocity alone and in a batch, with fresh and with prepared conditions."""

import pytest
import torch
from espalier.engine.models.registry import build_model
from espalier.tests.samples import SMALL_FLOW, batch_of, lively

pytestmark = pytest.mark.usefixtures("same_numbers_without_gradients")

SIZES = SMALL_FLOW | {"out_channels": 3, "model_channels": 32, "num_blocks": 2}


def network(name):
    return lively(build_model(name, SIZES))


def test_a_batch_gives_what_its_samples_give_alone():
    model = network("SLatFlowModel")
    cells = [torch.nonzero(torch.rand(4, 4, 4) > share) for share in (0.7, 0.4)]
    x = batch_of([(torch.randn(len(coords), 4), coords) for coords in cells])
    extra = x.replace(torch.randn(len(x), 2))
    t, cond = torch.tensor([300.0, 800.0]), torch.randn(2, 5, 24)
    together = model(x, t, cond, extra).feats
    assert together.abs().max() > 0.1
    for index, rows in enumerate(x.layout):
        alone = model(x.sample(index), t[[index]], cond[[index]], extra.sample(index)).feats
        torch.testing.assert_close(alone, together[rows], rtol=0, atol=1e-5)


def test_prepared_conditions_give_the_same_result():
    model = network("SparseStructureFlowModel")
    x, t, cond = torch.randn(2, 6, 4, 4, 4), torch.tensor([300.0, 800.0]), torch.randn(2, 5, 24)
    assert torch.equal(model(x, t, model.condition(cond)), model(x, t, cond))
