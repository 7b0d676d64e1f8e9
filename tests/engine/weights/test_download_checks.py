# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads that are damaged, incomplete, too large or lead elsewhere: noticed, told and never taken over."""

from pathlib import Path

import pytest

from .conftest import OTHER, OWN, without_checksums
from .downloading import fetch, refused


def test_only_the_damaged_file_of_a_set_is_fetched_again(tiny, hub, models, say):
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights.verify import verify_set

    entry, repositories, _ = tiny
    server = hub(repositories)
    fetch(entry, models, say)
    victim = models.place(entry) / "ckpts/shape_slat_decoder.safetensors"
    content = bytearray(victim.read_bytes())
    content[-5] ^= 0x10
    victim.write_bytes(content)
    with pytest.raises(EspalierError, match="shape_slat_decoder"):
        verify_set(entry, models, say)
    assert [event["file"] for event in say.of("damaged")] == ["ckpts/shape_slat_decoder.safetensors"]
    server.requests.clear()
    fetch(entry, models, say)
    assert [name for method, name, _, _ in server.requests if method == "CONTENT"] == [f"{OWN}/ckpts/{victim.name}"]
    verify_set(entry, models, say)


def test_damage_on_the_way_is_noticed_and_refused(tiny, hub, models, say):
    entry, repositories, _ = tiny
    for damaged in ("ckpts/image_encoder.safetensors", "ckpts/image_encoder.json"):
        models.remove(entry)
        hub(repositories).damage.add(damaged)
        problem = refused("bad_weights", entry, models, say)
        assert Path(damaged).name in problem.sentence and not models.place(entry).exists()


def test_another_file_than_the_published_is_refused_before_it_is_fetched(tiny, hub, models, say):
    entry, repositories, _ = tiny
    server = hub(repositories)
    server.sizes["ckpts/image_encoder.safetensors"] = 7
    assert "image_encoder.safetensors" in refused("bad_weights", entry, models, say).sentence
    server = hub(repositories)
    content = server.repositories[OWN]["ckpts/image_encoder.safetensors"]
    server.repositories[OWN]["ckpts/image_encoder.safetensors"] = content[:-1] + b"\x01"
    assert "image_encoder.safetensors" in refused("bad_weights", entry, models, say).sentence
    assert not server.gets()


def test_an_answer_longer_than_announced_is_refused(tiny, hub, models, say):
    entry, repositories, _ = tiny
    server = hub(repositories)
    server.sizes["ckpts/image_encoder.safetensors"] = 1000
    problem = refused("no_network", without_checksums(entry), models, say)
    assert "image_encoder.safetensors" in problem.sentence and not models.place(entry).exists()


def test_without_checksums_the_content_of_the_files_decides(tiny, hub, models, say):
    entry, repositories, _ = tiny
    entry = without_checksums(entry)
    server = hub(repositories)
    files = server.repositories[OWN]
    right = files["ckpts/tex_slat_decoder.safetensors"]
    files["ckpts/tex_slat_decoder.safetensors"] = files["ckpts/shape_slat_decoder.safetensors"]
    problem = refused("bad_weights", entry, models, say)
    assert "tex_slat_decoder.safetensors" in problem.sentence and not models.place(entry).exists()
    files["ckpts/tex_slat_decoder.safetensors"] = right
    fetch(entry, models, say)
    assert models.is_complete(entry)


def test_missing_files_and_repositories_are_named(tiny, hub, models, say):
    entry, repositories, _ = tiny
    server = hub(repositories)
    del server.repositories[OWN]["ckpts/image_encoder.json"]
    assert "ckpts/image_encoder.json" in refused("hub", entry, models, say).sentence
    del server.repositories[OTHER]
    server.repositories[OWN]["ckpts/image_encoder.json"] = repositories[OWN]["ckpts/image_encoder.json"]
    assert OTHER in refused("hub", entry, models, say).sentence
    server.revisions.clear()
    assert "revision" in refused("hub", entry, models, say).sentence
    server.status = 503
    assert "503" in refused("hub", entry, models, say).sentence
    hub(repositories).close()
    assert "could not be reached" in refused("no_network", entry, models, say).sentence


def test_a_full_disk_is_told_before_the_download(single, hub, models, say):
    import dataclasses
    import shutil

    entry, repositories = single
    server = hub(repositories)
    models.path.mkdir(parents=True)
    huge = shutil.disk_usage(models.path).free + (1 << 40)
    (part,) = entry.parts
    part = dataclasses.replace(part, files=(dataclasses.replace(part.files[0], size=huge),))
    server.sizes["onnx/model.onnx"] = huge
    problem = refused("no_space", dataclasses.replace(entry, parts=(part,)), models, say)
    assert str(models.path) in problem.sentence and not server.gets()


def test_names_that_lead_out_of_the_folder_are_refused(single, hub, models, say, tmp_path):
    import dataclasses

    entry, repositories = single
    server = hub(repositories)
    content = repositories["test/single"]["onnx/model.onnx"]
    (part,) = entry.parts
    for name in ("../out.onnx", "/tmp/out.onnx", "a/../../out.onnx", "a\\..\\out.onnx", "C:out.onnx"):
        file = dataclasses.replace(part.files[0], path=name)
        problem = refused(
            "bad_path", dataclasses.replace(entry, parts=(dataclasses.replace(part, files=(file,)),)), models, say
        )
        assert name in problem.sentence
    outside = tmp_path / "outside"
    outside.mkdir()
    staging = models.staging(entry, "download")
    (staging / "onnx").symlink_to(outside)
    refused("bad_path", entry, models, say)
    assert not list(outside.iterdir()) and not server.gets() and content


def test_links_in_place_of_our_folders_are_replaced_not_followed(single, hub, models, say, tmp_path):
    entry, repositories = single
    hub(repositories)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("keep")
    models.path.mkdir(parents=True)
    for name in (".staging", ".old", "Single"):
        (models.path / name).symlink_to(outside)
    fetch(entry, models, say)
    assert models.is_complete(entry) and not models.place(entry).is_symlink()
    assert models.remove(entry)
    (models.path / "Single").symlink_to(outside)
    assert models.remove(entry) and not models.place(entry).exists()
    assert [path.name for path in outside.iterdir()] == ["precious"]
