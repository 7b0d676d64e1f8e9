# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders from elsewhere: accepted when they are right, refused with the file's name before anything is overwritten."""

import json
import shutil
import struct

import pytest

from .conftest import Events, read_folder, without_checksums


def bring(entry, folders, models, say):
    from espalier.engine.weights.import_folder import import_set

    import_set(entry, folders, models, say)


def content_of(folder):
    return {path: content for path, content in read_folder(folder).items() if path != "espalier.json"}


@pytest.fixture
def copied(tiny, tmp_path):
    """The set's folder as it was copied from another computer."""
    return shutil.copytree(tiny[2], tmp_path / "stick" / "TRELLIS")


def test_a_copied_folder_is_taken_and_left_as_it_is(tiny, copied, models, say):
    entry, _, folder = tiny
    (copied / "espalier.json").write_text('{"files": {"pipeline.json": {"size": 1, "sha256": "from the other one"}}}')
    (copied / "README.md").write_text("not a part of the set")
    before = read_folder(copied)
    bring(entry, [copied], models, say)
    assert content_of(models.place(entry)) == read_folder(folder) and read_folder(copied) == before
    assert models.is_complete(entry) and say[-1][0] == "imported"
    weights = "ckpts/shape_slat_decoder.safetensors"
    assert (models.place(entry) / weights).stat().st_ino == (copied / weights).stat().st_ino
    last = say.of("progress")[-1]
    assert last["done"] == last["total"] and last["stage"] == "importing"


def test_clones_side_by_side_a_models_folder_and_links_are_recognised(tiny, copied, models, say, tmp_path):
    from espalier.engine.weights.import_folder import recognise

    entry, repositories, folder = tiny
    clones = tmp_path / "clones"
    for repository, files in repositories.items():
        for path, content in files.items():
            target = clones / repository.split("/")[1] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    blobs = tmp_path / "snapshot"
    for path in content_of(copied):
        (blobs / path).parent.mkdir(parents=True, exist_ok=True)
        (blobs / path).symlink_to(copied / path)
    (tmp_path / "their models").mkdir()
    shutil.copytree(copied, tmp_path / "their models" / entry.folder)
    choices = [[clones], [clones / "tiny", clones / "decoders"], [blobs], [tmp_path / "their models"]]
    for folders in choices:
        assert recognise(folders, [entry]) == [entry]
        bring(entry, folders, models, say)
        assert content_of(models.place(entry)) == read_folder(folder)
        assert not any(path.is_symlink() for path in models.place(entry).rglob("*"))


def test_folders_without_a_model_are_told(tiny, models, tmp_path):
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights.import_folder import recognise

    with pytest.raises(EspalierError, match="not a folder"):
        recognise([tmp_path / "nowhere"], [tiny[0]])
    (tmp_path / "ckpts").mkdir()
    (tmp_path / "ckpts" / "shape_slat_decoder.json").write_text("{}")
    with pytest.raises(EspalierError, match="no model set") as problem:
        recognise([tmp_path], [tiny[0]])
    assert problem.value.code == "bad_input" and "pipeline.json" in problem.value.hint


WEIGHTS = "ckpts/tex_slat_flow_model_32.safetensors"


def truncated(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def empty(folder):
    (folder / WEIGHTS).write_bytes(b"")


def missing(folder):
    (folder / WEIGHTS).unlink()


def renamed(folder):
    shutil.copyfile(folder / "ckpts/shape_slat_flow_model_32.safetensors", folder / WEIGHTS)


def foreign(folder):
    (folder / WEIGHTS).write_bytes(b"PK\x03\x04" + bytes(118_988))


def huge_header(folder):
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", 1 << 62) + bytes(118_984))


def one_bit(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-3] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def rewrite(change):
    def apply(folder):
        from safetensors.torch import load_file, save_file

        tensors = {name: value.clone() for name, value in load_file(folder / WEIGHTS).items()}
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return apply


def not_a_number(tensors):
    tensors["out_layer.weight"].view(-1)[1] = float("nan")


def infinite(tensors):
    tensors["out_layer.weight"].view(-1)[1] = float("inf")


def wrong_shape(tensors):
    tensors["out_layer.weight"] = tensors["out_layer.weight"].mT.contiguous()


def wrong_name(tensors):
    tensors["out_layer.weights"] = tensors.pop("out_layer.weight")


def whole_numbers(tensors):
    tensors["out_layer.weight"] = tensors["out_layer.weight"].int()


ANYWAY = {
    "truncated": truncated,
    "empty": empty,
    "missing": missing,
    "renamed": renamed,
    "foreign": foreign,
    "huge header": huge_header,
    "not a number": rewrite(not_a_number),
    "infinite": rewrite(infinite),
    "wrong shape": rewrite(wrong_shape),
    "wrong name": rewrite(wrong_name),
    "whole numbers": rewrite(whole_numbers),
}


@pytest.mark.parametrize(
    ("damage", "published"),
    [*((name, True) for name in [*ANYWAY, "one bit"]), *((name, False) for name in ANYWAY)],
)
def test_bad_weights_are_refused_by_name_and_what_was_there_stays(damage, published, tiny, copied, models):
    from espalier.engine.errors import EspalierError

    entry = tiny[0] if published else without_checksums(tiny[0])
    bring(entry, [copied], models, Events())
    before = {path: (content, path.stat().st_ino) for path, content in _files(models.place(entry))}
    other = shutil.copytree(tiny[2], copied.parent / "other")
    (one_bit if damage == "one bit" else ANYWAY[damage])(other)
    with pytest.raises(EspalierError) as problem:
        bring(entry, [other], models, Events())
    assert problem.value.code == "bad_weights" and WEIGHTS.rpartition("/")[2] in problem.value.sentence
    assert {path: (content, path.stat().st_ino) for path, content in _files(models.place(entry))} == before
    assert not list((models.path / ".staging" / "import").iterdir())


def _files(folder):
    return [(path, path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file()]


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("pipeline.json", lambda document: document.update(name="OtherPipeline")),
        ("pipeline.json", lambda document: document["args"]["models"].update(shape_slat_decoder="../../etc/passwd")),
        ("pipeline.json", lambda document: document["args"]["models"].update(shape_slat_decoder="ckpts/nothing")),
        ("pipeline.json", lambda document: document.update(auto_map={"x": "evil.py"})),
        ("ckpts/shape_slat_decoder.json", lambda document: document.update(name="os.system")),
        ("ckpts/shape_slat_decoder.json", lambda document: document["args"].update(model_channels=[16, 8, 8])),
        ("ckpts/shape_slat_decoder.json", lambda document: document["args"].update(extra=1)),
        ("ckpts/shape_slat_decoder.json", lambda document: document.clear()),
    ],
)
def test_bad_configurations_are_refused_by_name(path, change, tiny, copied, models, say):
    from espalier.engine.errors import EspalierError

    document = json.loads((copied / path).read_text())
    change(document)
    (copied / path).write_text(json.dumps(document))
    with pytest.raises(EspalierError) as problem:
        bring(without_checksums(tiny[0]), [copied], models, say)
    assert problem.value.code in ("bad_config", "bad_weights") and problem.value.sentence.endswith(".")
    assert not models.place(tiny[0]).exists()


def test_an_import_replaces_a_damaged_set_and_a_set_cannot_be_imported_from_itself(tiny, copied, models, say):
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights.verify import verify_set

    entry = tiny[0]
    bring(entry, [shutil.copytree(copied, copied.parent / "first")], models, say)
    with pytest.raises(EspalierError, match="lies already"):
        bring(entry, [models.path], models, say)
    target = models.place(entry) / WEIGHTS
    target.unlink()
    target.write_bytes(b"x")
    with pytest.raises(EspalierError, match="truncated"):
        verify_set(entry, models, say)
    assert not models.is_complete(entry)
    bring(entry, [copied], models, say)
    verify_set(entry, models, say)
    assert models.is_complete(entry)


def test_an_import_without_space_is_refused_before_it_copies(tiny, copied, models, say, monkeypatch):
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights import models_folder

    models.path.mkdir(parents=True)
    free = shutil.disk_usage(models.path).free
    monkeypatch.setattr(models_folder, "SPARE", free)
    with pytest.raises(EspalierError) as problem:
        bring(tiny[0], [copied], models, say)
    assert problem.value.code == "no_space" and not models.place(tiny[0]).exists()


def test_a_set_between_two_renames_is_put_back(tiny, copied, models, say):
    entry = tiny[0]
    bring(entry, [copied], models, say)
    before = content_of(models.place(entry))
    (models.path / ".old").mkdir()
    models.place(entry).rename(models.path / ".old" / entry.folder)
    with models.locked("a look", say):
        assert content_of(models.place(entry)) == before
    assert not (models.path / ".old").exists()


def test_removing_takes_the_set_and_what_was_downloaded_of_it(tiny, copied, models, say):
    entry = tiny[0]
    bring(entry, [copied], models, say)
    partial = models.staging(entry, "download") / "part"
    partial.write_bytes(b"x" * 100)
    assert models.arrived(entry) == 100
    assert models.remove(entry) and not models.remove(entry)
    assert not models.place(entry).exists() and models.arrived(entry) == 0 and copied.is_dir()


def test_a_removal_that_was_cut_short_is_not_undone(tiny, copied, models, say, monkeypatch):
    def cut(_path):
        raise KeyboardInterrupt

    entry, _, _ = tiny
    bring(entry, [copied], models, say)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", cut)
        with pytest.raises(KeyboardInterrupt):
            models.remove(entry)
    with models.locked("a test", say):
        pass
    assert not models.place(entry).exists() and not (models.path / ".old").exists()


def test_a_file_system_without_hard_links_is_copied_to(tmp_path, monkeypatch):
    import os

    from espalier.engine.weights.models_folder import link_or_copy

    def no_links(source, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "source").write_bytes(b"weights")
    counted = []
    link_or_copy(tmp_path / "source", tmp_path / "target", counted.append)
    assert (tmp_path / "target").read_bytes() == b"weights" and sum(counted) == 7
    assert (tmp_path / "target").stat().st_ino != (tmp_path / "source").stat().st_ino


@pytest.mark.slow
def test_the_starter_model_is_as_it_should_be(say):
    from espalier.engine.weights.verify import verify_starter

    verify_starter(say)
    assert say[-1][0] == "verified"
