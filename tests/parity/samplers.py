# SPDX-License-Identifier: GPL-3.0-or-later
"""The samplers on the closed-form velocity field that case 07 describes: every step and every call of the network."""

import re
from functools import partial

import torch
from espalier.engine.flow.sampler import FlowEulerGuidanceIntervalSampler, SamplerParams
from espalier.engine.flow.schedule import time_sequence
from espalier.engine.sparse import SparseTensor

from .case import Case
from .runners import compares

DEFAULT_STEPS = 50
"""What the reference takes where an entry names no number of steps."""


def velocity(x, t, cond):
    """The recorded field on values whose rows are aligned with t [rows] and cond [rows, C]."""
    return 0.5 * x + cond * torch.cos(3 * t / 1000) - 0.25 * torch.tanh(x) * (t / 1000)


class RecordingField:
    """The field as a network, dense or sparse, that notes the time of every call."""

    def __init__(self) -> None:
        self.calls: list[float] = []

    def dense(self, x, t, cond):
        self.calls += t[:1].tolist()
        return velocity(x, t.view(-1, 1, 1, 1, 1), cond[..., None, None, None])

    def sparse(self, x, t, cond, concat_cond=None):
        self.calls += t[:1].tolist()
        batch = x.coords[:, 0].long()
        values = velocity(x.feats, t[batch, None], cond[batch])
        return x.replace(values if concat_cond is None else values + 0.1 * concat_cond.feats)


def start_of(case: Case, field: RecordingField, kind: str):
    if kind == "dense":
        return case.input("dense.noise"), field.dense
    noise = SparseTensor(case.input("sparse.noise.feats"), case.input("sparse.noise.coords"))
    if kind == "sparse":
        return noise, field.sparse
    return noise, partial(field.sparse, concat_cond=noise.replace(case.input("concat_cond.feats")))


def plain(state):
    return state.feats if isinstance(state, SparseTensor) else state


@compares("flow samplers", "sampler.sample(")
def samplers(case: Case) -> None:
    for name in case.names:
        if name.startswith("tseq."):
            rescale_t, steps = re.fullmatch(r"tseq\.r([\d.]+)\.s(\d+)", name).groups()
            case.equal(name, torch.from_numpy(time_sequence(int(steps), float(rescale_t))))
    sigma_min = float(re.search(r"sigma_min ([\d.e+-]+)", case.about["class"])[1])
    for entry in case.about["entries"]:
        key = entry["key"]
        field = RecordingField()
        noise, model = start_of(case, field, key.split(".")[1])
        params = SamplerParams(steps=DEFAULT_STEPS).with_overrides(entry["params"])
        walk = FlowEulerGuidanceIntervalSampler(sigma_min).walk(
            model, noise, case.input("cond"), case.input("neg_cond"), params
        )
        steps = list(walk)
        case.agree(f"{key}: times of the network's calls", field.calls, entry["model_calls_t"])
        case.close(f"{key}.pred_x_t", torch.stack([plain(step.sample) for step in steps]))
        case.close(f"{key}.pred_x_0", torch.stack([plain(step.clean) for step in steps]))
        case.close(f"{key}.samples", plain(steps[-1].sample))
