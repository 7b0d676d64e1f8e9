# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of constant size: they really split, pad the tail, and a row's bits depend on that row alone."""

import pytest
import torch
import torch.nn.functional as F
from espalier.engine.models.registry import build_model
from espalier.engine.sparse import SparseConv3d, SparseTensor, chunk_rows, row_wise

CPU = torch.device("cpu")
DECODER = {"model_channels": [16, 16, 8], "num_blocks": [1, 1, 1], "latent_channels": 4}


def plane(side, x=0):
    """A plane of side * side voxels."""
    y, z = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return F.pad(torch.stack([torch.full_like(y, x), y, z], -1).view(-1, 3), (1, 0)).int()


def decoder(name="FlexiDualGridVaeDecoder", **args):
    """A decoder with random weights that keeps all children."""
    torch.manual_seed(0)
    model = build_model(name, {**DECODER, **args}).requires_grad_(False)
    for parameter in model.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    for module in model.modules():
        if getattr(module, "to_subdiv", None) is not None:
            module.to_subdiv.bias.fill_(10.0)
    return model


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1000])
def test_all_chunks_have_one_shape_and_the_tail_is_padded_with_zeros(count):
    shapes, tails = [], []

    def double(rows, weights):
        shapes.append(rows.shape)
        tails.append(rows)
        return 2 * rows + weights

    x = torch.arange(3.0 * count).view(count, 3) + 1
    out = row_wise(double, x, torch.ones(count, 1), size=256)
    assert torch.equal(out, 2 * x + 1)
    assert shapes == [(256, 3)] * max(1, -(-count // 256))
    assert not tails[-1][count - 256 * (len(tails) - 1) :].any()


def test_chunks_are_constants_of_the_device_and_the_width():
    assert chunk_rows(27 * 64, CPU) == chunk_rows(27 * 1024, CPU) == 1024
    cuda = torch.device("cuda")
    assert [chunk_rows(27 * width, cuda) for width in (64, 128, 256, 512, 1024)] == [65536, 32768, 16384, 8192, 4096]


@pytest.mark.parametrize("bias", [True, False])
def test_convolution_with_its_neighbours_in_chunks_equals_the_one_with_gradients(bias):
    torch.manual_seed(0)
    conv, coords = SparseConv3d(4, 6, 3, bias=bias), plane(40)
    feats, skip = torch.randn(1600, 4), torch.randn(1600, 2)

    def run(feats):
        return conv(SparseTensor(feats, coords), F.silu, lambda h, skip: h * skip[:, :1] + 1, skip).feats

    whole = run(feats)
    assert whole.requires_grad
    with torch.no_grad():
        parts = run(feats)
    torch.testing.assert_close(parts, whole.detach())
    assert not torch.equal(parts, torch.ones_like(parts))


def test_output_takes_the_place_of_the_input_only_when_asked_to():
    torch.manual_seed(0)
    conv, coords = SparseConv3d(4, 4, 3), plane(40)
    feats = torch.randn(1600, 4)
    with torch.no_grad():
        expected = conv(SparseTensor(feats.clone(), coords)).feats
        kept = feats.clone()
        conv(SparseTensor(kept, coords))
        assert torch.equal(kept, feats)
        assert conv(SparseTensor(feats, coords), reuse=True).feats.data_ptr() == feats.data_ptr()
    assert torch.equal(feats, expected)


@torch.inference_mode()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_rows_bits_do_not_depend_on_how_many_rows_there_are(dtype):
    model = decoder()
    model.convert_to(dtype)
    coords, z = torch.cat([plane(17), plane(13, x=40)]), torch.randn(289 + 169, 4)
    alone = model.raw(SparseTensor(z[:289], coords[:289]))[0]
    together = model.raw(SparseTensor(z, coords))[0]
    assert len(alone) == 289 * 64
    assert torch.equal(together.coords[: len(alone)], alone.coords)
    assert torch.equal(together.feats[: len(alone)], alone.feats)


@pytest.mark.parametrize("name", ["FlexiDualGridVaeDecoder", "SparseUnetVaeDecoder"])
def test_decoders_split_every_level_and_equal_their_unsplit_form(name):
    model = decoder(name, **({"pred_subdiv": True} if name == "SparseUnetVaeDecoder" else {}))
    calls = []
    for level in model.blocks:
        level[0].mlp.register_forward_hook(lambda module, inputs, out: calls.append(len(out)))
    x = SparseTensor(torch.randn(400, 4), plane(20))
    with torch.no_grad():
        parts = model.raw(x.fresh())[0].feats
    # 400, 3200 and 25600 voxels
    assert calls == [1024] * (1 + 4 + 25)
    calls.clear()
    model.requires_grad_(True)
    whole = model.raw(x.fresh())[0].feats
    assert calls == [400, 3200, 25600]
    torch.testing.assert_close(parts, whole.detach(), rtol=1e-4, atol=1e-5)


def test_intermediate_values_stay_small():
    """The widest value of the block, four times its channels, never exists for all rows at once."""
    conv_rows = []
    model = decoder()
    block = model.blocks[-1][0]
    block.mlp[0].register_forward_hook(lambda module, inputs, out: conv_rows.append(out.numel()))
    with torch.inference_mode():
        model.raw(SparseTensor(torch.randn(400, 4), plane(20)))
    assert max(conv_rows) == 1024 * 4 * 8
