# SPDX-License-Identifier: GPL-3.0-or-later
"""On a GPU the networks compute what they compute on a CPU, and the same bytes every time."""

import pytest
import torch
from espalier.engine.models.attention import attend
from espalier.engine.models.attention_kernels import FLASH, by_flash_attn
from espalier.engine.models.bound_flow import OFTEN, BoundFlow
from espalier.engine.models.registry import build_model
from espalier.engine.sparse import space_to_channel
from espalier.tests.samples import batch_of

ENCODER = {"model_channels": [16, 32, 32], "latent_channels": 8, "num_blocks": [1, 1, 1]}
DECODER = {"model_channels": [32, 32, 16], "latent_channels": 8, "num_blocks": [1, 1, 1]}
FLOW = {
    "resolution": 8,
    "in_channels": 8,
    "out_channels": 8,
    "model_channels": 96,
    "cond_channels": 16,
    "num_blocks": 2,
    "num_heads": 3,
}


def voxels(counts, channels):
    torch.manual_seed(0)
    grid = torch.stack(torch.meshgrid(*[torch.arange(24)] * 3, indexing="ij"), -1).view(-1, 3)
    return batch_of([(torch.randn(count, channels), grid[torch.randperm(len(grid))[:count]]) for count in counts])


def step(encode, decode, x):
    """Loss and gradients of one autoencoder step."""
    h, subs = decode.raw(encode(x))
    loss = h.feats.square().mean() + sum(sub.feats.square().mean() for sub in subs)
    weights = [*encode.parameters(), *decode.parameters()]
    return loss, torch.autograd.grad(loss, weights, allow_unused=True)


# The gradients' engine of torch asks for a real device.
@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_autoencoder_steps_agree_with_the_cpu_and_repeat_exactly():
    x = voxels([3000, 1200], 6)
    encode, decode = build_model("FlexiDualGridVaeEncoder", ENCODER), build_model("FlexiDualGridVaeDecoder", DECODER)
    expected_loss, expected = step(encode, decode, x)
    encode, decode = encode.cuda(), decode.cuda()
    loss, gradients = step(encode, decode, x.to("cuda"))
    _, repeated = step(encode, decode, x.to("cuda"))
    torch.testing.assert_close(loss.cpu(), expected_loss, rtol=1e-4, atol=1e-5)
    for gradient, again, reference in zip(gradients, repeated, expected, strict=True):
        if reference is not None:
            torch.testing.assert_close(gradient.cpu(), reference, rtol=1e-3, atol=1e-4)
            assert torch.equal(gradient, again)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.no_grad()
def test_flow_models_agree_with_the_cpu(card, dtype):
    model = build_model("SLatFlowModel", FLOW)
    model.out_layer.weight.normal_()
    x, t, cond = voxels([500, 130], 8), torch.tensor([300.0, 900.0]), torch.randn(2, 9, 16)
    expected = model(x, t, cond).feats
    model.cuda().convert_to(dtype)
    actual = model(x.to("cuda"), t.cuda(), cond.cuda()).feats.cpu()
    tolerance = 1e-3 if dtype == torch.float32 else 0.3
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_attention_accumulates_in_float32(card, dtype):
    torch.manual_seed(0)
    q, v = torch.randn(1, 3, 2, 64).to(dtype), (torch.randn(1, 20_000, 2, 64) + 1).to(dtype)
    mean = v.double().mean(1).flatten(1).expand(3, -1)
    out = attend(q.cuda(), torch.zeros_like(v).cuda(), v.cuda(), None)[0].cpu().double()
    torch.testing.assert_close(out, mean, rtol=4 * torch.finfo(dtype).eps, atol=0)


@torch.no_grad()
def test_recorded_kernels_give_the_bytes_of_single_calls_at_every_step(card):
    model = build_model("SLatFlowModel", FLOW).cuda()
    model.out_layer.weight.normal_()
    x, cond = voxels([500], 8).to("cuda"), torch.randn(1, 9, 16, device="cuda")
    bound = BoundFlow(model, x, cond)
    for time in (900.0, 600.0, 300.0, 100.0):
        x, t = x.replace(torch.randn_like(x.feats)), torch.full((1,), time, device="cuda")
        for side, condition in ((bound.positive, model.condition(cond)), (bound.negative, model.no_condition())):
            assert torch.equal(bound(x, t, side).feats, model(x, t, condition).feats)
        positive, negative = bound(x, t, bound.both)
        torch.testing.assert_close(positive.feats, bound(x, t, bound.positive).feats, rtol=0, atol=1e-4)
        torch.testing.assert_close(negative.feats, bound(x, t, bound.negative).feats, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("single_passes", "graphs"), [(OFTEN - 1, 1), (OFTEN, 2)])
@torch.no_grad()
def test_few_passes_of_one_side_are_not_recorded(card, monkeypatch, single_passes, graphs):
    model = build_model("SLatFlowModel", FLOW).cuda()
    x, t = voxels([500], 8).to("cuda"), torch.full((1,), 700.0, device="cuda")
    made, graph = [], torch.cuda.CUDAGraph
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: made.append(graph()) or made[-1])
    bound = BoundFlow(model, x, torch.randn(1, 9, 16, device="cuda"), single_passes=single_passes)
    for _ in range(3):
        for side in (bound.positive, bound.both):
            bound(x, t, side)
    assert len(made) == graphs


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", FLASH)
def test_installed_attention_kernels_accumulate_in_float32(card, name, dtype):
    kernel = by_flash_attn(name)
    if kernel is None:
        pytest.skip(f"{name} is not installed")
    torch.manual_seed(0)
    q, v = torch.randn(1, 3, 2, 64).to(dtype).cuda(), (torch.randn(1, 20_000, 2, 64) + 1).to(dtype).cuda()
    mean = v.double().mean(1, keepdim=True).expand(1, 3, 2, 64)
    out = kernel(q, torch.zeros_like(v), v, None).double()
    torch.testing.assert_close(out, mean, rtol=4 * torch.finfo(dtype).eps, atol=0)


def test_moving_a_tensor_keeps_what_it_remembers(card):
    coarse = space_to_channel(voxels([300], 4))
    assert torch.equal(coarse.to("cuda").child_mask().cpu(), coarse.child_mask())
