# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's command ``models``: events, sentences, exit codes."""

import json

import pytest


@pytest.fixture
def run(tmp_path, capsys):
    """Return a function that runs the command on a data folder of its own and returns exit code and events."""
    from espalier.engine.weights.models_command import main

    def start(*arguments):
        code = main(["--models", str(tmp_path / "models"), *map(str, arguments)])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return start


@pytest.fixture
def birefnet(tmp_path):
    """A folder with a file that bears BiRefNet's name and has other bytes."""
    file = tmp_path / "copied" / "onnx" / "model.onnx"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"onnx")
    return tmp_path / "copied"


def test_without_the_network_the_sentence_says_how_to_allow_it(run):
    code, (event,) = run("download", "TRELLIS.2-4B", "--accept-licence")
    assert code == 4 and event["code"] == "offline"
    assert "Allow Online Access" in event["sentence"] and "--online-mode" in event["sentence"]


def test_licences_of_all_parts_are_told_before_a_download(run):
    code, events = run("download", "trellis.2-4b", "dinov3", "--online")
    licences = {event["repository"]: event["name"] for event in events if event["event"] == "licence"}
    assert code == 4 and events[-1]["code"] == "licence"
    assert licences == {
        "microsoft/TRELLIS.2-4B": "MIT",
        "microsoft/TRELLIS-image-large": "MIT",
        "facebook/dinov3-vitl16-pretrain-lvd1689m": "DINOv3 License",
    }
    assert all(event["terms"] in event["text"] for event in events if event["event"] == "licence")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["download", "TRELLIS-3", "--online"], "Choose one of"),
        (["download", "../x", "--online"], "Choose one of"),
        (["download", "DINOv3", "BiRefNet", "--from", "a/b", "--online"], "belongs to one model set"),
        (["download", "BiRefNet", "--from", "a/b", "--online"], "own repositories"),
        (["download", "DINOv3", "--from", "nonsense", "--online"], "owner/name"),
        (["remove", "starter"], "stays"),
        (["remove", "nothing"], "Choose one of"),
        (["import", "/nowhere/at/all"], "not a folder"),
    ],
)
def test_what_cannot_be_meant_is_told_in_a_sentence(arguments, part, run):
    code, events = run(*arguments)
    assert code == 4 and part in events[-1]["sentence"] and events[-1]["event"] == "bad_input"


def test_a_foreign_file_is_refused_found_out_and_removed(run, birefnet, tmp_path):
    code, events = run("import", birefnet)
    assert code == 1 and "model.onnx" in events[-1]["sentence"] and events[-1]["code"] == "bad_weights"
    (tmp_path / "models").mkdir(exist_ok=True)
    birefnet.rename(tmp_path / "models" / "BiRefNet")
    code, events = run("verify", "BiRefNet")
    assert code == 1 and "model.onnx" in events[-1]["sentence"] and "models download BiRefNet" in events[-1]["hint"]
    code, events = run("remove", "BiRefNet", "DINOv3")
    assert code == 0 and [event["found"] for event in events] == [True, False]
    code, events = run("verify", "BiRefNet")
    assert code == 1 and events[-1]["code"] == "missing_model"


def test_one_failure_of_several_has_its_own_code(run, birefnet, tmp_path):
    (tmp_path / "models").mkdir()
    birefnet.rename(tmp_path / "models" / "BiRefNet")
    code, events = run("verify")
    assert code == 2 and {event["event"] for event in events} >= {"verified", "damaged", "failed"}


def test_the_list_says_what_is_missing_partial_damaged_and_ready(run, birefnet, tmp_path):
    partial = tmp_path / "models" / ".staging" / "download" / "DINOv3" / "model.safetensors.0.part"
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 1000)
    damaged = tmp_path / "models" / "TRELLIS.2-4B"
    damaged.mkdir()
    (damaged / "pipeline.json").write_text("{}")
    birefnet.rename(tmp_path / "models" / "BiRefNet")
    code, events = run("list")
    states = {event["set"]: event["state"] for event in events}
    assert code == 0
    assert states == {"starter": "ready", "TRELLIS.2-4B": "damaged", "DINOv3": "partial", "BiRefNet": "ready"}
    by_name = {event["set"]: event for event in events}
    assert by_name["DINOv3"]["downloaded"] == 1000 and not by_name["BiRefNet"]["verified"]
    assert by_name["TRELLIS.2-4B"]["size"] > 15e9 and by_name["TRELLIS.2-4B"]["needs"] == ["DINOv3"]


def test_the_plan_counts_on_all_the_memory_of_the_machine_not_on_what_is_free(run, monkeypatch):
    import torch
    from espalier.engine import machine

    if torch.cuda.is_available():
        pytest.skip("the plan is made for this machine's card")
    modes = {}
    for amount in (1, 30, 400):
        monkeypatch.setattr(machine, "host_memory", lambda amount=amount: (amount << 30, 1 << 20))
        code, (event,) = run("plan")
        assert code == 0 and event["device"] == "cpu" and event["total"] == amount << 30
        modes[amount] = [plan["mode"] for kinds in event["plans"].values() for plan in kinds.values()]
        assert {*event["plans"]["generate"]} == {"512", "1024", "1024_cascade", "1536_cascade"}
        for job, kinds in event["plans"].items():
            for kind, plan in kinds.items():
                # A network in turns with others need not be the one that is smaller now.
                smaller = plan["mode"] == "fits"
                assert event["int8"][job][kind]["peak_bytes"] <= plan["peak_bytes"] - smaller
    assert set(modes[400]) == {"fits"} and set(modes[1]) == {"too_big"} and "fits" in modes[30]
