# SPDX-License-Identifier: GPL-3.0-or-later
"""An untrained narrow material autoencoder already passes every attribute from input to output (spec/starter.md 3b)."""

import pytest
import torch
from espalier.engine.models.registry import build_model
from espalier.engine.models.sparse_vae import init_child_tied
from espalier.tests.samples import batch_of

ENCODER = {"model_channels": [32, 64, 64, 64], "latent_channels": 16, "num_blocks": [0, 0, 1, 1]}
DECODER = {"model_channels": [64, 64, 64, 32], "latent_channels": 16, "num_blocks": [1, 1, 0, 0]}


def coloured_shell(size=48, regions=40):
    """Voxels of a sphere, painted by random materials (five attributes and opacity 1) around random seeds."""
    generator = torch.Generator().manual_seed(0)
    grid = torch.stack(torch.meshgrid(*[torch.arange(size)] * 3, indexing="ij"), -1).view(-1, 3)
    radius = (grid + 0.5 - size / 2).norm(dim=1)
    xyz = grid[(radius - size * 0.45).abs() < 0.9]
    seeds = torch.nn.functional.normalize(torch.randn(regions, 3, generator=generator)) * size * 0.45 + size / 2
    nearest = torch.cdist(xyz.float(), seeds).argmin(1)
    materials = torch.rand(regions, 6, generator=generator) * 2 - 1
    materials[:, 5] = 1
    return batch_of([(materials[nearest], xyz)])


def explained(features, target):
    """Share of the variance of ``target`` [N, K] that a linear map of ``features`` [N, C] explains, on the odd rows."""
    design = torch.cat([features, torch.ones(len(features), 1)], 1).double()
    target = target.double()
    normal = design[::2].T @ design[::2] + 1e-6 * torch.eye(design.shape[1])
    weights = torch.linalg.solve(normal, design[::2].T @ target[::2])
    error = (design[1::2] @ weights - target[1::2]).square().mean(0)
    return 1 - error / target[1::2].var(0)


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_attributes_reach_the_output_only_with_the_tied_start(tied):
    torch.manual_seed(0)
    encode = build_model("SparseUnetVaeEncoder", ENCODER | {"shortcut": "strided"})
    decode = build_model("SparseUnetVaeDecoder", DECODER | {"shortcut": "strided"})
    if tied:
        init_child_tied(encode)
        init_child_tied(decode)
    x = coloured_shell()
    h, _ = decode.grow(encode(x), decode.levels)
    share = explained(h.feats, x.feats[:, :5])
    assert share.min() > 0.15 if tied else share.max() < 0.15, share
