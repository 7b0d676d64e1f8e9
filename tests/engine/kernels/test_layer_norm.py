# SPDX-License-Identifier: GPL-3.0-or-later
"""The fused layer norm rounds where the operations one by one round."""

import pytest
import torch
from espalier.engine.kernels.layer_norm import plain_layer_norm, plain_modulated_layer_norm

NAME = "layer_norm_triton"


def close(actual, expected):
    """Equal but for sums in another order, which move a few values to the next one of their dtype."""
    assert actual.dtype == expected.dtype
    eps = torch.finfo(expected.dtype).eps
    torch.testing.assert_close(actual.cpu(), expected, rtol=4 * eps, atol=max(16 * eps, 4e-6))
    if expected.dtype != torch.float32:
        assert (actual.cpu() != expected).float().mean() < 0.01


def agrees(kernels, device, dtype="float16", shape=(2, 50, 96), samples=2):
    torch.manual_seed(0)
    x = (3 * torch.randn(shape) + 20 * torch.randn(*shape[:2], 1)).to(getattr(torch, dtype))
    modulation = torch.randn(samples, 1, 3 * shape[-1]).to(x.dtype)
    shift, _, scale = modulation.chunk(3, -1)
    _, *moved = modulation.to(device).chunk(3, -1)[::-1]
    assert torch.equal(moved[-1].cpu(), shift)
    found = kernels.modulated_layer_norm(x.to(device), modulation.to(device).chunk(3, -1)[2], moved[-1], 1e-6)
    close(found, plain_modulated_layer_norm(x, scale, shift, 1e-6))
    weight, bias = torch.randn(2, shape[-1])
    found = kernels.layer_norm(x.to(device), weight.to(device), bias.to(device), 1e-6)
    close(found, plain_layer_norm(x, weight, bias, 1e-6))
    close(kernels.layer_norm(x[0].to(device), None, None, 1e-6), plain_layer_norm(x[0], None, None, 1e-6))


def the_epsilon_counts(kernels, device):
    x = 1e-3 * torch.randn(4, 64)
    close(kernels.layer_norm(x.to(device), None, None, 1e-6), plain_layer_norm(x, None, None, 1e-6))


def launches(kernels):
    """The transformer's rows and the autoencoders' narrowest."""
    scale = torch.empty(2, 1, 1536, dtype=torch.bfloat16, device="meta")
    kernels.modulated_layer_norm(torch.empty(2, 1000, 1536, dtype=scale.dtype, device="meta"), scale, scale, 1e-6)
    weight = torch.empty(64, device="meta")
    kernels.layer_norm(torch.empty(1000, 64, dtype=torch.float16, device="meta"), weight, weight, 1e-6)


CHANGES = {
    "the mask of the variance": ("tl.where(inside[None, :], value - mean[:, None], 0.0)", "value - mean[:, None]"),
    "the last rows": ("(row < count)[:, None]", "(row < count - 1)[:, None]"),
    "the mean": ("mean = tl.sum(value, 1) / WIDTH", "mean = tl.sum(value, 1) * 0"),
    "the weight": ("if weight is not None:", "if False:"),
    "the bias": ("if bias is not None:", "if False:"),
    "the second sample": ("sample = (row // tokens)[:, None]", "sample = (row // count)[:, None]"),
    "the rounding of the norm": ("value.to(dtype).to(tl.float32) * factor", "value * factor"),
    "the rounding of the product": ("        value = value.to(dtype).to(tl.float32)\n", ""),
    "the rounding of the factor": ("factor.to(dtype).to(tl.float32)", "factor"),
}


@pytest.mark.parametrize(
    ("dtype", "shape", "samples"),
    [
        ("float16", (2, 50, 96), 2),
        ("float16", (2, 5, 1536), 1),
        ("float16", (1, 70, 64), 1),
        ("float32", (2, 9, 40), 2),
    ],
)
def test_equals_the_operations_one_by_one(place, dtype, shape, samples):
    place.check(NAME, agrees, dtype=dtype, shape=shape, samples=samples)


def test_bfloat16_equals_the_operations_one_by_one(gpu):
    gpu.check(NAME, agrees, dtype="bfloat16", shape=(2, 300, 1536))


def test_the_epsilon_counts(place):
    place.check(NAME, the_epsilon_counts)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices(NAME, agrees, change)


def test_a_missing_epsilon_is_noticed(interpreter):
    interpreter.check_notices(NAME, the_epsilon_counts, ("variance + eps", "variance"))


def test_compiles_for_every_chip(compiler):
    compiler.check(NAME, launches)
