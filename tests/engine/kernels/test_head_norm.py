# SPDX-License-Identifier: GPL-3.0-or-later
"""The fused norm and rotation of heads rounds where the operations one by one round."""

import pytest
import torch
from espalier.engine.kernels.head_norm import plain_head_norm, rotate
from espalier.tests.engine.kernels.test_layer_norm import close

NAME = "head_norm_triton"


def agrees(kernels, device, dtype="float16", shape=(2, 30, 3, 48), samples=1):
    """Queries and keys as views of one projection, the phases shared by the samples or not."""
    torch.manual_seed(0)
    qkv = torch.randn(*shape[:2], 3, *shape[2:]).to(getattr(torch, dtype))
    gamma = torch.randn(shape[2:])
    angles = 50 * torch.randn(samples, shape[1], shape[3] // 2)
    phases = torch.polar(torch.ones_like(angles), angles)
    for expected, found in zip(qkv.unbind(2)[:2], qkv.to(device).unbind(2)[:2], strict=True):
        close(kernels.head_norm(found, gamma.to(device)), plain_head_norm(expected, gamma))
        found = kernels.head_norm_rotate(found, gamma.to(device), phases.to(device))
        close(found, rotate(plain_head_norm(expected, gamma), phases))


def a_head_of_zeros_stays_zero(kernels, device):
    x = torch.zeros(1, 2, 1, 8, device=device)
    assert torch.equal(kernels.head_norm(x, torch.ones(1, 8, device=device)), x)


def launches(kernels):
    q = torch.empty(2, 1000, 3, 12, 128, dtype=torch.bfloat16, device="meta").unbind(2)[0]
    gamma, phases = torch.empty(12, 128, device="meta"), torch.empty(1, 1000, 64, dtype=torch.complex64, device="meta")
    kernels.head_norm(q, gamma)
    kernels.head_norm_rotate(q, gamma, phases)


CHANGES = {
    "the mask of the channels": ("inside = channel < SIZE", "inside = channel < SIZE - 2"),
    "the last tokens": ("(token < count)[:, None]", "(token < count - 1)[:, None]"),
    "gamma of each head": ("gamma + head * SIZE + channel", "gamma + channel"),
    "the second sample's place": ("sample * sample_step + position", "position"),
    "the second sample's phases": ("sample * phase_step + position", "position"),
    "the token's phase": ("+ position * SIZE\n", "+ position * 0\n"),
    "the root": ("* factor[None, :] * root", "* factor[None, :]"),
    "the sign of the rotation": ("real * cos - imaginary * sin", "real * cos + imaginary * sin"),
    "the rounding before the rotation": ("value.to(dtype).to(tl.float32).reshape", "value.reshape"),
}


@pytest.mark.parametrize(
    ("dtype", "shape", "samples"),
    [("float16", (2, 30, 3, 48), 1), ("float16", (2, 20, 2, 128), 2), ("float32", (1, 9, 2, 16), 1)],
)
def test_equals_the_operations_one_by_one(place, dtype, shape, samples):
    place.check(NAME, agrees, dtype=dtype, shape=shape, samples=samples)


def test_bfloat16_equals_the_operations_one_by_one(gpu):
    gpu.check(NAME, agrees, dtype="bfloat16", shape=(2, 300, 12, 128))


def test_a_head_of_zeros_stays_zero(place):
    place.check(NAME, a_head_of_zeros_stays_zero)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices(NAME, agrees, change, samples=2)


def test_a_missing_lower_bound_is_noticed(interpreter):
    change = ("tl.maximum(tl.sqrt_rn(tl.sum(value * value, 1)), 1e-12)", "tl.sqrt_rn(tl.sum(value * value, 1))")
    interpreter.check_notices(NAME, a_head_of_zeros_stays_zero, change)


def test_compiles_for_every_chip(compiler):
    compiler.check(NAME, launches)
