# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from a hub on this computer: complete, cut, damaged, refused, out of space, two at a time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import OTHER, OWN, read_folder, without_checksums

ROOT = Path(__file__).resolve().parents[3]


def fetch(entry, models, say, accepted=True):
    from espalier.engine.weights.download import download

    download([entry], models, say, accepted)


def refused(code, entry, models, say, **options):
    from espalier.engine.errors import EspalierError

    with pytest.raises(EspalierError) as problem:
        fetch(entry, models, say, **options)
    assert problem.value.code == code, (problem.value.code, problem.value.sentence, problem.value.hint)
    return problem.value


def test_a_set_from_two_repositories_arrives_whole_and_can_be_loaded(tiny, hub, models, say):
    import torch
    from espalier.engine.weights.model_set import load_model_set
    from espalier.engine.weights.models_folder import read_receipt

    entry, repositories, folder = tiny
    server = hub(repositories)
    fetch(entry, models, say)
    place = models.place(entry)
    assert {p: c for p, c in read_folder(place).items() if p != "espalier.json"} == read_folder(folder)
    assert models.is_complete(entry)
    note = read_receipt(place)["files"][f"{OTHER}/ckpts/sparse_structure_decoder.safetensors"]
    assert note["repository"] == OTHER and len(note["revision"]) == 40 and len(note["sha256"]) == 64
    total = sum(map(len, read_folder(folder).values()))
    last = [event for event in say.of("progress") if event["stage"] == "downloading"][-1]
    assert last["done"] == last["total"] == total == server.sent
    assert all(authorization is None for _, _, _, authorization in server.requests)
    assert all(
        "/resolve/" in path or path.startswith("/cdn/") for method, path, _, _ in server.requests if method != "CONTENT"
    )
    model_set = load_model_set(place)
    assert model_set.model("sparse_structure_decoder")(torch.zeros(1, 8, 4, 4, 4)).shape == (1, 1, 8, 8, 8)
    assert sorted(path.name for path in models.path.iterdir()) == [".lock", ".staging", "Tiny"]

    server.requests.clear()
    fetch(entry, models, say)
    assert say[-1][0] == "present" and not server.requests


def test_nothing_is_fetched_before_the_licences_are_accepted(tiny, hub, models, say):
    entry, repositories, _ = tiny
    server = hub(repositories)
    problem = refused("licence", entry, models, say, accepted=False)
    assert "--accept-licence" in problem.sentence and not server.requests and not models.path.exists()
    assert {(event["repository"], event["name"]) for event in say.of("licence")} == {(OWN, "MIT"), (OTHER, "MIT")}


@pytest.mark.parametrize("cut", [0, 1, 65_535, 65_536, 65_537, 400_000, 1_000_002])
def test_a_download_that_is_cut_goes_on_where_it_stopped(cut, single, hub, models, say):
    entry, repositories = single
    server = hub(repositories)
    server.cuts = [cut]
    fetch(entry, models, say)
    assert (models.place(entry) / "onnx/model.onnx").read_bytes() == repositories["test/single"]["onnx/model.onnx"]
    # What was on its way when the line broke comes again: less than one piece of 64 KiB.
    assert server.sent - 1_000_003 < 65_536
    first, second = server.gets()
    assert first is None and second == (f"bytes={cut // 65_536 * 65_536}-" if cut >= 65_536 else None)


def test_a_line_that_breaks_all_the_time_gets_there(single, hub, models, say):
    entry, repositories = single
    server = hub(repositories)
    server.cuts = [70_000] * 14
    fetch(entry, models, say)
    assert len(server.gets()) > 14 and models.is_complete(entry)


def test_a_dead_line_keeps_what_arrived_for_the_next_run(single, hub, models, say):
    entry, repositories = single
    server = hub(repositories)
    server.cuts = [300_000] + [0] * 100
    problem = refused("no_network", entry, models, say)
    assert "goes on where it stopped" in problem.sentence
    assert models.arrived(entry) >= 262_144 and not models.is_complete(entry)
    server.cuts.clear()
    server.requests.clear()
    fetch(entry, models, say)
    assert server.gets() == ["bytes=262144-"] and models.is_complete(entry)


def test_what_a_cut_download_of_an_earlier_state_left_does_not_stay(single, hub, models, say):
    entry, repositories = single
    entry = without_checksums(entry)
    server = hub(repositories)
    server.cuts = [300_000] + [0] * 100
    refused("no_network", entry, models, say)
    server.cuts.clear()
    server.repositories["test/single"]["onnx/model.onnx"] = b"the next state"
    fetch(entry, models, say)
    found = read_folder(models.place(entry))
    assert found.pop("espalier.json") and found == {"onnx/model.onnx": b"the next state"}


def test_a_server_without_byte_ranges_is_read_from_the_start(single, hub, models, say):
    entry, repositories = single
    server = hub(repositories)
    server.ranges, server.cuts = False, [300_000]
    fetch(entry, models, say)
    assert models.is_complete(entry)
    last = say.of("progress")[-2]
    assert last["done"] == last["total"] == 1_000_003


def test_finished_files_of_a_cut_set_are_not_fetched_again(tiny, hub, models, say):
    entry, repositories, folder = tiny
    server = hub(repositories)
    server.cuts = [None] * 5 + [0] * 100
    refused("no_network", entry, models, say)
    finished = set(server.gets())
    before = {name for method, name, _, _ in server.requests if method == "CONTENT"}
    server.cuts.clear()
    server.requests.clear()
    fetch(entry, models, say)
    again = before & {name for method, name, _, _ in server.requests if method == "CONTENT"}
    assert len(again) == 1 and finished == {None}
    assert {p: c for p, c in read_folder(models.place(entry)).items() if p != "espalier.json"} == read_folder(folder)


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


def test_a_configuration_that_a_repository_lacks_is_ours(tiny, hub, models, say, tmp_path):
    import dataclasses

    from espalier.engine.weights.registry import PublishedFile

    entry, repositories, folder = tiny
    ours = (folder / "pipeline.json").read_bytes()
    (tmp_path / "ours.json").write_bytes(ours)
    name = "texturing_pipeline.json"
    file = PublishedFile(name, name, required=False, stand_in=tmp_path / "ours.json")
    own, other = entry.parts
    entry = dataclasses.replace(entry, parts=(dataclasses.replace(own, files=(*own.files, file)), other))
    server = hub(repositories)
    fetch(entry, models, say)
    assert (models.place(entry) / name).read_bytes() == ours
    models.remove(entry)
    server.repositories[OWN][name] = ours + b" "
    fetch(entry, models, say)
    assert (models.place(entry) / name).read_bytes() == ours + b" " and models.is_complete(entry)


def test_a_gate_is_told_before_anything_is_fetched_with_the_ways_around_it(tiny, hub, models, say, tmp_path):
    import dataclasses

    entry, repositories, _ = tiny
    entry = dataclasses.replace(entry, alternatives=("open/copy",))
    server = hub(repositories)
    server.gated.add(OTHER)
    problem = refused("gated", entry, models, say)
    assert OTHER in problem.sentence and "no token" in problem.sentence
    assert "--from open/copy" in problem.hint and f"{server.url}/{OTHER}" in problem.hint
    assert not server.gets()

    (tmp_path / "token").write_text("hf_expired")
    refused("gated", entry, models, say)
    (tmp_path / "token").write_text("hf_stranger")
    server.tokens["hf_stranger"] = set()
    problem = refused("gated", entry, models, say)
    assert "has not been let in" in problem.sentence and not server.gets()

    server.tokens["hf_friend"] = {OTHER}
    (tmp_path / "token").write_text("hf_friend")
    server.requests.clear()
    fetch(entry, models, say)
    assert models.is_complete(entry)
    shown = {path for _, path, _, authorization in server.requests if authorization}
    assert shown and all(path.startswith(f"/{OTHER}/") for path in shown)


def test_an_expired_token_does_not_close_an_open_repository(single, hub, models, say, tmp_path):
    entry, repositories = single
    hub(repositories)
    (tmp_path / "token").write_text("hf_expired")
    fetch(entry, models, say)
    assert models.is_complete(entry)


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


DRIVER = """
import importlib.util, json, pickle, resource, signal, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("conftest", {root!r} + "/tests/conftest.py")
spec.loader.exec_module(importlib.util.module_from_spec(spec))
from espalier.engine.weights.models_command import say
from espalier.engine.weights.models_folder import ModelsFolder
from espalier.engine.weights.download import download
from espalier.engine.failure import explain
entry = pickle.loads(bytes.fromhex(sys.argv[1]))
limit = int(sys.argv[3])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    download([entry], ModelsFolder(Path(sys.argv[2])), say, True)
except Exception as error:
    problem = explain(error, Path(sys.argv[2]))
    say("failed", problem.sentence, code=problem.code)
    sys.exit(1)
"""


def start(entry, models, server, limit=0):
    """Download in a process of its own, which finds the hub as a user's would: through the environment."""
    import pickle

    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(models.path.parent / "hf"),
        "OMP_NUM_THREADS": "1",
    }
    arguments = [pickle.dumps(entry).hex(), str(models.path), str(limit)]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(root=str(ROOT)), *arguments],
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )


def events_of(process):
    out, _ = process.communicate(timeout=300)
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.slow
def test_a_killed_download_goes_on_and_two_at_once_fetch_every_byte_once(single, hub, models, say):
    entry, repositories = single
    server = hub(repositories)
    server.cuts = [300_000] + [0] * 1000
    process = start(entry, models, server)
    deadline = time.monotonic() + 240
    while models.arrived(entry) < 262_144 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert models.arrived(entry) == 262_144
    server.cuts.clear()
    server.requests.clear()
    server.sent = 0
    both = [start(entry, models, server) for _ in range(2)]
    told = [events_of(process) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert models.is_complete(entry) and server.gets() == ["bytes=262144-"]
    assert server.sent == 1_000_003 - 262_144
    assert not (models.path.parent / "hf").exists()
    assert sum(event["event"] == "downloaded" for events in told for event in events) == 1


@pytest.mark.slow
def test_a_disk_that_fills_up_on_the_way_ends_in_a_sentence_and_goes_on_later(single, hub, models, say):
    entry, repositories = single
    server = hub(repositories)
    process = start(entry, models, server, limit=500_000)
    last = events_of(process)[-1]
    assert process.returncode == 1 and last["code"] == "no_space" and "full" in last["text"]
    kept = models.arrived(entry)
    assert 400_000 < kept <= 500_000 and not (models.path.parent / "hf").exists()
    server.requests.clear()
    fetch(entry, models, say)
    assert models.is_complete(entry) and server.gets() == [f"bytes={kept}-"]
