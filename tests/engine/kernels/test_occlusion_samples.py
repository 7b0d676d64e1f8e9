# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of ambient occlusion are smoothed and read on the card to the bits of the compiled loops."""

from unittest import mock

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.mesh.bake.occlusion import OcclusionSamples
from espalier.engine.mesh.lookup.nearest import SurfaceIndex
from espalier.engine.mesh.surface.topology import unit

SIZE = 12
"""Texels along a side, and blocks: one sample each."""


def texels():
    """Two charts with a gap between them and holes; points of a bent sheet with a step, some far from all others."""
    rng = np.random.default_rng(0)
    column, row = np.meshgrid(np.arange(SIZE), np.arange(SIZE))
    covered = (column != 6) & (rng.random((SIZE, SIZE)) > 0.15)
    x, y = column[covered] / SIZE, row[covered] / SIZE
    points = np.stack([x, y, 0.2 * x * x + 0.05 * (y > 0.5)], -1) + rng.normal(size=(len(x), 3)) * 0.002
    normals = unit(np.stack([-0.4 * x + (y > 0.8), 0.3 * rng.normal(size=len(x)), np.ones(len(x))], -1))
    points[3::17] += 3.0
    normals[5::13] *= -1.0
    return np.flatnonzero(covered), points, normals


def occlusion():
    """Every texel's occlusion over a lid that hides half the sky."""
    lid = np.array([[-1, -1, 0.5], [0.4, -1, 0.6], [0.4, 2, 0.6], [-1, 2, 0.5]])
    texel, points, normals = texels()
    samples = OcclusionSamples(SIZE, texel)
    samples.take(points[:40], normals[:40], points[:40], normals[:40])
    samples.take(points[40:], normals[40:], points[40:], normals[40:])
    samples.cast(SurfaceIndex(lid, np.array([[0, 2, 1], [0, 3, 2]])), 2.0, 0.01)
    at = np.add(points, (0.02, -0.01, 0))
    at[5::7] += 2.0
    every = np.arange(SIZE * SIZE)
    beside = samples.read(every, np.resize(at, (len(every), 3)), np.resize(normals, (len(every), 3)))
    return np.concatenate([samples.read(texel, at, normals), beside])


def agrees(kernels, device):
    from espalier.engine.kernels import occlusion_triton

    with choice.plain_torch():
        expected = occlusion()
    assert len(np.unique(expected)) > 40
    with (
        mock.patch.object(occlusion_triton, "smooth_samples", wraps=kernels.smooth_samples) as smooth,
        mock.patch.object(occlusion_triton, "read_samples", wraps=kernels.read_samples) as read,
    ):
        found = occlusion()
    assert smooth.called
    assert read.called
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def agrees_between_blocks(kernels, device):
    """At places between blocks, on borders of their reach, and outside the image."""
    from espalier.engine.mesh.bake import compiled_occlusion

    rng = np.random.default_rng(3)
    sample = np.where(rng.random((9, 9)) > 0.2, np.arange(81).reshape(9, 9), -1)
    shares = rng.random(81).astype(np.float32)
    points, normals = rng.normal(size=(81, 3)).astype(np.float32) * 0.3, np.tile(np.float32([0.6, 0, 0.8]), (81, 1))
    normals[::3] = 0, 0, 1
    place = np.concatenate([rng.uniform(-2, 10, (60, 2)), rng.integers(-4, 20, (40, 2)) / 2])
    at, facing = rng.normal(size=(100, 3)) * 0.3, unit(np.add(rng.normal(size=(100, 3)), (0, 0, 2)))
    given = sample, shares, points, normals, place, at, facing
    expected = compiled_occlusion.read_samples(*given, 0.2)
    assert len(np.unique(expected)) > 40
    found = kernels.read_samples(*(torch.from_numpy(part).to(device) for part in given), 0.2)
    assert np.array_equal(found.cpu().numpy(), expected)


def serves_nothing(kernels, device):
    sample, none = torch.full((3, 3), -1, device=device), torch.zeros((0, 3), device=device)
    assert len(kernels.smooth_samples(sample, none[:, 0], none, none, 2.5, 1.0)) == 0
    samples = torch.zeros(1, device=device), torch.zeros((1, 3), device=device), torch.zeros((1, 3), device=device)
    far = none.double()
    assert len(kernels.read_samples(sample, *samples, far[:, :2], far, far, 1.0)) == 0


def launches(kernels):
    single = [torch.zeros(shape, dtype=torch.float32) for shape in (77, (77, 3), (77, 3))]
    sample = torch.arange(81).view(9, 9).clamp_max(76)
    place, at = (torch.zeros((50, n), dtype=torch.float64) for n in (2, 3))
    kernels.smooth_samples(sample, *single, 2.5, 0.1)
    kernels.read_samples(sample, *single, place, at, at, 0.1)


CHANGES = {
    "one row left out": ("for down in range(STEPS)", "for down in range(STEPS - 1)"),
    "one column left out": ("for right in range(STEPS)", "for right in range(STEPS - 1)"),
    "first row left out": ("(r >= 0) & (r < side)", "(r > 0) & (r < side)"),
    "last column left out": ("(c >= 0) & (c < side)", "(c >= 0) & (c < side - 1)"),
    "first sample left out": ("within & (other >= 0)", "within & (other > 0)"),
    "what faces away": (" & (cosine > 0)", ""),
    "what is far away": (" & (near > 0)", ""),
    "height left out": (" + dz * dz", ""),
    "distance left out": ("tent * near *", "tent *"),
    "direction left out": (" * (fourth * fourth)", ""),
    "not flat in the middle": ("steep = tl.minimum(radius - tl.abs(r - row), 1.0)", "steep = radius - tl.abs(r - row)"),
}
ALONE = {
    "nothing instead": ("tl.load(otherwise + lane, mask=listed, other=0.0))", "0.0)"),
    "another block's sample instead": ("place.round()", "place.floor()"),
    "outside the image": (".clamp(0, len(sample) - 1)", " % len(sample)"),
}


@pytest.mark.parametrize("function", [agrees, agrees_between_blocks])
def test_shows_what_the_compiled_loops_show(place, function):
    place.check("occlusion_triton", function)


def test_serves_no_samples(place):
    place.check("occlusion_triton", serves_nothing)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_left_out_is_noticed(interpreter, change):
    interpreter.check_notices("occlusion_triton", agrees, change)


@pytest.mark.parametrize("change", ALONE.values(), ids=ALONE)
def test_a_part_left_out_beside_the_samples_is_noticed(interpreter, change):
    interpreter.check_notices("occlusion_triton", agrees_between_blocks, change)


def test_compiles_for_every_chip(compiler):
    compiler.check("occlusion_triton", launches)
