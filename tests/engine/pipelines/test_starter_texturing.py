# SPDX-License-Identifier: GPL-3.0-or-later
"""Texturing with the starter model: a grey object and an image of its coloured twin give the right colours.

Judged part by part in the finished texture, against the twin's true colours, beside three answers that know less: one
grey for everything, the twin's own mean colour everywhere, and what the image of another object gives.
"""

import io

import numpy as np
import pytest
from espalier.engine.mesh.lookup.raster import rasterise
from espalier.engine.mesh.unwrap.unwrap import unwrap
from espalier.engine.pipelines import job as shared
from espalier.engine.pipelines import texture_job
from espalier.engine.starter.asset import label_points
from espalier.engine.training.evaluate import make_subject
from espalier.tests.engine.pipelines.helpers import Report, make_job
from PIL import Image

SEEDS = range(20_700_000, 20_700_006)
SIZE = 256
SMALLEST_PART = 0.03
GREY = 0.6


@pytest.fixture(scope="module")
def objects():
    """Objects that the model has not seen, with a picture and a UV layout each."""
    found = []
    for seed in SEEDS:
        subject = make_subject(seed, 64)
        stream = io.BytesIO()
        subject.picture.save(stream, "PNG")
        layout = unwrap(subject.asset.vertices, subject.asset.faces, SIZE, lambda: False)
        found.append((subject, stream.getvalue(), layout.uv))
    return found


def painted(folder, name, subject, uv, picture):
    """The base colour that texturing the bare mesh from ``picture`` gives, [SIZE * SIZE, 3] in 0..1."""
    settings = {"quality": "starter", "texture_size": SIZE}
    starter = {"set": "starter", "path": None}
    job = make_job(folder, "", name, picture, kind="texture", settings=settings, model=starter)
    metres = subject.asset.vertices * np.float32(3) + np.float32([10, 20, 30])
    job.write_npz("mesh.npz", vertices=metres, faces=subject.asset.faces.astype(np.int32), uv=uv)
    texture_job.run(job, Report(), lambda: False)
    return np.asarray(Image.open(job.path / "base_color.png").convert("RGB")).reshape(-1, 3) / 255


def part_errors(subject, uv, answers):
    """Mean error of each answer's mean colour of a part, parts weighted by their texels."""
    raster = rasterise(uv, SIZE)
    corners = subject.asset.vertices[subject.asset.faces[raster.face]]
    points = np.einsum("tc,tci->ti", raster.barycentric, corners)
    labels = label_points(subject.asset, points, raster.face)
    truth = subject.materials.numpy()[labels.astype(int), :3]
    answers = [np.broadcast_to(answer, (SIZE**2, 3))[raster.texel] for answer in (*answers, truth.mean(axis=0))]
    errors = []
    for label in np.unique(labels):
        part = labels == label
        if part.mean() >= SMALLEST_PART:
            means = [np.abs(answer[part].mean(axis=0) - truth[part].mean(axis=0)).mean() for answer in answers]
            errors.append((part.sum(), *means))
    errors = np.array(errors)
    return np.average(errors[:, 1:], axis=0, weights=errors[:, 0])


def test_the_right_colours_come_on_the_right_parts(objects, tmp_path):
    rows = []
    for index, (subject, picture, uv) in enumerate(objects):
        another = objects[index - 1][1]
        own = painted(tmp_path, f"own{index}", subject, uv, picture)
        other = painted(tmp_path, f"other{index}", subject, uv, another)
        rows.append(part_errors(subject, uv, [own, other, np.full((1, 3), GREY)]))
    shared.release()
    own, other, grey, mean_colour = np.mean(rows, axis=0)
    print(f"own image {own:.3f}, another's {other:.3f}, grey {grey:.3f}, the object's mean colour {mean_colour:.3f}")
    assert own < 0.7 * other
    assert own < 0.8 * grey
    assert own < mean_colour
