# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sampling run computes once, or for both sides of guidance at once, equals the plain definition; no step waits
for the device."""

import pytest
import torch
from espalier.engine.flow.sampler import FlowEulerGuidanceIntervalSampler, SamplerParams
from espalier.engine.models import bound_flow
from espalier.engine.models.bound_flow import BoundFlow
from espalier.engine.models.registry import build_model
from espalier.engine.sparse import SparseTensor
from espalier.tests.samples import SMALL_FLOW, batch_of, lively
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

pytestmark = pytest.mark.usefixtures("same_numbers_without_gradients")

PARAMS = SamplerParams(
    steps=5, guidance_strength=4.0, guidance_rescale=0.5, guidance_interval=(0.5, 1.0), rescale_t=3.0
)
WAITING = {
    *("_local_scalar_dense", "nonzero", "nonzero_static", "masked_select", "is_nonzero", "equal", "bincount"),
    *("_unique2", "unique_dim", "unique_consecutive", "repeat_interleave"),
}
"""Operations whose result, or its size, the host has to wait for."""


def network(name, out_channels=4, dtype=torch.float32):
    model = lively(build_model(name, SMALL_FLOW | {"out_channels": out_channels}))
    model.convert_to(dtype)
    return model


def case(kind, dtype=torch.float32):
    """A model, a state of one sample, condition tokens, and what is appended to the channels."""
    cond = torch.randn(1, 9, 24)
    if kind == "dense":
        return network("SparseStructureFlowModel", 6, dtype), torch.randn(1, 6, 4, 4, 4), cond, None
    cells = torch.nonzero(torch.rand(4, 4, 4) > 0.4)
    channels = 4 if kind == "sparse, appended" else 6
    x = batch_of([(torch.randn(len(cells), channels), cells)])
    extra = x.replace(torch.randn(len(x), 2)) if channels == 4 else None
    return network("SLatFlowModel", channels, dtype), x, cond, extra


KINDS = ("dense", "sparse", "sparse, appended")


def plain(model, x, t, cond, extra):
    """The definition: everything computed anew."""
    return model(x, t, cond) if extra is None else model(x, t, cond, extra)


def values(state):
    return state.feats if isinstance(state, SparseTensor) else state


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_condition_is_what_tokens_of_zeros_give(dtype):
    model, x, cond, _ = case("dense", dtype)
    t = torch.tensor([700.0])
    out = model(x, t, model.no_condition())
    assert out.abs().max() > 0.02
    tolerance = 1e-5 if dtype == torch.float32 else 0
    torch.testing.assert_close(out, model(x, t, torch.zeros_like(cond)), rtol=0, atol=tolerance)
    assert not torch.allclose(out, model(x, t, cond), rtol=0, atol=1e-3)


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_every_side_equals_the_plain_definition(kind, short, monkeypatch):
    monkeypatch.setitem(bound_flow.SHORT, "cpu", 64 if short else 0)
    model, x, cond, extra = case(kind)
    bound, t = BoundFlow(model, x, cond, extra), torch.tensor([700.0])
    expected = [values(plain(model, x, t, tokens, extra)) for tokens in (cond, torch.zeros_like(cond))]
    sides = [bound(x, t, side) for side in (bound.positive, bound.negative)]
    assert (bound.both is not None) == short
    sides += bound(x, t, bound.both) if short else ()
    for side, reference in zip(sides, expected * 2, strict=False):
        torch.testing.assert_close(values(side), reference, rtol=0, atol=2e-5)
    assert (expected[0] - expected[1]).abs().max() > 0.02


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_sampling_run_equals_the_plain_definition(kind, short, monkeypatch):
    monkeypatch.setitem(bound_flow.SHORT, "cpu", 64 if short else 0)
    model, x, cond, extra = case(kind)
    sampler = FlowEulerGuidanceIntervalSampler()
    expected = sampler.sample(
        lambda x, t, cond: plain(model, x, t, cond, extra), x, cond, torch.zeros_like(cond), PARAMS
    )
    bound = BoundFlow(model, x, cond, extra)
    out = sampler.sample(bound, x, bound.positive, bound.negative, PARAMS, both=bound.both)
    scale = values(expected).abs().max()
    torch.testing.assert_close(values(out) / scale, values(expected) / scale, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("device", "longest"), [("cuda", 4096), ("cpu", 512)])
def test_the_length_alone_decides_whether_both_sides_go_together(device, longest):
    assert bound_flow.is_short(longest, torch.device(device))
    assert not bound_flow.is_short(longest + 1, torch.device(device))


class Waits(TorchDispatchMode):
    """Notes operations that would make the host wait for the device: results that it reads, and values that it sends.

    On "meta" a tensor has no values: reading one fails by itself, and whatever else takes part would have to be sent.
    """

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        name = function.overloadpacket.__name__
        indexed_by_mask = name == "index" and any(tensor.dtype == torch.bool for tensor in tensors[1:])
        sent = len({tensor.device for tensor in tensors if tensor.dim() or tensor.is_meta}) > 1
        if name in WAITING or indexed_by_mask or sent or name == "lift_fresh":
            self.found.append(name)
        out = function(*args, **(kwargs or {}))
        if any(
            leaf.device not in {t.device for t in tensors} for leaf in tree_leaves(out) if is_tensor(leaf) and tensors
        ):
            self.found.append(name)
        return out


def is_tensor(leaf):
    return isinstance(leaf, torch.Tensor)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_no_step_makes_the_host_wait(kind, short, device, monkeypatch):
    monkeypatch.setitem(bound_flow.SHORT, device, 64 if short else 0)
    model, x, cond, extra = case(kind)
    if device == "meta":
        monkeypatch.setattr(
            torch, "is_autocast_enabled", lambda device_type: False
        )  # torch refuses to say it of "meta"
        model, cond = model.to(device), cond.to(device)
        if kind == "dense":
            x = x.to(device)
        else:
            moved = x.to(device)
            moved.sites.lengths = x.sites.lengths
            x, extra = moved, None if extra is None else moved.replace(extra.feats.to(device))
    bound = BoundFlow(model, x, cond, extra)
    steps = FlowEulerGuidanceIntervalSampler().walk(bound, x, bound.positive, bound.negative, PARAMS, bound.both)
    if device == "cpu":
        next(steps)  # rows are counted once, before the first step
    with Waits() as waits:
        assert len(list(steps)) == PARAMS.steps - (device == "cpu")
    assert waits.found == []


@pytest.mark.parametrize(
    "waiting",
    [
        lambda x: x.sum().item(),
        lambda x: x[x > 0],
        lambda x: (x > 0).nonzero(),
        lambda x: x.sum() > 0 and x,
        lambda x: x + torch.tensor([1.0]),
    ],
)
def test_what_waits_is_noticed(waiting):
    with Waits() as waits:
        waiting(torch.ones(3))
    assert waits.found


def test_what_is_sent_to_the_device_is_noticed():
    with Waits() as waits:
        torch.ones(3).to("meta")
    assert waits.found
