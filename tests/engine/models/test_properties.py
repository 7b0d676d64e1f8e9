# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of the networks that hold for every size: fresh weights, gradients, released names, refusals."""

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.models.registry import build_model
from espalier.engine.models.sparse_blocks import (
    SparseConvNeXtBlock3d,
    SparseResBlockC2S3d,
    SparseResBlockS2C3d,
    merge_channels,
    repeat_channels,
)
from espalier.engine.models.sparse_vae import init_child_tied, initialise
from espalier.engine.sparse import SparseTensor, channel_to_space, space_to_channel
from espalier.tests.samples import batch_of

FLOW = {
    "resolution": 4,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 48,
    "cond_channels": 8,
    "num_blocks": 2,
    "num_heads": 2,
    "mlp_ratio": 2,
}
ENCODER = {"model_channels": [8, 16, 16], "latent_channels": 4, "num_blocks": [1, 1, 1]}
DECODER = {"model_channels": [16, 16, 8], "latent_channels": 4, "num_blocks": [1, 1, 1]}


def shell(batch=2, size=8, channels=6, seed=0):
    """A hollow cube per sample."""
    torch.manual_seed(seed)
    grid = torch.stack(torch.meshgrid(*[torch.arange(size)] * 3, indexing="ij"), -1).view(-1, 3)
    surface = grid[((grid == 1) | (grid == size - 2)).any(1) & (grid > 0).all(1) & (grid < size - 1).all(1)]
    return batch_of([(torch.randn(len(surface), channels), surface) for _ in range(batch)])


@torch.no_grad()
def test_a_fresh_flow_model_returns_zero():
    model = build_model("SparseStructureFlowModel", FLOW)
    assert not model(torch.randn(2, 4, 4, 4, 4), torch.rand(2) * 1000, torch.randn(2, 3, 8)).any()


@pytest.mark.parametrize("shortcut", ["consecutive", "strided"])
@torch.no_grad()
def test_a_fresh_block_equals_its_shortcut(shortcut):
    x = shell(channels=16)
    down = SparseResBlockS2C3d(16, 32, shortcut)
    coarse = space_to_channel(x)
    assert torch.equal(down(x).feats, merge_channels(coarse.feats, 32, shortcut))
    up = SparseResBlockC2S3d(128, 16, shortcut=shortcut)
    fine = channel_to_space(coarse, coarse.sites.finer)
    assert torch.equal(up(coarse)[0].feats, repeat_channels(fine.feats, 16, shortcut))
    model = build_model("SparseUnetVaeEncoder", ENCODER)
    initialise(model)
    block = next(block for block in model.modules() if isinstance(block, SparseConvNeXtBlock3d))
    narrow = x.replace(x.feats[:, :8])
    assert torch.equal(block(narrow).feats, narrow.feats)


def test_strided_shortcut_averages_children_of_the_same_channel():
    children = torch.arange(16.0).view(1, 16)  # two channels of eight children
    assert merge_channels(children, 2, "strided").tolist() == [[7.0, 8.0]]
    assert merge_channels(children, 8, "consecutive").tolist() == [[0.5, 2.5, 4.5, 6.5, 8.5, 10.5, 12.5, 14.5]]
    assert repeat_channels(torch.tensor([[1, 2]]), 4, "strided").tolist() == [[1, 2, 1, 2]]
    assert repeat_channels(torch.tensor([[1, 2]]), 4, "consecutive").tolist() == [[1, 1, 2, 2]]


@torch.no_grad()
def test_a_child_tied_decoder_gives_all_children_the_same_features():
    torch.manual_seed(0)
    model = build_model("SparseUnetVaeDecoder", DECODER | {"model_channels": [16, 16, 16], "shortcut": "strided"})
    init_child_tied(model)
    x = shell(batch=1)
    coarse = space_to_channel(space_to_channel(x))
    out = model(coarse.replace(torch.randn(len(coarse), 4))).feats
    parent = coarse.sites.finer.parent[coarse.sites.finer.fine.finer.parent]
    for row in range(len(coarse)):
        children = out[parent == row]
        torch.testing.assert_close(children, children[:1].expand_as(children))
    assert out.std(0).min() > 0


@pytest.mark.parametrize("shortcut", ["consecutive", "strided"])
@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [("FlexiDualGridVaeEncoder", "FlexiDualGridVaeDecoder"), ("SparseUnetVaeEncoder", "SparseUnetVaeDecoder")],
)
def test_autoencoders_train_under_autocast(encoder, decoder, shortcut):
    x = shell()
    encode = build_model(encoder, ENCODER | {"shortcut": shortcut})
    decode = build_model(decoder, DECODER | {"shortcut": shortcut})
    with torch.autocast("cpu", torch.bfloat16):
        z, mean, logvar = encode(x, sample_posterior=True, return_raw=True)
        h, subs = decode.raw(z)
    assert torch.equal(h.coords, x.coords)
    assert h.feats.dtype in (torch.bfloat16, torch.float32)
    for sub in subs:
        assert sub.child_mask().shape == sub.feats.shape
    loss = h.feats.float().square().mean() + sum(sub.feats.float().square().mean() for sub in subs)
    (loss + mean.square().mean() + logvar.square().mean()).backward()
    names = [name for model in (encode, decode) for name, weight in model.named_parameters() if weight.grad is None]
    assert names == []


@pytest.mark.parametrize("name", ["SparseStructureFlowModel", "SLatFlowModel"])
def test_flow_models_train_under_autocast(name):
    model = build_model(name, FLOW)
    with torch.no_grad():
        model.out_layer.weight.normal_()
    x = torch.randn(2, 4, 4, 4, 4) if name == "SparseStructureFlowModel" else shell(channels=4)
    with torch.autocast("cpu", torch.bfloat16):
        out = model(x, torch.rand(2) * 1000, torch.randn(2, 3, 8))
    (out.feats if isinstance(out, SparseTensor) else out).square().mean().backward()
    assert all(weight.grad is not None for weight in model.parameters())


def test_the_structure_autoencoder_mirrors_its_shapes():
    encode = build_model(
        "SparseStructureEncoder", {"in_channels": 1, "latent_channels": 8, "num_res_blocks": 1, "channels": [4, 8]}
    )
    decode = build_model(
        "SparseStructureDecoder", {"out_channels": 1, "latent_channels": 8, "num_res_blocks": 1, "channels": [8, 4]}
    )
    x = torch.rand(2, 1, 8, 8, 8)
    z = encode(x, sample_posterior=True)
    assert z.shape == (2, 8, 4, 4, 4)
    assert decode(z).shape == x.shape


@torch.no_grad()
def test_decoding_a_batch_gives_what_its_samples_give_alone():
    torch.manual_seed(1)
    model = build_model("FlexiDualGridVaeDecoder", DECODER)
    z = shell(batch=3, size=5, channels=4)
    together, _ = model.raw(z)
    for index in range(3):
        alone, _ = model.raw(z.sample(index))
        sample = together.sample(index)
        assert torch.equal(alone.coords, sample.coords)
        torch.testing.assert_close(alone.feats, sample.feats)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("Unheard", {}),
        ("SLatFlowModel", FLOW | {"colour": 1}),
        ("SLatFlowModel", {key: value for key, value in FLOW.items() if key != "num_heads"}),
        ("SLatFlowModel", FLOW | {"pe_mode": "ape"}),
        ("FlexiDualGridVaeDecoder", DECODER | {"block_type": ["Unheard"] * 3}),
        ("FlexiDualGridVaeDecoder", DECODER | {"model_channels": [16, 12, 8]}),
        ("FlexiDualGridVaeDecoder", DECODER | {"num_blocks": [1]}),
    ],
)
def test_foreign_descriptions_are_refused(name, args):
    with pytest.raises(EspalierError) as caught:
        build_model(name, args)
    assert caught.value.code == "bad_config"
