# SPDX-License-Identifier: GPL-3.0-or-later
"""Attention in half precision; that the blocks round where the reference rounds is compared in tests/parity."""

import sys
from types import SimpleNamespace

import pytest
import torch
from espalier.engine.models import attention, attention_kernels
from espalier.engine.weights.precision import accumulate_in_float32


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


@pytest.fixture
def asked_anew(monkeypatch):
    """What is installed, and what serves a device, is found out anew, and again after the test."""
    cached = (attention_kernels.by_flash_attn, attention_kernels.fastest, attention_kernels._is_before_ampere)
    forget = [function.cache_clear for function in cached]
    for clear in forget:
        clear()
    monkeypatch.delitem(sys.modules, "flash_attn_interface", raising=False)
    yield
    sys.modules.pop("flash_attn_interface", None)
    for clear in forget:
        clear()


def test_a_kernel_that_does_not_load_leaves_attention_to_torch(asked_anew, tmp_path, monkeypatch):
    (tmp_path / "flash_attn_interface.py").write_text("raise ImportError('built for another torch')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert attention_kernels.fastest(torch.device("cuda:0")) == ""


@pytest.mark.parametrize("returns", ["q", "(q, None)"])
def test_an_installed_kernel_serves_the_chips_on_which_it_is_faster(returns, asked_anew, tmp_path, monkeypatch):
    (tmp_path / "flash_attn_interface.py").write_text(f"def flash_attn_func(q, k, v):\n    return {returns}\n")
    monkeypatch.syspath_prepend(tmp_path)
    for capability, expected in (((9, 0), "flash-attn 3"), ((8, 9), "")):
        attention_kernels.fastest.cache_clear()
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, answer=capability: answer)
        assert attention_kernels.fastest(torch.device("cuda:0")) == expected
    q = torch.zeros(1, 2, 1, 4)
    assert attention_kernels.by_flash_attn("flash-attn 3")(q, q, q, None) is q


def test_masks_and_float32_are_left_to_torch():
    q = torch.zeros(1, 2, 1, 4)
    assert attention_kernels.kernel_for(q, None) is attention_kernels.by_torch


@pytest.mark.parametrize(
    ("capability", "dtype", "widened"),
    [((7, 5), torch.bfloat16, True), ((7, 5), torch.float16, False), ((8, 0), torch.bfloat16, False)],
)
@pytest.mark.parametrize("mask", [None, torch.ones(1, 2, dtype=torch.bool)])
def test_cards_without_bfloat16_attend_in_float32(capability, dtype, widened, mask, asked_anew, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    queries = SimpleNamespace(device=torch.device("cuda:0"), dtype=dtype)
    expected = attention_kernels.by_torch_in_float32 if widened else attention_kernels.by_torch
    assert attention_kernels.kernel_for(queries, mask) is expected


def test_attention_in_float32_is_rounded_once():
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, length, 2, 8).bfloat16() for length in (3, 40, 40))
    mask = torch.arange(40)[None] < 30
    out = attention_kernels.by_torch_in_float32(q, k, v, mask)
    exact = attention_kernels.by_torch(q.double(), k.double(), v.double(), mask)
    torch.testing.assert_close(out.double(), exact, rtol=torch.finfo(torch.bfloat16).eps, atol=1e-5)
    assert out.dtype == torch.bfloat16


def test_products_on_a_card_neither_add_up_in_half_precision_nor_round_float32_factors():
    cuda = torch.backends.cuda
    reduced = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction", "allow_tf32")
    before = [getattr(cuda.matmul, name) for name in reduced], torch.backends.cudnn.allow_tf32
    before += cuda.fp16_bf16_reduction_math_sdp_allowed(), cuda.cudnn_sdp_enabled()
    try:
        accumulate_in_float32()
        assert not any(getattr(cuda.matmul, name) for name in reduced) and not torch.backends.cudnn.allow_tf32
        assert not cuda.fp16_bf16_reduction_math_sdp_allowed() and not cuda.cudnn_sdp_enabled()
    finally:
        for name, value in zip(reduced, before[0], strict=True):
            setattr(cuda.matmul, name, value)
        torch.backends.cudnn.allow_tf32 = before[1]
        cuda.allow_fp16_bf16_reduction_math_sdp(before[2])
        cuda.enable_cudnn_sdp(before[3])
