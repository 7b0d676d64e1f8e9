# SPDX-License-Identifier: GPL-3.0-or-later
"""Any heap of triangles is finished into a sound asset, in every way of mending, or refused in a sentence."""

import numpy as np
import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.mesh.bake.bake import MaterialVoxels
from espalier.engine.mesh.finish import finish
from espalier.engine.mesh.finish_settings import REPAIRS, FinishSettings
from espalier.engine.mesh.surface.topology import edge_table
from espalier.engine.ovoxel import dual_grid_to_mesh
from espalier.tests.fuzz.mutations import fuzzed
from hypothesis import strategies as st

SIDE = 8
"""Cells along the grid: so few that points coincide, faces repeat and pieces touch in every way."""


@st.composite
def heaps(draw):
    """A raw surface, one vertex for each voxel, and its materials; hardly ever anything that makes sense."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    side = draw(st.sampled_from((3, 4, SIDE)))
    coords = np.argwhere(random.random((side,) * 3) < draw(st.sampled_from((0.4, 0.8, 1.0)))).astype(np.int32)
    coords += draw(st.integers(0, SIDE - side))
    local = draw(st.sampled_from((0.0, 1.0))) * random.random((len(coords), 3)).astype(np.float32)
    if draw(st.booleans()):
        crossed = random.random((len(coords), 3)) < draw(st.sampled_from((0.15, 0.5, 1.0)))
        vertices, faces = dual_grid_to_mesh(*map(torch.from_numpy, (coords, local, crossed)), None, SIDE)
        vertices, faces = vertices.numpy(), faces.numpy()
    else:
        vertices = ((coords + local) / SIDE - 0.5).astype(np.float32)
        faces = random.integers(0, len(coords), (draw(st.sampled_from((1, 12, 150))), 3))
    faces = np.concatenate([faces, faces[: draw(st.integers(0, 3))], faces[: draw(st.integers(0, 3)), ::-1]])
    spoil = random.random(len(vertices)) < draw(st.sampled_from((0.0, 0.0, 0.2)))
    vertices[spoil] = draw(st.sampled_from((np.nan, np.inf, -np.inf, 1e30, 0.0)))
    attrs = random.random((len(coords), 6)).astype(np.float32)
    attrs[:, 5] = draw(st.sampled_from((np.float32(1.0), np.float32(0.5), np.float32(np.nan), attrs[:, 5].round())))
    return vertices, faces, MaterialVoxels(SIDE, coords, attrs)


def check(asset, settings):
    """What every finished asset is like."""
    vertices, faces, uv, normals = asset.vertices, asset.faces, asset.uv, asset.normals
    assert np.isfinite(vertices).all() and np.isfinite(uv).all() and np.isfinite(normals).all()
    assert len(faces) > 0 and faces.min() >= 0 and faces.max() < len(vertices)
    assert len(np.unique(faces)) == len(vertices)
    assert (
        (faces[:, 0] != faces[:, 1]).all() and (faces[:, 1] != faces[:, 2]).all() and (faces[:, 2] != faces[:, 0]).all()
    )
    events = asset.report["events"]
    assert len(faces) <= settings.faces_of(len(faces)) or any("asked for" in sentence for sentence in events)
    assert uv.min() >= 0 and uv.max() <= 1
    assert np.abs(np.linalg.norm(normals, axis=2) - 1).max() < 1e-4
    edges = edge_table(faces.astype(np.int64)).count
    assert edges.max() <= 2 and asset.report["non_manifold_edges"] == 0
    assert asset.report["boundary_edges"] == (edges == 1).sum() and asset.report["faces"] == len(faces)
    if settings.repair == "watertight":
        assert edges.min() == 2
    size = settings.texture_size
    channels = 3 if asset.alpha_mode == "opaque" else 4
    assert asset.alpha_mode in ("opaque", "mask", "blend")
    assert asset.maps["base_color"].shape == (size, size, channels)
    assert {image.shape[:2] for image in asset.maps.values()} == {(size, size)}
    assert {image.dtype for image in asset.maps.values()} == {np.dtype(np.uint8)}
    assert asset.maps["orm"].shape[2] == 3 and ("normal" not in asset.maps or asset.maps["normal"].shape[2] == 3)
    assert all(sentence.endswith(".") for sentence in events)


@pytest.mark.parametrize("repair", REPAIRS)
def test_any_heap_of_triangles_becomes_a_sound_asset_or_a_sentence(repair):
    @fuzzed(10, heap=heaps(), faces=st.sampled_from((None, 4, 20)), smoothing=st.sampled_from((0, 3)))
    def finish_it(heap, faces, smoothing):
        settings = FinishSettings(target_faces=faces, texture_size=64, repair=repair, smoothing=smoothing)
        try:
            asset = finish(*heap, settings)
        except EspalierError as refusal:
            assert refusal.code == "bad_surface" and refusal.sentence.endswith(".")
        else:
            check(asset, settings)

    finish_it()
