# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison with the reference leaves nothing out and fails where it should: tried on altered folders."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from espalier.tests.conftest import ROOT
from espalier.tests.parity.case import Case
from espalier.tests.parity.comparison import compare
from espalier.tests.parity.report import GoldenReport
from espalier.tests.parity.runners import NoRunnerError, find
from espalier.tooling import checks
from safetensors.torch import load_file, save_file

GOLDEN = ROOT / "tests" / "data" / "golden"


def copied(name, folder):
    shutil.copytree(GOLDEN / name, folder)
    return folder


def edit_case(folder, **changes):
    path = folder / "case.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def edit_tensor(folder, name, change):
    tensors = load_file(folder / "io.safetensors")
    tensors[name] = change(tensors[name].clone())
    save_file(tensors, folder / "io.safetensors")


def with_first(value):
    def change(tensor):
        tensor.view(-1)[0] = value
        return tensor

    return change


def account(folder, scratch):
    scratch.mkdir(exist_ok=True)
    case = Case(folder, scratch)
    compare(case)
    return case


@pytest.fixture(scope="module")
def altered(tmp_path_factory):
    """Renamed, doubled, spoiled and foreign cases in one folder, and what the comparison of it printed."""
    root = tmp_path_factory.mktemp("altered")
    copied("12_cascade", root / "a case by another name")
    copied("12_cascade", root / "twin")
    edit_tensor(copied("12_cascade", root / "spoiled"), "res1024_small.coords", with_first(7))
    edit_case(copied("12_cascade", root / "foreign"), **{"class": "SparseUnheardOf"})
    copied("12_cascade", root / "unreadable").joinpath("case.json").write_text("{", encoding="utf-8")
    (root / "empty").mkdir()
    (root / "README.md").write_text("not a case")
    return root


def test_a_folder_of_any_names_is_compared_case_by_case(altered, capfd):
    status = checks.parity(Path(sys.executable), str(altered), ["-q", "-p", "no:cacheprovider"])
    out = capfd.readouterr().out
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert status == 1
    *rows, total = lines
    passed = {row["case"] for row in rows} - {row["case"] for row in rows if row.get("pass") is False}
    assert passed == {"a case by another name", "twin"}
    assert [row["name"] for row in rows if row["case"] == "spoiled" and not row["pass"]] == ["res1024_small.coords"]
    assert any("SparseUnheardOf" in row.get("reason", "") for row in rows if row["case"] == "foreign")
    assert {row["case"] for row in rows} == {"a case by another name", "twin", "spoiled", "foreign"} | {
        "unreadable",
        "empty",
    }
    assert total["cases"] == 6
    assert total["failed"] == sum(row.get("pass") is False for row in rows)
    tensors = len(json.loads((GOLDEN / "12_cascade" / "case.json").read_text())["tensors"])
    assert total["tensors"] == 4 * tensors
    assert total["left_out"] == tensors, "those of the foreign case"
    assert "4 failed, 2 passed" in out


def test_a_folder_without_cases_is_refused(tmp_path, capfd):
    assert checks.parity(Path(sys.executable), str(tmp_path), ["-q"]) == 4
    assert "holds no reference cases" in "".join(capfd.readouterr())


def test_every_tensor_of_a_case_is_compared_or_an_input(tmp_path):
    case = account(GOLDEN / "12_cascade", tmp_path)
    inputs = [name for name in case.names if name.endswith("hr_coords")] + ["ss.logits", "tex.coords"]
    assert case.failures == []
    assert case.account["counts"] == {
        "compared": len(case.names) - len(inputs) - 1,  # and the shape latent of the texture model
        "skipped": 0,
        "inputs": len(inputs) + 1,
        "left_out": 0,
    }


def test_a_tensor_that_no_runner_speaks_of_fails(tmp_path):
    folder = copied("12_cascade", tmp_path / "case")
    tensors = load_file(folder / "io.safetensors")
    save_file({**tensors, "new.out": torch.zeros(3), "mid.step": torch.zeros(3)}, folder / "io.safetensors")
    case = account(folder, tmp_path / "scratch")
    assert case.failures == ["case: new.out: it was not compared"]
    assert {"case": "case", "name": "mid.step", "skipped": "intermediate value"} in case.rows


def test_a_tensor_that_the_file_lacks_is_named(tmp_path):
    folder = copied("12_cascade", tmp_path / "case")
    table = json.loads((folder / "case.json").read_text())["tensors"]
    edit_case(folder, tensors={**table, "more.out": [[3], "float32"]})
    rows = account(folder, tmp_path / "scratch").rows
    assert [row["name"] for row in rows if "does not hold it" in row.get("skipped", "")] == ["more.out"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
def test_a_spoiled_output_fails_by_name(tmp_path, value):
    folder = copied("07_samplers", tmp_path / "case")
    edit_tensor(folder, "cfg.sparse.samples", with_first(value))
    (sentence,) = account(folder, tmp_path / "scratch").failures
    assert sentence.startswith("case: cfg.sparse.samples")


def test_an_output_of_another_shape_fails_by_name(tmp_path):
    folder = copied("07_samplers", tmp_path / "case")
    edit_tensor(folder, "cfg.dense.samples", lambda tensor: tensor[:1].contiguous())
    (sentence,) = account(folder, tmp_path / "scratch").failures
    assert "cfg.dense.samples: its shape is" in sentence


def test_values_that_are_all_a_little_off_fail_at_the_strict_tolerance(tmp_path):
    folder = copied("06_sparse_units", tmp_path / "case")
    strict, loose = (json.loads((folder / "case.json").read_text())["tolerance"][n] for n in ("strict_atol", "atol"))
    edit_tensor(folder, "conv_k3.out", lambda tensor: tensor + (strict + loose) / 2)
    (sentence,) = account(folder, tmp_path / "scratch").failures
    assert "conv_k3.out: only 0.00% of its values are within strict_atol" in sentence


def test_weights_that_do_not_fit_fail_the_case_and_leave_nothing_unsaid(tmp_path):
    folder = copied("01_sparse_structure_flow", tmp_path / "case")
    weights = load_file(folder / "weights.safetensors")
    weights["blocks.0.renamed"] = weights.pop("blocks.0.modulation")
    save_file(weights, folder / "weights.safetensors")
    failures = account(folder, tmp_path / "scratch").failures
    assert "blocks.0.renamed" in failures[0]
    assert "case: out: it was not compared" in failures


def test_another_call_of_a_known_class_is_refused(tmp_path):
    folder = copied("12_cascade", tmp_path / "case")
    edit_case(folder, call="something_else()")
    case = Case(folder, tmp_path)
    case.load()
    with pytest.raises(NoRunnerError, match="something_else"):
        find(case)


def test_the_sum_is_printed_alone_unless_lines_are_asked_for():
    class Terminal:
        def __init__(self):
            self.lines = []

        def section(self, title):
            pass

        def write_line(self, line):
            self.lines.append(json.loads(line))

    rows = [{"pass": True}, {"pass": False}, {"skipped": "why"}]
    counts = {"compared": 1, "skipped": 1, "inputs": 2, "left_out": 0}
    for lines, printed in ((True, 4), (False, 1)):
        report, terminal = GoldenReport(lines), Terminal()
        report.accounts.append({"rows": rows, "counts": counts})
        report.pytest_terminal_summary(terminal)
        assert len(terminal.lines) == printed
        assert terminal.lines[-1] == {"cases": 1, "comparisons": 2, "failed": 1, "tensors": 4, **counts}
