# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of 8 bits: as near as half a step, the same wherever they were made, and a network's output barely moves."""

import pytest
import torch
from espalier.engine.models.quantised import LARGEST, QuantisedLinear, quantise_torso, quantised
from espalier.engine.models.registry import build_model
from espalier.tests.samples import SMALL_FLOW, lively
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("same_numbers_without_gradients")


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_no_weight_moves_by_more_than_half_a_step(seed, size):
    weight = torch.randn(5, 40, generator=torch.Generator().manual_seed(seed)) * size
    values, scale = quantised(weight)
    assert values.dtype == torch.int8 and torch.equal(scale, scale.bfloat16().float())
    assert ((values * scale - weight).abs() <= scale * 0.5001).all()
    # No step is larger than it has to be, but for the rounding of its size.
    assert (scale <= weight.abs().amax(1, keepdim=True) / LARGEST * (1 + 2**-7)).all()


def test_a_channel_of_zeros_stays_zero():
    weight = torch.randn(4, 16)
    weight[1] = 0
    values, scale = quantised(weight)
    assert (values[1] == 0).all() and scale[1] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_computes_in_the_precision_of_its_input_with_its_bias(dtype):
    plain = torch.nn.Linear(64, 32)
    layer, x = QuantisedLinear(plain), torch.randn(7, 64).to(dtype)
    out, exact = layer(x), plain(x.float())
    assert out.dtype == dtype
    assert (out.float() - exact).norm() < 0.015 * exact.norm()


def test_only_the_torso_is_quantised_and_both_sides_of_guidance_stay_close():
    model = lively(build_model("SparseStructureFlowModel", SMALL_FLOW))
    x, t, cond = torch.randn(1, 6, 4, 4, 4), torch.tensor([700.0]), torch.randn(1, 9, 24)
    sides = cond, model.no_condition()
    exact = [model(x, t, side) for side in sides]
    quantise_torso(model)
    kinds = {name: type(layer) for name, layer in model.named_modules()}
    assert all(kind is not torch.nn.Linear for name, kind in kinds.items() if name.startswith("blocks."))
    assert kinds["blocks.0.mlp.mlp.2"] is QuantisedLinear and kinds["out_layer"] is torch.nn.Linear
    for side, before in zip((cond, model.no_condition()), exact, strict=True):
        assert (model(x, t, side) - before).norm() < 0.03 * before.norm()
