# SPDX-License-Identifier: GPL-3.0-or-later
"""Products of 8-bit floating point numbers: as near as the format allows, and the chip's are the defined ones."""

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.models import float8
from espalier.engine.models.float8 import Float8Linear, by_chip, by_definition, in_float8, require, why_not
from espalier.engine.models.quantised import quantise_torso
from espalier.engine.models.registry import build_model
from espalier.tests.samples import SMALL_FLOW, lively
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.usefixtures("same_numbers_without_gradients")

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def drawn(seed, *size):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 2**32 - 1), st.floats(-100, 100), st.sampled_from([torch.float32, torch.bfloat16]))
def test_a_value_moves_by_a_sixteenth_at_most_and_a_scale_is_a_power_of_two(seed, exponent, dtype):
    rows = (drawn(seed, 5, 40) ** 5 * 2**exponent).to(dtype)
    values, scale = in_float8(rows)
    assert values.dtype == torch.float8_e4m3fn and (scale.frexp().mantissa == 0.5).all()
    largest = rows.float().abs().amax(1, keepdim=True)
    moved = (values.float() * scale - rows.float()).abs()
    assert (moved <= torch.maximum(rows.float().abs() / 16, largest / 2**17)).all()


def test_rows_of_zeros_stay_zero_and_a_row_does_not_depend_on_its_neighbours():
    rows = drawn(0, 4, 32)
    rows[1] = 0
    values, scale = in_float8(rows)
    assert (values[1].float() == 0).all() and scale.isfinite().all()
    alone, alone_scale = in_float8(rows[2:3])
    assert torch.equal(alone.float(), values[2:3].float()) and torch.equal(alone_scale, scale[2:3])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rows", [1, 3, 130])
@pytest.mark.parametrize("biased", [False, True])
def test_torch_s_own_product_is_the_defined_one(device, rows, biased):
    if device == "cuda" and (reason := why_not(torch.device("cuda", 0)) if torch.cuda.is_available() else "no card"):
        pytest.skip(reason)
    # Sizes of rows far apart show a scale that is left out or taken from another row.
    sizes = 2.0 ** torch.arange(-8, 8)
    values, scale = in_float8(drawn(1, rows, 80) * sizes.repeat(9)[:rows, None])
    weight, weight_scale = in_float8(drawn(2, 48, 80) * sizes.repeat(3)[:, None])
    bias = drawn(3, 48).bfloat16() if biased else None
    product = [None if part is None else part.to(device) for part in (values, scale, weight, weight_scale, bias)]
    exact, chip = by_definition(*product), by_chip(*product)
    assert chip.dtype == torch.bfloat16
    # The sum is rounded to bfloat16 before the bias is added, or after; of partial sums tensor cores keep 14 bits.
    size = exact.abs() if bias is None else exact.abs() + (exact - product[4].float()).abs()
    values, weight = values.float().to(device), weight.float().to(device)
    sums = values.abs() @ weight.abs().t() * product[1] * product[3].t()
    assert ((chip.float() - exact).abs() <= 2**-7 * size + 2**-10 * sums).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_gives_the_precision_of_its_input_for_any_number_of_axes(dtype):
    plain = torch.nn.Linear(64, 32)
    layer, x = Float8Linear(plain), drawn(4, 2, 7, 64).to(dtype)
    out, exact = layer(x), plain(x.float())
    assert out.dtype == dtype and out.shape == exact.shape
    assert 0.005 * exact.norm() < (out.float() - exact).norm() < 0.06 * exact.norm()
    torch.testing.assert_close(layer(x[1, 2]), out[1, 2])


@pytest.mark.parametrize("turned", [False, True])
def test_a_layer_gives_the_same_by_the_chip_s_products_whatever_lies_beside_what_in_memory(monkeypatch, turned):
    layer = Float8Linear(torch.nn.Linear(64, 32))
    x = (drawn(7, 2, 64, 5).transpose(1, 2) if turned else drawn(7, 2, 5, 64)).bfloat16()
    defined = layer(x), layer(x[0, 0])
    monkeypatch.setattr(float8, "why_not", lambda device: "")
    for by_the_chip, exact in zip((layer(x), layer(x[0, 0])), defined, strict=True):
        assert by_the_chip.dtype == exact.dtype and by_the_chip.shape == exact.shape
        torch.testing.assert_close(by_the_chip, exact, rtol=2**-6, atol=2**-7)


def test_only_layers_of_the_torso_that_the_chip_can_take_are_replaced_and_both_sides_stay_close():
    model = lively(build_model("SparseStructureFlowModel", SMALL_FLOW))
    x, t, cond = drawn(5, 1, 6, 4, 4, 4), torch.tensor([700.0]), drawn(6, 1, 9, 24)
    exact = [model(x, t, side) for side in (cond, model.no_condition())]
    quantise_torso(model, Float8Linear)
    kinds = {name: type(layer) for name, layer in model.named_modules()}
    assert kinds["blocks.0.mlp.mlp.2"] is Float8Linear and kinds["out_layer"] is torch.nn.Linear
    # The condition's 24 channels are no multiple of 16, and 16 are too few.
    assert issubclass(kinds["blocks.0.cross_attn.to_kv"], torch.nn.Linear)
    assert not Float8Linear.suits(torch.nn.Linear(16, 64)) and Float8Linear.suits(torch.nn.Linear(32, 16))
    for side, before in zip((cond, model.no_condition()), exact, strict=True):
        share = (model(x, t, side) - before).norm() / before.norm()
        assert 0.001 < share < 0.1


def test_a_computer_without_such_products_says_what_to_do_in_one_sentence():
    with pytest.raises(EspalierError) as refused:
        require(torch.device("cpu"))
    assert refused.value.code == "bad_settings" and "RTX 40" in refused.value.sentence
    assert refused.value.sentence.count(".") == 1


@pytest.mark.parametrize(
    ("capability", "close", "reason"), [((8, 6), True, "too old"), ((8, 9), False, "does not work")]
)
def test_an_older_card_and_one_whose_products_are_wrong_are_told_apart(monkeypatch, capability, close, reason):
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(float8, "_agrees", lambda device: close)
    why_not.cache_clear()
    assert reason in why_not(torch.device("cuda", 0))
    why_not.cache_clear()


@pytest.mark.parametrize(
    ("capability", "version", "works"),
    [((8, 9), "2.11.0", False), ((8, 9), "2.13.0+cu130", True), ((9, 0), "2.11.0", True), ((12, 0), "2.11.0", True)],
)
def test_the_first_of_these_chips_needs_a_torch_that_keeps_to_the_stream(monkeypatch, capability, version, works):
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion(version))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(float8, "_agrees", lambda device: True)
    why_not.cache_clear()
    assert (why_not(torch.device("cuda", 0)) == "") == works
    why_not.cache_clear()


def test_the_check_of_a_card_notices_a_wrong_scale(monkeypatch):
    assert float8._agrees(torch.device("cpu"))
    own = by_chip
    monkeypatch.setattr(
        float8, "by_chip", lambda values, scale, *rest: own(values, scale.amax().expand_as(scale).contiguous(), *rest)
    )
    assert not float8._agrees(torch.device("cpu"))
