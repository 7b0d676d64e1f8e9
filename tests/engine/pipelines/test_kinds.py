# SPDX-License-Identifier: GPL-3.0-or-later
"""The four ways from an image to an object: which grids they use, their token budget, what they draw in which order."""

import numpy as np
import pytest
import torch
from espalier.engine.pipelines import stages
from espalier.engine.pipelines.image_to_3d import ImageTo3D
from espalier.engine.pipelines.stages import Settings
from espalier.engine.pipelines.structure import cascade_cells
from espalier.engine.pipelines.texturing import Texturing
from espalier.engine.weights.model_set import load_model_set
from espalier.tests.engine.mesh.shapes import cube
from espalier.tests.engine.pipelines.released_set import CHILDREN, LATENT, OCCUPIED, write_released_set
from PIL import Image

SEED = 3
SHADE = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return load_model_set(write_released_set(tmp_path_factory.mktemp("kinds") / "set"), precision="float32")


@pytest.fixture(scope="module")
def results(models):
    """Every kind's result and random states, made once when first asked for."""
    made = {}

    def result(kind, **settings):
        key = (kind, *settings.items())
        if key not in made:
            states = {}
            asset = ImageTo3D(models).run(
                Image.fromarray(SHADE),
                SEED,
                kind,
                Settings(**settings),
                keep=lambda stage, arrays, state: states.update({stage: (arrays, state)}),
            )
            made[key] = asset, states
        return made[key]

    return result


def corners(grid):
    """The occupied cells of the structure on a ``grid``^3 grid: the eight corners, lexicographic."""
    side = np.array([*range(grid // 16), *range(grid - grid // 16, grid)])
    return np.stack(np.meshgrid(side, side, side, indexing="ij"), -1).reshape(-1, 3)


def decoded(cells, levels=4):
    """The voxels ``levels`` below latent cells when every voxel has the ``CHILDREN`` of the hand-made decoder."""
    for _ in range(levels):
        children = [np.array([child & 1, child >> 1 & 1, child >> 2 & 1]) for child in CHILDREN]
        cells = np.concatenate([2 * cells + child for child in children])
    return {tuple(cell) for cell in cells.tolist()}


def test_every_stage_says_how_often_it_asks_for_one_side_of_guidance(models, monkeypatch):
    said, bound = [], stages.BoundFlow
    monkeypatch.setattr(stages, "BoundFlow", lambda *given: said.append(given[4]) or bound(*given))
    settings = Settings(samplers={"shape": {"steps": 5, "guidance_interval": (0.0, 0.5)}})
    ImageTo3D(models).run(Image.fromarray(SHADE), SEED, "512", settings)
    samplers = [models.config.samplers[name].params for name in ("sparse_structure_sampler", "tex_slat_sampler")]
    changed = models.config.samplers["shape_slat_sampler"].params.with_overrides(settings.samplers["shape"])
    assert said == [each.single_passes() for each in (samplers[0], changed, samplers[1])]


@pytest.mark.parametrize("kind, grid, resolution", [("512", 32, 512), ("1024", 64, 1024)])
def test_a_direct_kind_puts_its_tokens_on_the_structure(results, kind, grid, resolution):
    asset, states = results(kind)
    assert np.array_equal(states["structure"][0]["coords"], corners(grid))
    assert len(corners(grid)) == OCCUPIED // (64 // grid) ** 3
    assert np.array_equal(asset.latents["coords"], corners(grid))
    assert asset.resolution == resolution
    assert {tuple(voxel) for voxel in asset.coords.tolist()} == decoded(corners(grid))
    assert "shape_low" not in asset.latents


@pytest.mark.parametrize("kind, resolution", [("1024_cascade", 1024), ("1536_cascade", 1536)])
def test_a_cascade_puts_its_tokens_where_the_coarse_shape_is(results, kind, resolution):
    asset, states = results(kind)
    assert np.array_equal(states["structure"][0]["coords"], corners(32))
    assert np.array_equal(asset.latents["shape_low.coords"], corners(32))
    fine = np.array(sorted(decoded(corners(32))))
    expected = np.unique((2 * fine + 1) * (resolution // 16) // 1024, axis=0)
    assert np.array_equal(asset.latents["coords"], expected)
    assert asset.resolution == resolution
    assert {tuple(voxel) for voxel in asset.coords.tolist()} == decoded(expected)


def test_a_cascade_lowers_its_resolution_to_the_token_budget(models, results):
    asset, _ = results("1536_cascade")
    fine = torch.tensor([(0, *voxel) for voxel in sorted(decoded(corners(32)))], dtype=torch.int32)
    tokens = {r: len(cascade_cells(fine, 512, r, 16, 10**9)[0]) for r in (1536, 1408, 1280, 1152, 1024)}
    assert tokens[1536] == len(asset.latents["coords"])
    assert tokens[1536] > tokens[1024]
    for budget in (tokens[1536], tokens[1024] + 1, 2):
        expected = next((r for r in (1408, 1280, 1152) if tokens[r] < budget), 1024)
        lowered, _ = results("1536_cascade", max_tokens=budget)
        assert lowered.resolution == expected
        assert len(lowered.latents["coords"]) == tokens[expected]
        assert lowered.coords.max() < expected


@pytest.mark.parametrize("kind", ["512", "1024", "1024_cascade", "1536_cascade"])
def test_noise_is_drawn_in_the_order_of_the_reference(results, kind):
    asset, states = results(kind)
    generator = torch.Generator().manual_seed(SEED)
    torch.randn(1, 8, 16, 16, 16, generator=generator)
    assert states["structure"][1] == generator.get_state().numpy().tobytes()
    if "shape_low" in asset.latents:
        torch.randn(len(asset.latents["shape_low"]), LATENT, generator=generator)
    torch.randn(len(asset.latents["shape"]), LATENT, generator=generator)
    assert states["shape"][1] == generator.get_state().numpy().tobytes()
    torch.randn(len(asset.latents["material"]), LATENT, generator=generator)
    assert states["material"][1] == generator.get_state().numpy().tobytes()


def test_samples_of_one_image_are_independent_of_each_other(models):
    """Seeds one after another in one process give what each gives alone, whatever ran before it."""
    image = Image.fromarray(SHADE)
    pipeline = ImageTo3D(models)
    together = [pipeline.run(image, seed, "512") for seed in (5, 6, 7)]
    torch.manual_seed(99)
    for seed, sample in zip((7, 5, 6), (together[2], together[0], together[1]), strict=True):
        alone = ImageTo3D(load_model_set(models.folder, precision="float32")).run(image, seed, "512")
        for name in ("coords", "vertices", "intersected", "split_weight", "attrs"):
            assert np.array_equal(getattr(alone, name), getattr(sample, name)), name
    assert not np.array_equal(together[0].latents["shape"], together[1].latents["shape"])


@pytest.mark.parametrize("kind, resolution", [("512", 512), (None, 1024), ("1536", 1536)])
def test_each_texturing_kind_keeps_the_mesh_s_own_voxels(models, kind, resolution):
    vertices, faces = cube(size=0.05)
    asset = Texturing(models).run(vertices.astype(np.float32), faces, Image.fromarray(SHADE), SEED, kind)
    assert asset.resolution == resolution
    outside = np.abs((asset.coords + 0.5) / resolution - 0.5).max(axis=1) - 0.025
    assert np.abs(outside).max() < 1.01 / resolution
    cells = np.unique(asset.coords // 16, axis=0)
    assert np.array_equal(asset.latents["coords"], cells)
    assert asset.attrs.shape == (len(asset.coords), 6)


def test_fast_samples_otherwise_in_every_stage_unless_a_stage_is_told_to_be_exact(models):
    def latents(**settings):
        return ImageTo3D(models).run(Image.fromarray(SHADE), SEED, "512", Settings(**settings)).latents

    names = ("structure", "shape", "material")
    exact, fast = latents(), latents(fast=True)
    told = latents(fast=True, samplers={stage: {"order": 1, "guidance_reuse": 1} for stage in names})
    for name in names:
        assert fast[name].shape == exact[name].shape and not np.array_equal(fast[name], exact[name])
        assert np.array_equal(told[name], exact[name])
