# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of the published size are written, loaded and run through the pipeline's own code, on this machine.

Needs 3 GB of disk at a time and 6 GB of memory. What loads is measured in a process of its own.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from espalier.engine.weights.random_set import write_random_set

CHILD = Path(__file__).with_name("true_size.py")
MAXIMUM_RISE = 1.25
"""Resident memory that loading may add, as a share of the file."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory as Linux reports it"),
]


@pytest.fixture
def full_size(tmp_path):
    """Write these networks, do a task of ``true_size.py`` in a child process, remove the files whatever happens."""
    folder = tmp_path / "set"

    def task(name, *networks):
        write_random_set(folder, networks)
        child = [sys.executable, "-I", "-X", "utf8", str(CHILD), str(folder), name]
        done = subprocess.run(child, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        report = json.loads(done.stdout.splitlines()[-1])
        print(report)
        for network, loaded in report["loaded"].items():
            assert 0.5 < loaded["rise"] <= MAXIMUM_RISE, network
            assert loaded["parameters"] == PARAMETERS[network]
        assert report["result"]["finite"]
        return report["loaded"], report["result"]

    try:
        yield task
    finally:
        shutil.rmtree(folder, ignore_errors=True)


PARAMETERS = {
    "shape_slat_flow_model_512": 1_292_253_728,
    "shape_slat_decoder": 474_231_463,
    "tex_slat_decoder": 474_216_006,
    "image_encoder": 303_129_600,
}


def test_a_flow_transformer_loads_in_the_size_of_its_file_and_runs(full_size):
    loaded, result = full_size("flow", "shape_slat_flow_model_512")
    assert loaded["shape_slat_flow_model_512"]["precisions"] == ["torch.bfloat16", "torch.float32"]
    assert result["shape"] == [64, 32]
    assert result["deviation"] > 0.1


def test_both_decoders_load_in_the_size_of_their_files_and_run(full_size):
    loaded, result = full_size("decoders", "shape_slat_decoder", "tex_slat_decoder")
    assert all(network["precisions"] == ["torch.float16", "torch.float32"] for network in loaded.values())
    assert 100 <= result["voxels"] <= 8 * 8**4
    assert result["columns"] == 9
    assert result["deviation"] > 0.01


def test_the_image_encoder_loads_in_the_size_of_its_file_and_runs(full_size):
    loaded, result = full_size("image", "image_encoder")
    assert loaded["image_encoder"]["precisions"] == ["torch.float32"]
    assert result["shape"] == [1, 5 + 32 * 32, 1024]
    assert abs(result["mean"]) < 1e-3 and abs(result["deviation"] - 1) < 1e-2
