# SPDX-License-Identifier: GPL-3.0-or-later
"""The sampler reports its steps, can be cancelled between them, and treats the elements of a batch apart."""

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
