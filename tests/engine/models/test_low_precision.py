# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention in half precision; that the blocks round where the reference rounds is compared in tests/parity."""

import pytest
import torch
from espalier.engine.models import attention


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
