# SPDX-License-Identifier: GPL-3.0-or-later
"""The sampler reports its steps, can be cancelled between them, and treats the elements of a batch apart."""

import math

import pytest
import torch
from espalier.engine.errors import Cancelled
from espalier.engine.flow.sampler import FlowEulerGuidanceIntervalSampler, SamplerParams
from espalier.engine.sparse.tensor import SparseTensor
from espalier.tests.parity.samplers import RecordingField


def test_progress_is_reported_after_each_step_and_may_cancel():
    seen = []

    def report(step, total):
        seen.append((step, total))
        if step == 3:
            raise Cancelled

    field = RecordingField()
    noise, cond = torch.randn(2, 3, 4, 4, 4), torch.randn(2, 3)
    with pytest.raises(Cancelled):
        FlowEulerGuidanceIntervalSampler().sample(field.dense, noise, cond, None, SamplerParams(steps=8), report)
    assert seen == [(1, 8), (2, 8), (3, 8)]
    assert len(field.calls) == 3


def test_guided_sparse_batch_equals_its_elements_one_by_one():
    generator = torch.Generator().manual_seed(0)
    coords = torch.tensor([[b, i, i, b] for b, n in ((0, 5), (1, 9)) for i in range(n)], dtype=torch.int32)
    feats = torch.randn(14, 3, generator=generator)
    cond, neg = torch.randn(2, 3, generator=generator), torch.randn(2, 3, generator=generator)
    params = SamplerParams(steps=4, guidance_strength=3.0, guidance_rescale=0.5)
    sampler = FlowEulerGuidanceIntervalSampler()
    whole = sampler.sample(RecordingField().sparse, SparseTensor(feats, coords), cond, neg, params).feats
    for b, rows in enumerate((slice(0, 5), slice(5, 14))):
        alone = coords[rows].clone()
        alone[:, 0] = 0
        part = sampler.sample(
            RecordingField().sparse, SparseTensor(feats[rows], alone), cond[b : b + 1], neg[b : b + 1], params
        )
        assert torch.equal(whole[rows], part.feats)


def decay(x, t, cond):
    """dx/dt = -x + 3 sin(6 t): its solution from t = 1 to 0 is known."""
    return -x + 3 * torch.sin(6 * t / 1000).view(-1, 1, 1, 1, 1)


def decayed(x):
    """The exact sample of ``decay`` for noise x."""
    time = torch.tensor([0.0, 1.0], dtype=torch.float64)
    particular = 3 * (torch.sin(6 * time) - 6 * torch.cos(6 * time)) / 37
    return (x - particular[1]) * math.e + particular[0]


@pytest.mark.parametrize(("order", "error_falls"), [(1, 2), (2, 4)])
def test_an_order_is_how_the_error_falls_with_the_steps_also_of_uneven_ones(order, error_falls):
    noise = torch.randn(1, 2, 2, 2, 2, dtype=torch.float64)
    errors = []
    for steps in (40, 80):
        params = SamplerParams(steps=steps, rescale_t=3.0, order=order)
        sample = FlowEulerGuidanceIntervalSampler().sample(decay, noise, None, None, params)
        errors.append((sample - decayed(noise)).abs().max().item())
    assert errors[0] / errors[1] == pytest.approx(error_falls, rel=0.2)


def guided_calls(reuse, params):
    """Times at which each side is evaluated."""
    seen = {"positive": [], "negative": []}

    def model(x, t, side):
        seen[side].append(t.item())
        return x * (0.5 if side == "positive" else 0.2)

    params = params.with_overrides({"guidance_reuse": reuse})
    sample = FlowEulerGuidanceIntervalSampler().sample(model, torch.ones(1, 1, 1, 1, 1), "positive", "negative", params)
    return seen, sample


def test_reused_guidance_evaluates_the_unconditional_side_at_every_nth_guided_step():
    params = SamplerParams(steps=12, guidance_strength=7.5, guidance_interval=(0.6, 1.0), rescale_t=3.0)
    (every, exact), (second, reused) = guided_calls(1, params), guided_calls(2, params)
    assert every["positive"] == second["positive"] and len(every["positive"]) == 12
    assert len(every["negative"]) == 9
    assert second["negative"] == every["negative"][::2]
    torch.testing.assert_close(reused, exact, rtol=0.1, atol=0)
    assert not torch.equal(reused, exact)


@pytest.mark.parametrize("reuse", [1, 2, 3])
@pytest.mark.parametrize(
    "settings",
    [
        {"guidance_strength": 7.5, "guidance_interval": (0.6, 1.0), "rescale_t": 3.0},
        {"guidance_strength": 7.5, "guidance_interval": (0.6, 1.0), "rescale_t": 5.0, "steps": 25},
        {"guidance_strength": 1.0, "guidance_interval": (0.6, 0.9), "rescale_t": 3.0},
        {"guidance_strength": 0.0, "guidance_interval": (0.6, 0.9), "steps": 7},
        {"guidance_strength": 3.0, "steps": 5},
    ],
)
def test_passes_of_one_side_are_known_before_a_run(settings, reuse):
    params, seen = SamplerParams(**{"steps": 12, "guidance_reuse": reuse, **settings}), []

    def model(x, t, side):
        seen.append(side)
        return (x, 0.5 * x) if side == "both" else x

    noise = torch.ones(1, 1, 1, 1, 1)
    FlowEulerGuidanceIntervalSampler().sample(model, noise, "positive", "negative", params, both="both")
    assert params.single_passes() == len(seen) - seen.count("both")


def test_reuse_changes_nothing_where_guidance_adds_the_same_at_every_step():
    params = SamplerParams(steps=6, guidance_strength=3.0, guidance_rescale=0.5)
    field = RecordingField()
    noise, sides = torch.randn(2, 3, 4, 4, 4), (torch.randn(2, 3), torch.randn(2, 3))

    def model(x, t, cond):
        return field.dense(x, t, torch.zeros(2, 3)) + cond[..., None, None, None]

    runs = [
        FlowEulerGuidanceIntervalSampler().sample(
            model, noise, *sides, params.with_overrides({"guidance_reuse": reuse})
        )
        for reuse in (1, 3)
    ]
    torch.testing.assert_close(*runs, rtol=1e-5, atol=1e-5)
