# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense and sparse autoencoders agree with the reference (fixtures 03, 04 and 05)."""

import pytest
import torch
from espalier.engine.models.registry import build_model
from espalier.engine.models.shape_vae import shape_features
from espalier.engine.sparse import SparseTensor

pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    with torch.no_grad():
        yield


def load(case):
    model = build_model(case.case["class"], case.case["args"])
    model.load_state_dict(case.weights, strict=True)
    return model.eval()


def tensor(case, name, coords=None):
    return SparseTensor(case.io[f"{name}.feats"], case.io[coords or f"{name}.coords"])


def assert_same_tensor(case, name, actual):
    case.assert_close(f"{name}.feats", actual.feats)
    assert torch.equal(actual.coords, case.io[f"{name}.coords"])


def encode_shape(golden):
    case = golden("04_shape_encoder")
    feats = shape_features(case.io["vertices.feats"], case.io["intersected"])
    return case, load(case)(SparseTensor(feats, case.io["coords"]), return_raw=True)


def assert_casts_the_recorded_parameters(case, model):
    model.convert_to(torch.float16)
    half = {name for name, weight in model.state_dict().items() if weight.dtype == torch.float16}
    assert half == set(case.case["mixed_precision"]["cast_params"])


def test_structure_decoder_agrees(golden):
    case = golden("03_sparse_structure_decoder")
    model = load(case)
    logits = model(case.io["z"])
    case.assert_close("out", logits)
    occupied = (logits[:, 0] > 0).nonzero().int()
    assert torch.equal(occupied, case.io["coords_at_16"])
    assert_casts_the_recorded_parameters(case, model)


def test_structure_encoder_agrees(golden):
    case = golden("03_sparse_structure_encoder")
    model = load(case)
    for name, actual in zip(("z", "mean", "logvar"), model(case.io["x"], return_raw=True), strict=True):
        case.assert_close(name, actual)
    assert_casts_the_recorded_parameters(case, model)


def test_shape_encoder_agrees(golden):
    case, (z, mean, logvar) = encode_shape(golden)
    assert_same_tensor(case, "z", z)
    case.assert_close("mean", mean, case.io["z.feats"])
    case.assert_close("logvar", logvar)


def test_shape_decoder_agrees(golden):
    case = golden("04_shape_decoder")
    model = load(case)
    z = tensor(case, "z")
    h, subs = model.raw(z)
    assert_same_tensor(case, "h", h)
    for level, sub in enumerate(subs):
        assert_same_tensor(case, f"subs.{level}", sub)
    shape = model.decode(z)
    assert torch.equal(shape.intersected, case.io["h.feats"][:, 3:6] > 0)
    position = (shape.coords[:, 1:] + shape.vertices) / case.case["resolution"] - 0.5
    first = case.io["mesh0.vertices"]
    torch.testing.assert_close(position[: len(first)], first, rtol=0, atol=1e-6)
    assert_casts_the_recorded_parameters(case, model)
    first_logits = model.raw(z)[1][0].feats
    torch.testing.assert_close(first_logits.float(), case.io["lowp.fp16.subs.0.feats"], rtol=0, atol=0.05)


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_shape_decoder_upsamples_coordinates(golden, times):
    case = golden("04_shape_decoder")
    assert torch.equal(load(case).upsample(tensor(case, "z"), times), case.io[f"upsample{times}.coords"])


def test_shape_decoder_replays_the_encoder_voxels(golden):
    _, (z, _, _) = encode_shape(golden)
    case = golden("04_shape_decoder")
    h, _ = load(case).raw(z)
    assert_same_tensor(case, "cached.h", h)


def test_texture_encoder_agrees(golden):
    case = golden("05_tex_encoder")
    z, _, logvar = load(case)(tensor(case, "x", "coords"), return_raw=True)
    assert_same_tensor(case, "z", z)
    case.assert_close("logvar", logvar)


def test_texture_decoder_follows_guides_or_memory(golden):
    encoder = golden("05_tex_encoder")
    case = golden("05_tex_decoder")
    model = load(case)
    guides = [tensor(case, f"guide_subs.{level}") for level in range(model.levels)]
    assert_same_tensor(case, "h", model(tensor(case, "z"), guides))
    assert_same_tensor(case, "cached.h", model(load(encoder)(tensor(encoder, "x", "coords"))))
