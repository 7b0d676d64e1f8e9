# SPDX-License-Identifier: GPL-3.0-or-later
"""Half precision leaves thin structures alone: the latent of a wire keeps the signs that it has in float32.

A wire has many cells and no neighbours across, so its parts hang together through attention over thousands of keys.
There, sums in float16 lose what is small (spec/users.md section 0.8: the signs of one latent in ten turned over).
"""

import math

import pytest
import torch
from espalier.engine.flow.sampler import FlowEulerGuidanceIntervalSampler, SamplerParams
from espalier.engine.models import attention
from espalier.engine.models.bound_flow import BoundFlow
from espalier.engine.models.float8 import Float8Linear
from espalier.engine.models.quantised import QuantisedLinear, quantise_torso
from espalier.engine.models.registry import build_model
from espalier.engine.pipelines.stages import FAST
from espalier.engine.weights.checkpoint import read_json
from espalier.engine.weights.configuration import parse_configuration
from espalier.engine.weights.released import CONFIGURATIONS
from espalier.tests.samples import batch_of, lively

SIZES = {
    "resolution": 64,
    "in_channels": 8,
    "out_channels": 8,
    "model_channels": 16,
    "cond_channels": 16,
    "num_blocks": 1,
    "num_heads": 1,
    "dtype": "bfloat16",
}
AGREEMENT = 0.99
FAST_AGREEMENT, FAST_DEPARTURE = 0.96, 0.1
SINGLE = SamplerParams(steps=1)
CELLS = 400
"""Of the latent only so many cells are compared, so that only their sums need to be added up one by one."""


def wire():
    """Cells of a double helix one cell thick on a 64^3 grid, and noise on them."""
    turn = torch.linspace(0, 24 * math.pi, 20_000)
    strands = []
    for start in (0.0, math.pi):
        radius = 12 + 16 * torch.sin(turn / 24)
        points = [32 + radius * torch.cos(turn + start), 32 + radius * torch.sin(turn + start), turn / turn[-1] * 63]
        strands.append(torch.stack(points, 1).long())
    cells = torch.unique(torch.cat(strands), dim=0)
    return batch_of([(torch.randn(len(cells), 8), cells)])


def adding_in_half(q, k, v, mask):
    """Attention whose sums are kept in float16, one key after the other: what must not be used."""
    q, k, v = q[0, :CELLS, 0].float(), k[0, :, 0].float(), v[0, :, 0].float()
    scores = q @ k.t() / math.sqrt(q.shape[1])
    shares = (scores - scores.amax(1, keepdim=True)).exp().half()
    values = torch.nn.functional.pad(v, (0, 1), value=1.0).half()  # the last column sums the shares themselves
    sums = torch.zeros(len(q), values.shape[1], dtype=torch.half)
    for key, value in enumerate(values):
        sums += shares[:, key, None] * value
    sums = sums.float()
    return torch.nn.functional.pad(sums[:, :-1] / sums[:, -1:], (0, 0, 0, len(k) - CELLS))[None].to(torch.bfloat16)


def sampled(dtype, kernel=None, layers=None, params=SINGLE):
    """The latent of the wire's first cells, sampled by a random network whose torso runs in ``dtype``.

    ``layers``: the kind that takes the place of its linear layers, by default none.
    """
    torch.manual_seed(0)
    model = lively(build_model("SLatFlowModel", SIZES))
    model.convert_to(dtype)
    if layers is not None:
        quantise_torso(model, layers)
    x, cond = wire(), torch.randn(1, 5, 16)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        if kernel is not None:
            own = attention.attend
            patch.setattr(attention, "attend", lambda q, k, v, mask: (kernel if k.shape[1] > 5 else own)(q, k, v, mask))
        bound = BoundFlow(model, x, cond)
        sampler = FlowEulerGuidanceIntervalSampler()
        return sampler.sample(bound, x, bound.positive, bound.negative, params).feats[:CELLS]


def agreement(one, other):
    """Share of the latent's numbers that have the same sign."""
    return (one.sign() == other.sign()).float().mean().item()


def test_a_wire_keeps_its_signs_in_half_precision_and_in_8_bits_and_loses_them_in_half_precision_sums():
    exact = sampled(torch.float32)
    assert agreement(sampled(torch.bfloat16), exact) > AGREEMENT
    assert agreement(sampled(torch.bfloat16, layers=QuantisedLinear), exact) > AGREEMENT
    assert agreement(sampled(torch.bfloat16, layers=Float8Linear), exact) > AGREEMENT - 0.01
    assert agreement(sampled(torch.bfloat16, adding_in_half), exact) < AGREEMENT - 0.02


def test_a_wire_sampled_fast_is_about_as_far_from_twelve_steps_as_twice_as_many_steps_are():
    """97.2 % of the signs and 7.7 % of the norm; 24 steps: 97.1, 7.2 %; 10 steps, also 17 passes: 94.2, 14.9 %."""
    released = parse_configuration(read_json(CONFIGURATIONS / "pipeline.json")).samplers["shape_slat_sampler"].params
    exact = sampled(torch.float32, params=released)
    fast = sampled(torch.float32, params=released.with_overrides(FAST))
    assert agreement(fast, exact) > FAST_AGREEMENT
    assert (fast - exact).norm() < FAST_DEPARTURE * exact.norm()
    held = sampled(torch.float32, params=released.with_overrides({"guidance_reuse": released.steps}))
    assert agreement(held, exact) < FAST_AGREEMENT - 0.02
    assert (held - exact).norm() > FAST_DEPARTURE * exact.norm()
