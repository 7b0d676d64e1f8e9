# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse tensors and networks for tests."""

import torch
from espalier.engine.sparse import SparseTensor

SMALL_FLOW = {
    "resolution": 4,
    "in_channels": 6,
    "out_channels": 6,
    "model_channels": 48,
    "cond_channels": 24,
    "num_blocks": 3,
    "num_heads": 2,
}
"""Arguments of a flow model."""


def batch_of(samples):
    """A batch from (feats [N, C], coords [N, 3]) per sample."""
    coords = [torch.nn.functional.pad(xyz.int(), (1, 0), value=batch) for batch, (_, xyz) in enumerate(samples)]
    return SparseTensor(torch.cat([feats for feats, _ in samples]), torch.cat(coords))


def lively(model):
    """The model with values in every parameter: a fresh one returns zero."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    return model.eval()
