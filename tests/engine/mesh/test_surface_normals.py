# SPDX-License-Identifier: GPL-3.0-or-later
"""The low-pass filter takes the noise of voxels off the shading and keeps creases."""

import os
from functools import partial

import numpy as np
import pytest
from espalier.engine.mesh.bake import surface_normals
from espalier.engine.mesh.bake.surface_normals import smooth_corner_normals
from espalier.engine.mesh.compilation import in_portions
from espalier.engine.mesh.surface.normals import corner_normals
from espalier.engine.mesh.surface.topology import face_vectors, unit
from espalier.tests.engine.mesh.shapes import grid_faces, sphere

pytest.importorskip("numba")


def degrees(normals, truth):
    return np.degrees(np.arccos(np.clip((normals * truth).sum(axis=-1), -1, 1)))


def noisy_sphere(noise):
    vertices, faces = sphere(0.4, rows=60, columns=120)
    jitter = np.random.default_rng(0).normal(scale=noise, size=(len(vertices), 1))
    return vertices * (1 + jitter), faces, unit(vertices)[faces]


def test_noise_is_less_than_half_of_what_it_was():
    vertices, faces, truth = noisy_sphere(0.004)
    before = degrees(corner_normals(vertices, faces), truth)
    after = degrees(smooth_corner_normals(vertices, faces), truth)
    assert np.median(before) > 3
    assert np.median(after) < 0.5 * np.median(before)


def test_a_clean_surface_keeps_its_normals():
    vertices, faces, truth = noisy_sphere(0)
    assert degrees(smooth_corner_normals(vertices, faces), truth).max() < 3


def test_the_edges_of_a_box_stay_sharp():
    """Three finely divided squares that meet at right angles."""
    line = np.linspace(0, 0.5, 12)
    u, v = (part.reshape(-1) for part in np.meshgrid(line, line, indexing="ij"))
    sides = [np.stack([u, v, 0 * u], 1), np.stack([v, 0 * u, u], 1), np.stack([0 * u, u, v], 1)]
    faces = np.concatenate([grid_faces(12, 12, False, False) + 144 * side for side in range(3)])
    vertices = np.concatenate(sides)
    flat = unit(face_vectors(vertices, faces))
    assert degrees(smooth_corner_normals(vertices, faces), flat[:, None]).max() < 0.1


def test_shading_runs_on_where_the_surface_was_cut_open():
    vertices, faces, _ = noisy_sphere(0.002)
    half = vertices[faces].mean(axis=1)[:, 0] > 0
    cut = np.where(half[:, None], faces, faces + len(vertices))
    assert np.array_equal(
        smooth_corner_normals(np.concatenate([vertices, vertices]), cut), smooth_corner_normals(vertices, faces)
    )


def test_normals_are_of_unit_length_even_where_faces_have_no_area():
    vertices, faces, _ = noisy_sphere(0.002)
    flattened = np.concatenate([faces, faces[:50, [0, 0, 1]]])
    normals = smooth_corner_normals(vertices, flattened)
    assert np.isfinite(normals).all()
    assert np.allclose(np.linalg.norm(normals[: len(faces)], axis=2), 1, atol=1e-5)


@pytest.mark.parametrize("cores", [1, 3])
def test_any_number_of_threads_gives_the_same_normals(cores, monkeypatch):
    vertices, faces, _ = noisy_sphere(0.004)
    whole = smooth_corner_normals(vertices, faces)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.setattr(surface_normals, "in_portions", partial(in_portions, portion=1000))
    assert np.array_equal(smooth_corner_normals(vertices, faces), whole)


def test_without_numba_they_are_as_the_surface_has_them(monkeypatch):
    vertices, faces, _ = noisy_sphere(0.002)
    monkeypatch.setattr(surface_normals, "load_loops", lambda module: None)
    assert np.array_equal(smooth_corner_normals(vertices, faces), corner_normals(vertices, faces))
