# SPDX-License-Identifier: GPL-3.0-or-later
"""On a card that is held to less memory, every step of a job runs within the memory plan for a card of that size.

The networks have their published sizes and the plan's numbers of tokens; every weight is zero, and every voxel gets as
many children as the plan counts on.
"""

import copy

import pytest
import torch
from espalier.engine.pipelines.stages import MAX_TOKENS
from espalier.engine.weights.activations import cells_of
from espalier.engine.weights.memory_plan import UNBUDGETED_RESOLUTION, plan_memory
from espalier.engine.weights.model_set import ModelSet, load_model_set
from espalier.engine.weights.precision import accumulate_in_float32
from espalier.engine.weights.residency import Budget
from espalier.tooling.engine_bench.cascade import GB, held_to, settle_children, steps, usable


def zeros(models, name, place):
    """The network ``name`` in the place of ``ModelSet._read``, without reading files as large as these."""
    model = copy.deepcopy(models.sketch(name)).to_empty(device=place)
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.zero_()
    return settle_children(model).eval().requires_grad_(False)


def planned_tokens(models, kind):
    """The numbers of tokens that the memory plan of a kind counts on: of its first shape flow and of its last."""
    route = models.config.kind(kind)
    first = cells_of(route.structure_grid)
    if route.low is None:
        return first, first
    grid = route.resolution >> models.sketch("shape_slat_decoder").levels
    return first, cells_of(grid, MAX_TOKENS if route.resolution > UNBUDGETED_RESOLUTION else None)


CARDS = pytest.mark.parametrize(
    ("card", "kind", "precision", "mode"),
    [
        (6, "512", "auto", "turns"),
        (8, "1024_cascade", "auto", "turns"),
        (12, "1024_cascade", "auto", "turns"),
        (12, "512", "int8", "fits"),
        (16, "1536_cascade", "auto", "turns"),
        (24, "1024_cascade", "auto", "fits"),
        (24, "1536_cascade", "auto", "fits"),
    ],
)
"""Cards by their GB, and how a kind of job is planned on each."""


def planned(models, card, kind):
    """The budget of a card of that many GB, and the plan within it."""
    budget = Budget(usable(card))
    return budget, plan_memory(models, "generate", kind, budget, MAX_TOKENS)


@CARDS
def test_a_card_of_that_size_gets_that_plan(published, card, kind, precision, mode):
    assert planned(load_model_set(published.folder, "cuda", precision), card, kind)[1].mode == mode


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@CARDS
@torch.inference_mode()
def test_every_step_runs_within_the_plan_for_a_card_of_that_size(published, monkeypatch, card, kind, precision, mode):
    device = torch.device("cuda", torch.cuda.current_device())
    total = torch.cuda.get_device_properties(device).total_memory
    if total < card * GB:
        pytest.skip(f"this card has less than {card} GB")
    monkeypatch.setattr(ModelSet, "_read", zeros)
    models = load_model_set(published.folder, device, precision)
    budget, plan = planned(models, card, kind)
    assert plan.mode == mode
    accumulate_in_float32()
    done = []
    try:
        with held_to(card, device):
            models.plan(plan.uses, budget)
            for name in steps(models, kind, planned_tokens(models, kind)):
                torch.cuda.synchronize(device)
                done.append(name)
    except torch.cuda.OutOfMemoryError:
        pytest.fail(f"after {done}, the next step takes more than the plan counts on")
    finally:
        models.residency.rest()
        models.release()


@torch.inference_mode()
def test_the_steps_are_those_of_the_plan_one_by_one(small, monkeypatch):
    """Without a card too: what the test above walks through is what is planned, in this order."""
    monkeypatch.setattr(ModelSet, "_read", zeros)
    for kind in ("512", "1024_cascade"):
        models = load_model_set(small)
        asked = []
        get = models.residency.get
        monkeypatch.setattr(models.residency, "get", lambda name, get=get, asked=asked: asked.append(name) or get(name))
        plan = plan_memory(models, "generate", kind, Budget(), MAX_TOKENS)
        names = list(steps(models, kind, (20, 30)))
        assert asked == [use.name for use in plan.uses] and len(names) == len(asked)
