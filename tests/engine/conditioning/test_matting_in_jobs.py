# SPDX-License-Identifier: GPL-3.0-or-later
"""A job finds its subject as its request says, keeps picture and mask, and tells in its result how it was done."""

import io
import json

import numpy as np
import pytest
from espalier.engine.errors import EspalierError
from espalier.engine.pipelines import generate_job
from espalier.engine.pipelines import job as shared
from espalier.tests.engine.conditioning import birefnet_file as network
from espalier.tests.engine.pipelines.helpers import Report, make_job
from espalier.tests.tiny_set import write_tiny_set
from PIL import Image


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory):
    return write_tiny_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(autouse=True)
def forget_models():
    yield
    shared.release()


def opaque():
    """The PNG file of a red rectangle before a white ground."""
    pixels = np.full((80, 80, 3), 250, np.uint8)
    pixels[15:65, 20:60] = (200, 40, 30)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def settings(matting):
    return {"quality": "starter", "texture_size": 128, "faces": 500, "matting": matting}


def notes(job):
    return json.loads((job.path / "result.json").read_text())["report"]["notes"]


def test_job_keeps_picture_and_mask_of_birefnet_and_says_so(tmp_path, tiny_set):
    network.save(tmp_path / "models" / "BiRefNet" / "onnx" / "model.onnx")
    job = make_job(tmp_path, tiny_set, data=opaque(), models_folder=str(tmp_path / "models"))
    report = Report()
    generate_job.run(job, report, lambda: False)
    assert notes(job)[0] == "The background was removed by BiRefNet."
    assert set(notes(job)) <= set(report.logs)
    picture, mask = (Image.open(job.path / name) for name in ("prepared.png", "mask.png"))
    assert picture.mode == "RGB" and mask.mode == "L" and picture.size == mask.size
    assert len(np.unique(np.asarray(mask))) > 10
    assert np.asarray(picture)[np.asarray(mask) == 0].max(initial=0) == 0


def test_job_without_birefnet_keys_the_background_and_says_so(tmp_path, tiny_set):
    job = make_job(tmp_path, tiny_set, data=opaque(), models_folder=str(tmp_path / "models"))
    generate_job.run(job, Report(), lambda: False)
    assert notes(job) == ["The background was removed by its plain colour."]
    mask = np.asarray(Image.open(job.path / "mask.png"))
    assert mask.shape == (48, 48)
    assert mask[24, 24] == 255 and mask[24, 0] == 0


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"settings": settings("remove")}, "bad_request"),
        ({"settings": settings("birefnet")}, "missing_model"),
        ({"settings": settings("alpha")}, "bad_input"),
        ({"models_folder": 5}, "bad_request"),
    ],
)
def test_job_that_cannot_find_its_subject_so_ends_in_one_sentence(tmp_path, tiny_set, changes, code):
    job = make_job(tmp_path, tiny_set, data=opaque(), **changes)
    with pytest.raises(EspalierError) as caught:
        generate_job.run(job, Report(), lambda: False)
    assert caught.value.code == code
    assert caught.value.sentence.endswith(".")
    assert not (job.path / "result.json").exists()
