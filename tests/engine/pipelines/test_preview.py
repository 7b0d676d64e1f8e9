# SPDX-License-Identifier: GPL-3.0-or-later
"""The small picture of an object: where it is, in its colours, without holes, however many faces it has."""

import numpy as np
import pytest
from espalier.engine.pipelines import preview
from espalier.engine.pipelines.preview import render_preview, render_vertex_colours
from espalier.tests.engine.mesh.shapes import sphere

COLOUR = (200, 120, 40)


def textured(vertices, faces, alpha=255):
    return render_preview(
        vertices, faces, np.full((len(faces), 3, 2), 0.5), np.full((4, 4, 4), (*COLOUR, alpha), np.uint8)
    )


def coloured(vertices, faces):
    return render_vertex_colours(vertices, faces, np.full((len(vertices), 3), COLOUR, np.float32) / 255)


@pytest.mark.parametrize("render", [textured, coloured])
def test_a_ball_is_a_full_disc_in_its_colour_lit_from_above(render):
    picture = render(*sphere()).astype(float)
    row, column = np.mgrid[:256, :256] - 127.5
    radius = np.hypot(row, column)
    assert (picture[radius < 115, 3] == 255).all()
    assert (picture[radius > 125, 3] == 0).all()
    shown = picture[radius < 110][:, :3]
    assert np.abs(shown / shown[:, :1] * COLOUR[0] - COLOUR).max() < 12
    assert picture[40:60, 120:136, 0].mean() > picture[200:220, 120:136, 0].mean() + 10


@pytest.mark.parametrize("render", [textured, coloured])
def test_an_object_of_too_many_faces_is_thinned_out_and_looks_the_same(monkeypatch, render):
    vertices, faces = sphere(rows=800, columns=800)
    assert len(faces) > preview.MOST_FACES
    thin = render(vertices, faces).astype(float)
    monkeypatch.setattr(preview, "MOST_FACES", len(faces))
    whole = render(vertices, faces).astype(float)
    assert (thin[..., 3] != whole[..., 3]).mean() < 0.01
    assert np.abs(thin - whole).mean() < 3


def test_what_is_translucent_in_the_texture_is_translucent_in_the_picture():
    assert abs(int(textured(*sphere(), alpha=128)[128, 128, 3]) - 128) <= 1
    assert textured(*sphere(), alpha=0).max() == 0


@pytest.mark.parametrize("points", [[[0, 0, 0]] * 3, [[0, 0, 0], [0.1, 0, 0], [0.2, 0, 0]]], ids=["point", "line"])
def test_a_face_without_area_is_no_obstacle(points):
    assert textured(np.array(points, float), np.array([[0, 1, 2]])).shape == (256, 256, 4)
