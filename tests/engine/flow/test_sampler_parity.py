# SPDX-License-Identifier: GPL-3.0-or-later
"""The sampler takes the reference's path, step by step, on the closed-form velocity field of case 07."""

from functools import partial

import numpy as np
import pytest
import torch
from espalier.engine.errors import Cancelled
from espalier.engine.flow.sampler import FlowEulerGuidanceIntervalSampler, SamplerParams
from espalier.engine.flow.schedule import time_sequence
from espalier.engine.sparse.tensor import SparseTensor


def velocity(x, t, cond):
    """The recorded field on values whose rows are aligned with t [rows] and cond [rows, C]."""
    return 0.5 * x + cond * torch.cos(3 * t / 1000) - 0.25 * torch.tanh(x) * (t / 1000)


class RecordingField:
    def __init__(self):
        self.calls = []

    def dense(self, x, t, cond):
        self.calls += t[:1].tolist()
        return velocity(x, t.view(-1, 1, 1, 1, 1), cond[..., None, None, None])

    def sparse(self, x, t, cond, concat_cond=None):
        self.calls += t[:1].tolist()
        batch = x.coords[:, 0].long()
        values = velocity(x.feats, t[batch, None], cond[batch])
        return x.replace(values if concat_cond is None else values + 0.1 * concat_cond.feats)


def start_of(case, field, kind):
    if kind == "dense":
        return case.io["dense.noise"], field.dense
    noise = SparseTensor(case.io["sparse.noise.feats"], case.io["sparse.noise.coords"])
    if kind == "sparse":
        return noise, field.sparse
    return noise, partial(field.sparse, concat_cond=noise.replace(case.io["concat_cond.feats"]))


def plain(state):
    return state.feats if isinstance(state, SparseTensor) else state


def test_time_sequence_equals_the_reference_in_doubles(golden):
    case = golden("07_samplers")
    names = [name for name in case.io if name.startswith("tseq.")]
    assert names
    for name in names:
        rescale_t, steps = (int(part[1:]) for part in name.split(".")[1:])
        assert np.array_equal(time_sequence(steps, rescale_t), case.io[name].numpy()), name


def test_every_trajectory_and_every_call_equals_the_reference(golden):
    case = golden("07_samplers")
    for entry in case.case["entries"]:
        key, kind = entry["key"], entry["key"].split(".")[1]
        field = RecordingField()
        noise, model = start_of(case, field, kind)
        params = SamplerParams().with_overrides(entry["params"])
        steps = list(
            FlowEulerGuidanceIntervalSampler(1e-5).walk(model, noise, case.io["cond"], case.io["neg_cond"], params)
        )
        assert field.calls == entry["model_calls_t"], key
        case.assert_close(f"{key}.pred_x_t", torch.stack([plain(step.sample) for step in steps]))
        case.assert_close(f"{key}.pred_x_0", torch.stack([plain(step.clean) for step in steps]))
        case.assert_close(f"{key}.samples", plain(steps[-1].sample))


def test_progress_is_reported_after_each_step_and_may_cancel(golden):
    case = golden("07_samplers")
    seen = []

    def report(step, total):
        seen.append((step, total))
        if step == 3:
            raise Cancelled

    field = RecordingField()
    with pytest.raises(Cancelled):
        FlowEulerGuidanceIntervalSampler().sample(
            field.dense, case.io["dense.noise"], case.io["cond"], None, SamplerParams(steps=8), report
        )
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
