# SPDX-License-Identifier: GPL-3.0-or-later
"""On a card that is held to less memory, every step of a job runs within the memory plan for a card of that size.

The networks have their published sizes and the plan's numbers of tokens; every weight is zero, and every voxel gets as
many children as the plan counts on.
"""

import copy
import sys

import pytest
import torch
from espalier.engine.models.bound_flow import BoundFlow
from espalier.engine.pipelines.stages import MAX_TOKENS
from espalier.engine.sparse import SparseTensor
from espalier.engine.weights.activations import CHILDREN, cells_of, image_tokens
from espalier.engine.weights.memory_plan import UNBUDGETED_RESOLUTION, USABLE, plan_memory
from espalier.engine.weights.model_set import IMAGE_ENCODER, ModelSet, load_model_set
from espalier.engine.weights.precision import accumulate_in_float32
from espalier.engine.weights.residency import Budget

GB = 1 << 30
CONTEXT = GB // 2
"""What CUDA takes of a card before torch takes anything."""


def zeros(models, name, place):
    """The network ``name`` in the place of ``ModelSet._read``, without reading files as large as these."""
    model = copy.deepcopy(models.sketch(name)).to_empty(device=place)
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.zero_()
    for up in (module for module in model.modules() if isinstance(getattr(module, "to_subdiv", None), torch.nn.Linear)):
        up.to_subdiv.bias.data[:] = -1.0
        up.to_subdiv.bias.data[:CHILDREN] = 1.0
    return model.eval().requires_grad_(False)


def cells(tokens, channels, device):
    """A random latent on the first cells of a grid of 64^3 or more."""
    row = torch.arange(tokens, device=device)
    coords = torch.stack([torch.zeros_like(row), row // 4096, row // 64 % 64, row % 64], 1).int()
    return SparseTensor(torch.randn(tokens, channels, device=device), coords)


def steps(models, kind):
    """Do what ``ImageTo3D.run`` does with the networks of that kind, each once, and yield the name of each."""
    device, route = models.device, models.config.kind(kind)
    levels = models.sketch("shape_slat_decoder").levels

    def flow(name, tokens, size):
        network = models.model(name)
        cond = torch.randn(1, image_tokens(models.sketch(IMAGE_ENCODER), size), network.config.cond_channels)
        if tokens is None:
            side = network.config.resolution
            x, extra = torch.randn(1, network.config.in_channels, side, side, side, device=device), None
        else:
            x = cells(tokens, network.config.out_channels, device)
            rest = network.config.in_channels - network.config.out_channels
            extra = x.replace(torch.randn(tokens, rest, device=device)) if rest else None
        bound, t = BoundFlow(network, x, cond.to(device), extra), torch.full((1,), 700.0, device=device)
        # Twice: the second time is recorded where the sample is short.
        for _ in range(2):
            for side in (bound.positive, bound.both or bound.negative):
                bound(x, t, side)

    def decode(name, tokens, guide=None):
        decoder = models.model(name)
        return decoder.raw(cells(tokens, decoder.config.latent_channels, device), guide)

    sizes = {route.structure_cond, route.cond} | ({route.low.cond} if route.low else set())
    models.image_encoder()(torch.randn(1, 3, max(sizes), max(sizes), device=device))
    yield IMAGE_ENCODER
    flow("sparse_structure_flow_model", None, route.structure_cond)
    yield "structure flow"
    side = models.sketch("sparse_structure_flow_model").config.resolution
    channels = models.sketch("sparse_structure_decoder").config.latent_channels
    models.model("sparse_structure_decoder")(torch.randn(1, channels, side, side, side, device=device))
    yield "structure decoder"
    tokens = cells_of(route.structure_grid)
    if route.low:
        flow(route.low.shape, tokens, route.low.cond)
        yield "low shape flow"
        decode("shape_slat_decoder", tokens)
        yield "low shape decoder"
        tokens = cells_of(route.resolution >> levels, MAX_TOKENS if route.resolution > UNBUDGETED_RESOLUTION else None)
    flow(route.shape, tokens, route.cond)
    yield "shape flow"
    voxels, guide = decode("shape_slat_decoder", tokens)
    assert len(voxels) == tokens * CHILDREN**levels
    del voxels
    yield "shape decoder"
    flow(route.texture, tokens, route.cond)
    yield "material flow"
    decode("tex_slat_decoder", tokens, guide)
    yield "material decoder"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("card", "kind", "precision"),
    [
        (6, "512", "auto"),
        (8, "1024_cascade", "auto"),
        (12, "1024_cascade", "auto"),
        (12, "512", "int8"),
        (16, "1536_cascade", "auto"),
        (24, "1024_cascade", "auto"),
    ],
)
@torch.inference_mode()
def test_every_step_runs_within_the_plan_for_a_card_of_that_size(published, monkeypatch, card, kind, precision):
    device = torch.device("cuda", torch.cuda.current_device())
    total = torch.cuda.get_device_properties(device).total_memory
    if total < card * GB:
        pytest.skip(f"this card has less than {card} GB")
    monkeypatch.setattr(ModelSet, "_read", zeros)
    models = load_model_set(published.folder, device, precision)
    budget = Budget(int(USABLE * (card * GB - CONTEXT)))
    plan = plan_memory(models, "generate", kind, budget, MAX_TOKENS)
    assert plan.mode != "too_big"
    accumulate_in_float32()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((card * GB - CONTEXT) / total, device)
    done = []
    try:
        models.plan(plan.uses, budget)
        for name in steps(models, kind):
            torch.cuda.synchronize(device)
            done.append(name)
    except torch.cuda.OutOfMemoryError:
        pytest.fail(f"after {done}, the next step takes more than the plan counts on")
    finally:
        models.residency.rest()
        models.release()
        torch.cuda.set_per_process_memory_fraction(1.0, device)
        torch.cuda.empty_cache()


@torch.inference_mode()
def test_the_steps_are_those_of_the_plan_one_by_one(small, monkeypatch):
    """Without a card too: what the test above walks through is what is planned, in this order."""
    monkeypatch.setattr(ModelSet, "_read", zeros)
    monkeypatch.setattr(sys.modules[__name__], "cells_of", lambda grid, most=None: 20)
    for kind in ("512", "1024_cascade"):
        models = load_model_set(small)
        asked = []
        get = models.residency.get
        monkeypatch.setattr(models.residency, "get", lambda name, get=get, asked=asked: asked.append(name) or get(name))
        plan = plan_memory(models, "generate", kind, Budget(), MAX_TOKENS)
        names = list(steps(models, kind))
        assert asked == [use.name for use in plan.uses] and len(names) == len(asked)
