# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from a hub on this computer: complete, cut and gone on with, behind a gate."""

import pytest

from .conftest import OTHER, OWN, read_folder, without_checksums
from .downloading import fetch, refused


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
