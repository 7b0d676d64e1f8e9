# SPDX-License-Identifier: GPL-3.0-or-later
"""In bfloat16 the transformer blocks round where the reference rounds; only attention is more exact than it there."""

import math

import pytest
import torch
import torch.nn.functional as F
from espalier.engine.models import attention
from espalier.engine.models.registry import build_model
from espalier.engine.sparse import SparseTensor


def fused(q, k, v, mask):
    """The attention kernel of the recorded dense case: fused, in bfloat16."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def explicit(q, k, v, mask):
    """The attention kernel of the recorded sparse cases: an explicit softmax, every step rounded to bfloat16."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_attention_accumulates_in_float32(dtype):
    """Of 20 000 equal keys each value counts, however small its share; the only rounding is that of the result."""
    torch.manual_seed(0)
    q, v = torch.randn(1, 3, 2, 8).to(dtype), (torch.randn(1, 20_000, 2, 8) + 1).to(dtype)
    k = torch.zeros_like(v)
    mean = v.double().mean(1).flatten(1).expand(3, -1)
    out = attention.attend(q, k, v, None)
    assert out.dtype == dtype
    torch.testing.assert_close(out[0].double(), mean, rtol=torch.finfo(dtype).eps, atol=0)


def run(case, model):
    x, t, cond = (case.io.get(name) for name in ("x", "t", "cond"))
    if x is not None:
        return model(x, t, cond)
    x = SparseTensor(case.io["x.feats"], case.io["x.coords"])
    extra = x.replace(case.io["concat_cond.feats"]) if "concat_cond.feats" in case.io else None
    return model(x, t, cond, extra).feats


@pytest.mark.parametrize(
    "name, output, kernel",
    [
        ("01_sparse_structure_flow", "out", fused),
        ("02_slat_flow_shape", "out.feats", explicit),
        ("02_slat_flow_tex", "out.feats", explicit),
    ],
)
@torch.no_grad()
def test_bfloat16_blocks_equal_the_reference(golden, monkeypatch, name, output, kernel):
    case = golden(name)
    model = build_model(case.case["class"], case.case["args"]).eval()
    model.load_state_dict(case.weights, strict=True)
    model.convert_to(torch.bfloat16)
    exact, recorded = case.io[output], case.io[f"lowp.bf16.{output}"]
    ours = run(case, model)
    monkeypatch.setattr(attention, "attend", kernel)
    same_kernel = run(case, model)
    # With the reference's attention all bits agree; a processor that multiplies bfloat16 in another way moves a few.
    distance = (same_kernel - recorded).abs()
    assert distance.mean() < 3e-4 and distance.max() < 1e-2
    assert (ours - recorded).abs().mean() > 10 * distance.mean()
    # With our own, which accumulates in float32, the result is as close to the float32 one as the reference's is.
    assert (ours - exact).square().mean() < 1.2 * (recorded - exact).square().mean()
    model.convert_to(torch.bfloat16, compute=torch.float32)
    assert (run(case, model) - exact).square().mean() < 0.5 * (recorded - exact).square().mean()
