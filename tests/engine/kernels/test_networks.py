# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks compute with the kernels what they compute with plain torch, and plain torch serves where kernels fail."""

import contextlib
import importlib
import subprocess

import pytest
import torch
from espalier.engine.kernels import architecture, choice
from espalier.engine.models.registry import build_model
from espalier.engine.sparse import SparseTensor

ENCODER = {"model_channels": [8, 16], "latent_channels": 4, "num_blocks": [0, 1]}
DECODER = {"model_channels": [16, 8], "latent_channels": 4, "num_blocks": [1, 0]}
FLOW = {
    "resolution": 8,
    "in_channels": 4,
    "out_channels": 4,
    "model_channels": 48,
    "cond_channels": 8,
    "num_blocks": 1,
    "num_heads": 2,
}
FUNCTIONS = {
    "layer_norm_triton": ("layer_norm", "modulated_layer_norm"),
    "head_norm_triton": ("head_norm", "head_norm_rotate"),
    "convolution_triton": ("convolve",),
    "resampling_triton": ("pick_rows",),
    "voxel_index_triton": ("HashIndex",),
}


@contextlib.contextmanager
def calls_counted():
    """The set of the kernels' launching functions that were called inside."""
    called, kept = set(), []

    def counted(name, function):
        return lambda *arguments: called.add(name) or function(*arguments)

    for module_name, names in FUNCTIONS.items():
        module = importlib.import_module(f"espalier.engine.kernels.{module_name}")
        for name in names:
            kept.append((module, name, getattr(module, name)))
            setattr(module, name, counted(name, getattr(module, name)))
    yield called
    for module, name, function in kept:
        setattr(module, name, function)


@torch.no_grad()
def networks_agree(kernels, device):
    torch.manual_seed(0)
    encode, decode = build_model("FlexiDualGridVaeEncoder", ENCODER), build_model("FlexiDualGridVaeDecoder", DECODER)
    flow = build_model("SLatFlowModel", FLOW)
    flow.out_layer.weight.normal_()
    cell = torch.randperm(216)[:60]
    coords = torch.stack([torch.zeros_like(cell), cell // 36, cell // 6 % 6, cell % 6], 1)
    feats, cond, t = torch.randn(60, 6), torch.randn(1, 5, 8).to(device), torch.tensor([300.0], device=device)
    encode, decode, flow = encode.to(device), decode.to(device), flow.to(device)

    def outputs():
        z = encode(SparseTensor(feats, coords).to(device))
        return [z.feats, flow(z, t, cond).feats, decode.raw(z)[0].feats]

    with calls_counted() as called:
        fast = outputs()
        assert called == {name for names in FUNCTIONS.values() for name in names}, called
        called.clear()
        with choice.plain_torch():
            plain = outputs()
        assert not called
    for one, other in zip(fast, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def training_keeps_to_torch(kernels, device):
    conv = build_model("FlexiDualGridVaeEncoder", ENCODER).to(device)
    cell = torch.arange(30)
    coords = torch.stack([torch.zeros_like(cell), cell // 6, cell % 6, cell % 2], 1)
    with calls_counted() as called:
        conv(SparseTensor(torch.randn(30, 6), coords).to(device)).feats.sum().backward()
    assert called <= {"HashIndex"}
    assert all(parameter.grad is not None for name, parameter in conv.named_parameters() if "to_latent" in name)


def self_check_passes(kernels, device):
    assert kernels.difference(torch.device(device)) == ""


def self_check_passes_in_float32(kernels, device):
    """As on cards before compute capability 8.0, whose half precision is left to torch."""
    chip = architecture.of
    architecture.of = lambda device: 75
    wrong = kernels.difference(torch.device(device))
    architecture.of = chip
    assert wrong == ""


def self_check_notices_a_wrong_convolution(kernels, device):
    from espalier.engine.kernels import convolution_triton

    convolve = convolution_triton.convolve
    convolution_triton.convolve = lambda *arguments: convolve(*arguments) * 1.01
    assert "convolution" in kernels.difference(torch.device(device))
    convolution_triton.convolve = convolve


def self_check_notices_a_wrong_neighbour(kernels, device):
    from espalier.engine.kernels.voxel_index import SortedIndex

    neighbours = SortedIndex.neighbours
    SortedIndex.neighbours = lambda self, offsets: neighbours(self, offsets).flip(0)
    assert "neighbour" in kernels.difference(torch.device(device))
    SortedIndex.neighbours = neighbours


def test_networks_compute_the_same_with_the_kernels(place):
    place.check("layer_norm_triton", networks_agree)


def test_training_keeps_to_torch(place):
    place.check("layer_norm_triton", training_keeps_to_torch)


def test_the_self_check_passes(place):
    place.check("self_check", self_check_passes)


def test_the_self_check_passes_where_sums_are_all_there_is_to_round(place):
    place.check("self_check", self_check_passes_in_float32)


@pytest.mark.parametrize(
    "wrong", [self_check_notices_a_wrong_convolution, self_check_notices_a_wrong_neighbour], ids=["product", "map"]
)
def test_the_self_check_notices(interpreter, wrong):
    interpreter.check("self_check", wrong)


@pytest.fixture
def a_card(monkeypatch):
    """A CUDA device as ``choice`` asks for it; returns a function that sets its compute capability."""
    choice.why_not.cache_clear()
    yield lambda *capability: monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    choice.why_not.cache_clear()


CARD = torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("capability", "chip"), [((7, 0), 0), ((7, 5), 75), ((8, 7), 86), ((9, 0), 90), ((10, 3), 100), ((12, 1), 120)]
)
def test_a_card_counts_as_the_newest_chip_it_is_no_older_than(a_card, capability, chip):
    a_card(*capability)
    assert architecture.of(CARD) == chip
    if chip:
        assert architecture.newest({75: "old", 90: "new"}, CARD) == ("new" if chip >= 90 else "old")


def test_an_old_card_computes_by_plain_torch(a_card, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    a_card(7, 0)
    assert not choice.serve(CARD)
    assert "older" in choice.why_not(CARD)


def test_without_triton_plain_torch_computes(a_card, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not choice.serve(CARD)
    assert "not installed" in choice.why_not(CARD)


def test_kernels_that_cannot_run_leave_the_work_to_torch(a_card):
    """Here no device answers at all; on a user's machine it may be a missing compiler or a driver too old."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    pytest.importorskip("triton")
    a_card(9, 0)
    assert not choice.serve(CARD)
    assert choice.why_not(CARD).startswith("The Triton kernels fail on this device (")


@pytest.mark.parametrize(
    "error",
    [RuntimeError("Failed to find C compiler. Please specify it."), subprocess.CalledProcessError(1, ["gcc", "x.c"])],
    ids=["no compiler", "no headers"],
)
def test_a_missing_compiler_is_said_with_what_to_install(a_card, monkeypatch, error):
    self_check = pytest.importorskip("espalier.engine.kernels.self_check")
    a_card(9, 0)

    def fails(device):
        raise error

    monkeypatch.setattr(self_check, "difference", fails)
    assert not choice.serve(CARD)
    assert "gcc and python3-dev" in choice.why_not(CARD)


def test_a_processor_computes_by_plain_torch():
    assert not choice.serve(torch.device("cpu"))
    assert not choice.serve(torch.device("meta"))
