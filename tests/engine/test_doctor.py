# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor says what works, finds what is broken, never stops at it, never hangs, and shows no user name."""

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest
from espalier.engine import device_lock, doctor, doctor_checks, doctor_memory, doctor_models, doctor_selftest, machine
from espalier.engine.doctor_checks import Finding
from espalier.engine.errors import EspalierError
from espalier.engine.weights.models_folder import write_receipt
from espalier.engine.weights.registry import BIREFNET, SETS
from espalier.tooling.console import ROOT

MAIN = ROOT / "engine" / "__main__.py"
NAMES = ["system", "device", "memory", "data", "packages", "backends", "models", "self-test"]


def run(python, data, *arguments):
    """Run the doctor as a user's machine does; return (exit code, findings by name, verdict)."""
    command = [str(python), "-I", "-X", "utf8", "-u", str(MAIN), "doctor", "--data", str(data), *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=400)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["finding"] * len(NAMES) + ["verdict"], done.stderr
    assert [event["name"] for event in events[:-1]] == NAMES
    return done.returncode, {event["name"]: event for event in events[:-1]}, events[-1]


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """A Python without any package."""
    folder = tmp_path_factory.mktemp("bare") / "env"
    venv.create(folder, symlinks=os.name != "nt")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def give_torch(bare_python, code):
    """Install a ``torch`` that runs ``code`` when it is imported."""
    folder = next((bare_python.parent.parent / "lib").glob("python*/site-packages")) / "torch"
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_text(code)


@pytest.fixture
def free_device(tmp_path_factory, monkeypatch):
    """A lock of our own, so that a job on this machine does not change what the self-test finds."""
    folder = str(tmp_path_factory.mktemp("locks"))
    monkeypatch.setenv("TMPDIR", folder)
    monkeypatch.setattr("tempfile.tempdir", folder)


@pytest.mark.slow
def test_working_engine_is_usable_and_says_what_it_has(tmp_path, free_device):
    code, findings, verdict = run(sys.executable, tmp_path / "data")
    assert (code, verdict["usable"]) == (0, True), json.dumps(findings["self-test"])
    assert verdict["text"] == "Everything that is needed works."
    assert findings["packages"]["facts"]["versions"]["torch"]
    steps = findings["self-test"]["facts"]["steps"]
    assert [step["step"] for step in steps] == [name for name, _ in doctor_selftest.STEPS]
    assert steps[1]["difference"] < 1e-4
    assert set(steps[2]["stages"]) == {"prepare", "condition", "structure", "shape", "material", "decode", "finish"}
    assert steps[2]["faces"] > 100
    assert set(steps[3]["plans"]["generate"]) == {"512", "1024", "1024_cascade", "1536_cascade"}
    assert "TRELLIS.2-4B with " in findings["self-test"]["text"]
    assert list((tmp_path / "data").iterdir()) == []


def test_python_without_packages_is_not_usable_and_all_the_rest_is_still_told(tmp_path, bare_python, free_device):
    code, findings, verdict = run(bare_python, tmp_path / "data")
    assert code == 1
    assert verdict["broken"] == ["packages", "self-test"]
    assert "missing: numpy, torch" in findings["packages"]["text"]
    assert "Install Engine" in verdict["text"]
    assert findings["data"]["state"] == "ok"
    for name in ("onnxruntime", "huggingface_hub", "triton", "numba"):
        assert f"{name} is missing: " in findings["backends"]["text"]


@pytest.mark.skipif(os.name == "nt", reason="Windows opens a window for a program that aborts")
def test_library_that_crashes_is_a_finding(tmp_path, bare_python, monkeypatch, free_device):
    give_torch(bare_python, "import os\nprint('about to fall', flush=True)\nos.abort()")
    monkeypatch.setattr(sys, "executable", str(bare_python))
    found = doctor_selftest.self_test(tmp_path)
    assert found.state == "broken"
    assert "loading torch ended by itself with code -6" in found.text
    assert "about to fall" in found.text
    assert found.advice.endswith(".")


def test_library_that_hangs_ends_in_a_finding(tmp_path, bare_python, monkeypatch, free_device):
    give_torch(bare_python, "import time\ntime.sleep(1000)")
    monkeypatch.setattr(sys, "executable", str(bare_python))
    monkeypatch.setattr(doctor_selftest, "LIMIT_SECONDS", 3.0)
    started = time.monotonic()
    found = doctor_selftest.self_test(tmp_path)
    assert time.monotonic() - started < 60
    assert (found.state, "did not end within 3 s" in found.text) == ("broken", True)
    assert list(tmp_path.iterdir()) == []


def test_library_that_cannot_be_loaded_is_named(tmp_path, bare_python, monkeypatch, free_device):
    give_torch(bare_python, "raise ImportError('libcublas.so.13 is missing')")
    monkeypatch.setattr(sys, "executable", str(bare_python))
    found = doctor_selftest.self_test(tmp_path)
    assert found.state == "broken"
    assert "libcublas.so.13 is missing" in found.text


def test_self_test_does_not_disturb_a_job_of_another_blender(tmp_path, monkeypatch, capsys, free_device):
    monkeypatch.setattr(doctor_selftest, "LOCK_SECONDS", 0.3)
    kind = "cuda" if machine.torch_has_cuda() and machine.cuda_device() else "cpu"
    with device_lock.hold(device_lock.lock_file(kind), "Lamp", lambda sentence: None):
        assert doctor_selftest.run(tmp_path) == 1
    found = doctor_selftest.judge(capsys.readouterr().out, 1)
    assert found.state == "note"
    assert "skipped: Waiting for another Blender, which is working on Lamp" in found.text


def test_wrong_numbers_of_the_convolution_are_found(tmp_path, monkeypatch, capsys, free_device):
    from espalier.engine.sparse import convolution

    right = convolution.SparseConv3d.forward
    monkeypatch.setattr(convolution.SparseConv3d, "forward", lambda self, x: x.replace(right(self, x).feats * 1.001))
    with pytest.raises(EspalierError, match="convolution differs"):
        doctor_selftest.check_convolution(tmp_path)
    monkeypatch.setattr(convolution.SparseConv3d, "forward", right)
    assert doctor_selftest.check_convolution(tmp_path)["difference"] < 1e-5


def test_memory_plan_follows_the_memory_there_is(tmp_path, monkeypatch):
    import torch

    if torch.cuda.is_available():
        pytest.skip("the plan is made for this machine's card")
    modes = {}
    for amount in (1, 400):
        monkeypatch.setattr(machine, "host_memory", lambda amount=amount: (amount << 30, amount << 30))
        found = doctor_memory.memory_plan(tmp_path / str(amount))
        modes[amount] = [plan["mode"] for kinds in found["plans"].values() for plan in kinds.values()]
    assert set(modes[400]) == {"fits"}
    assert set(modes[1]) == {"too_big"}
    assert found["text"].count(": fits, ") == len(modes[400])


def test_failing_and_hanging_checks_do_not_stop_the_others(tmp_path):
    def breaks(data):
        raise OSError("the device is on fire")

    def hangs(data):
        time.sleep(30)

    checks = (("a", breaks, 5.0), ("b", hangs, 0.2), ("c", doctor_checks.memory, 5.0))
    found = list(doctor.examine(tmp_path, checks))
    assert [finding.state for finding in found[:2]] == ["broken", "broken"]
    assert "on fire" in found[0].text
    assert "did not answer within 0 s" in found[1].text
    assert found[2].name == "memory"
    assert all(finding.advice.endswith(".") for finding in found[:2])


def test_data_folder_that_cannot_be_one_is_broken_and_a_new_one_is_made(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    found = doctor_checks.data_folder(tmp_path / "file" / "data")
    assert found.state == "broken"
    assert "choose another data folder" in found.advice
    found = doctor_checks.data_folder(tmp_path / "new" / "data")
    assert found.state in ("ok", "note")
    assert found.facts["free"] > 0
    assert list((tmp_path / "new" / "data").iterdir()) == []


def test_report_shows_no_user(monkeypatch):
    value = {
        "text": "/home/alice/.local/share/espalier and /media/alice/disk, malice, /home/alicette",
        "list": [r"C:\Users\Alice Smith\AppData", 3, None],
    }
    shown = doctor.without_user(value, "/home/alice", "alice")
    assert shown["text"] == "~/.local/share/espalier and /media/user/disk, malice, /home/alicette"
    assert shown["list"][1:] == [3, None]
    assert doctor.without_user(value["list"][0], r"C:\Users\Alice Smith", "Alice Smith") == r"~\AppData"
    assert doctor.without_user("/data/espalier", "/", "") == "/data/espalier"


def test_whole_report_of_a_user_shows_no_home(tmp_path, bare_python):
    home = tmp_path / "alice"
    data = home / "data"
    data.mkdir(parents=True)
    environment = {**os.environ, "HOME": str(home), "USERPROFILE": str(home), "LOGNAME": "alice"}
    command = [str(bare_python), "-I", "-X", "utf8", str(MAIN), "doctor", "--data", str(data)]
    output = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, timeout=120).stdout
    assert "~/data" in output.replace("\\\\", "/")
    assert "alice" not in output


def test_lines_are_folded_under_their_name():
    line = doctor.line_of(Finding("models", "broken", "first\n" + "word " * 40, "Do something."))
    rows = line.split("\n")
    assert rows[0] == "X models     first"
    assert rows[-1] == " " * 13 + "Do something."
    assert all(len(row) <= doctor.WIDTH for row in rows)


def put(folder, files):
    for path, size in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            file.truncate(size)


def test_models_are_told_apart_by_what_is_there(tmp_path):
    folder = tmp_path / "models" / BIREFNET.folder
    file = BIREFNET.files[0].path

    def state():
        found = doctor_models.models(tmp_path)
        return found.facts[BIREFNET.name]["state"], found.state, found.advice

    assert state() == ("missing", "ok", "")
    put(folder, {file: 0})
    assert state()[0] == "missing"
    put(folder, {file: 1000})
    assert state() == ("unverified", "ok", "")
    note = {"size": 1000, "sha256": "0" * 64}
    write_receipt(folder, {"set": BIREFNET.name, "files": {file: note}, "damaged": []})
    assert state() == ("verified", "ok", "")
    put(folder, {file: 999})
    assert state()[:2] == ("damaged", "broken")
    assert "models download BiRefNet" in state()[2]
    put(folder, {file: 1000})
    write_receipt(folder, {"set": BIREFNET.name, "files": {file: note}, "damaged": [file]})
    assert state()[:2] == ("damaged", "broken")


def test_incomplete_set_names_its_first_missing_file(tmp_path):
    trellis2 = SETS[0]
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere, {"pipeline.json": trellis2.files[0].size})
    found = doctor_models.models(tmp_path, trellis2=elsewhere)
    assert found.facts[trellis2.name]["state"] == "incomplete"
    assert f"of {len(trellis2.files)} files are missing" in found.text
    assert doctor_models.models(tmp_path).facts[trellis2.name]["state"] == "missing"


def test_a_clone_is_whole_with_the_structure_decoder_of_the_other_repository_beside_it(tmp_path):
    trellis2, clone = SETS[0], tmp_path / "disk" / "clone"
    own, other = trellis2.parts
    put(clone, {file.path: file.size or 100 for file in own.files if file.required})
    assert doctor_models.models(tmp_path, trellis2=clone).facts[trellis2.name]["state"] == "incomplete"
    put(tmp_path / "models" / "TRELLIS-image-large", {file.source: 1 for file in other.files})
    assert doctor_models.models(tmp_path).facts[trellis2.name]["state"] == "missing"
    shutil.rmtree(tmp_path / "models")
    put(clone.parent / "TRELLIS-image-large", {file.source: file.size or 100 for file in other.files})
    assert doctor_models.models(tmp_path, trellis2=clone).facts[trellis2.name]["state"] == "unverified"
    assert "damaged" not in doctor_models.models(tmp_path, trellis2=clone).text


def test_exit_code_is_one_exactly_when_something_needed_is_broken(monkeypatch, capsys, tmp_path):
    def checks(*states):
        found = [Finding(f"check{index}", state, "text", "Mend it.") for index, state in enumerate(states)]
        return lambda trellis2: tuple((finding.name, lambda data, f=finding: f, 5.0) for finding in found)

    for states, expected in ((("ok", "note"), 0), (("ok", "broken", "note"), 1)):
        monkeypatch.setattr(doctor, "checks", checks(*states))
        assert doctor.main(["--data", str(tmp_path)]) == expected
        verdict = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert verdict["usable"] is (expected == 0)
    assert verdict["text"] == "Not usable yet: check1. Mend it."


def test_build_py_passes_text_or_json_and_the_exit_code(tmp_path, bare_python, monkeypatch, capsys):
    from espalier.tooling import doctor as tool

    monkeypatch.setattr(sys, "executable", str(bare_python))
    assert tool.main(["--data", str(tmp_path)]) == 1
    text = capsys.readouterr().out
    assert text.startswith("  system     Espalier ") and "\nNot usable yet: " in text
    assert tool.main(["--data", str(tmp_path), "--json"]) == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[-1]["event"] == "verdict"
    assert Path(events[3]["facts"]["folder"]).name == tmp_path.name


def test_card_that_cannot_be_used_is_told_with_what_to_do(tmp_path, monkeypatch):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine's card can be used")
    monkeypatch.setattr(machine, "cuda_device", lambda: ("NVIDIA Test 5090", 32 << 30))
    monkeypatch.setattr(machine, "torch_has_cuda", lambda: False)
    found = doctor_checks.device(tmp_path)
    assert found.state == "note" and "NVIDIA Test 5090, but this torch is built without CUDA" in found.text
    assert "cuda is missing" in doctor_checks.backends(tmp_path).text
    monkeypatch.setattr(machine, "torch_has_cuda", lambda: True)
    found = doctor_checks.device(tmp_path)
    assert (found.state, found.text) == ("ok", "NVIDIA Test 5090, 34.4 GB")
    with pytest.raises(EspalierError, match="Install a newer NVIDIA driver"):
        doctor_selftest.load_torch(tmp_path)
