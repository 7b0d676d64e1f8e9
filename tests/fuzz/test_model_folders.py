# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders with models from anywhere are taken or refused with a sentence, and never replace a good set by a bad one."""

import itertools
import json
import shutil

import pytest
from espalier.engine.conditioning.onnx_file import read_interface
from espalier.engine.errors import EspalierError
from espalier.engine.weights.dinov3_files import from_timm, settle
from espalier.engine.weights.import_folder import import_set, recognise
from espalier.engine.weights.models_folder import RECEIPT, ModelsFolder, read_receipt
from espalier.engine.weights.registry import MIT, Part, PublishedFile, PublishedSet
from espalier.engine.weights.safetensors_file import SafetensorsFile
from espalier.engine.weights.verify import check_networks, verify_set
from espalier.tests.conftest import ROOT
from espalier.tests.fuzz.guard import watched
from espalier.tests.fuzz.mutations import altered, anything, damaged, fuzzed, written
from espalier.tests.tiny_set import write_tiny_set
from hypothesis import strategies as st

TIMM = (ROOT / "tests" / "data" / "timm" / "dinov3_tiny.safetensors").read_bytes()


def say(event, text="", **fields):
    """Nobody listens."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A model set as it should be, and its description without checksums: it is judged by what its files hold."""
    folder = write_tiny_set(tmp_path_factory.mktemp("whole"))
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    part = Part("test/tiny", "main", MIT, tuple(PublishedFile(path, path) for path in paths))
    return folder, PublishedSet(name="Tiny", purpose="For tests.", check="networks", parts=(part,))


@pytest.fixture(scope="module")
def models(whole, tmp_path_factory):
    """A models folder with the good set in its place."""
    models = ModelsFolder(tmp_path_factory.mktemp("data") / "models")
    import_set(whole[1], [whole[0]], models, say)
    return models


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_damaged_folders_are_refused_before_anything_is_replaced(whole, models, tmp_path_factory):
    source, entry = whole
    files = {path: data for path, data in contents(source).items() if path != RECEIPT}
    root = tmp_path_factory.getbasetemp()
    numbers = itertools.count()

    @fuzzed(
        60,
        path=st.sampled_from(sorted(files)),
        kind=st.sampled_from(("damage", "remove", "swap", "alter")),
        d=st.data(),
    )
    def damage(path, kind, d):
        folder = root / f"copy{next(numbers)}"
        shutil.copytree(source, folder)
        if kind == "remove":
            (folder / path).unlink()
        elif kind == "swap":
            (folder / path).write_bytes(files[d.draw(st.sampled_from(sorted(files)))])
        elif kind == "alter" and path.endswith(".json"):
            (folder / path).write_bytes(written(d.draw(altered(json.loads(files[path])))))
        else:
            (folder / path).write_bytes(d.draw(damaged(files[path], structured=600)))
        before = contents(models.place(entry))
        try:
            with watched(root, EspalierError):
                recognise([folder], [entry])
            with watched(root):
                import_set(entry, [folder], models, say)
        except EspalierError as refusal:
            assert refusal.sentence
            assert contents(models.place(entry)) == before, "a good set was changed"
        else:
            check_networks(models.place(entry))
        shutil.rmtree(folder)

    damage()


def test_receipts_of_any_content_are_read(whole, models, tmp_path_factory):
    _, entry = whole
    path = models.place(entry) / RECEIPT
    good = path.read_bytes()

    @fuzzed(80, receipt=anything() | altered(json.loads(good)))
    def damage(receipt):
        path.write_bytes(written(receipt))
        with watched(tmp_path_factory.getbasetemp(), EspalierError):
            assert isinstance(read_receipt(path.parent), dict)
            models.is_complete(entry)
            verify_set(entry, models, say)

    try:
        damage()
    finally:
        path.write_bytes(good)


@fuzzed(
    200, name=st.sampled_from(["..", "a/../../b", "/etc/passwd", "c:\\x", "a\\..\\b", "a\0b", ""]) | st.text(max_size=9)
)
def test_no_name_of_a_published_file_leads_out_of_the_folder(models, name):
    with watched(models.path.parent, EspalierError):
        target = models.target(models.path / "set", name)
        assert target.resolve().is_relative_to((models.path / "set").resolve())


@fuzzed(150, data=damaged(TIMM, structured=4000))
def test_damaged_image_encoders_in_timm_layout_are_read_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "timm"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(data)
    with watched(folder, EspalierError):
        from_timm(SafetensorsFile(folder / "model.safetensors"))


@fuzzed(60, config=anything() | altered({"architecture": "vit_large_patch16_dinov3", "pretrained_cfg": {"tag": "x"}}))
def test_configurations_of_image_encoders_are_read_or_refused(tmp_path_factory, config):
    folder = tmp_path_factory.getbasetemp() / "timm"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_bytes(TIMM)
    (folder / "config.json").write_bytes(written(config))
    with watched(folder, EspalierError):
        settle(folder, {"hidden_size": 8})


def test_damaged_matting_networks_are_described_or_refused(tmp_path):
    from espalier.tests.engine.conditioning import birefnet_file

    data = birefnet_file.save(tmp_path / "model.onnx").read_bytes()

    @fuzzed(400, data=damaged(data, structured=700))
    def damage(data):
        (tmp_path / "model.onnx").write_bytes(data)
        with watched(tmp_path, EspalierError):
            read_interface(tmp_path / "model.onnx")

    damage()
