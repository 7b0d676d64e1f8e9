# SPDX-License-Identifier: GPL-3.0-or-later
"""The full-size random set is laid out as the published one and leaves everything else alone."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.weights import random_set
from espalier.engine.weights.model_set import load_model_set
from espalier.engine.weights.random_set import main, write_random_set
from espalier.engine.weights.released import NETWORKS
from safetensors import safe_open

DECODER = "sparse_structure_decoder"
WEIGHTS = NETWORKS[DECODER].path + ".safetensors"


def test_a_network_is_written_and_loads_from_the_released_layout(tmp_path):
    folder, told = tmp_path / "set", []
    try:
        write_random_set(folder, [DECODER], report=told.append)
        assert told == [folder / WEIGHTS]
        assert (folder / WEIGHTS).stat().st_size == 147_591_972
        with safe_open(folder / WEIGHTS, "pt") as file:
            assert len(file.keys()) == 74
            norm, kernel = (file.get_tensor(f"blocks.0.{name}.weight") for name in ("norm1", "conv1"))
        assert norm.dtype == torch.float32 and 0.9 <= norm.min() < norm.max() <= 1.1
        assert kernel.dtype == torch.float16
        assert kernel.float().square().sum() == pytest.approx(len(kernel), rel=0.01)
        model = load_model_set(folder).model(DECODER)
        assert torch.equal(model.blocks[0].conv1.weight, kernel)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def small(monkeypatch):
    """Keep the networks' names but only a few of their tensors."""
    whole = random_set.stored_tensors

    def smallest(network):
        return dict(sorted(whole(network).items(), key=lambda item: item[1].numel())[:3])

    monkeypatch.setattr(random_set, "stored_tensors", smallest)


def test_the_seed_and_nothing_else_decides_the_bytes(tmp_path, monkeypatch):
    small(monkeypatch)
    other = "shape_slat_decoder"
    write_random_set(tmp_path / "a", [DECODER])
    write_random_set(tmp_path / "b", [other, DECODER])
    write_random_set(tmp_path / "c", [DECODER], seed=1)
    a, b, c = ((tmp_path / name / WEIGHTS).read_bytes() for name in "abc")
    assert a == b != c
    assert not list(tmp_path.rglob("*.part"))


def test_every_network_gets_its_files_where_the_configurations_look(tmp_path, monkeypatch, capsys):
    small(monkeypatch)
    assert main([str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 12
    config = load_model_set(tmp_path).config
    assert len(config.kinds) == 4 and len(config.texturing_kinds) == 3
    for path in config.models.values():
        assert (tmp_path / f"{path}.json").exists() and (tmp_path / f"{path}.safetensors").exists()
    encoder = tmp_path / config.image_encoder.path
    assert (encoder / "config.json").exists() and (encoder / "model.safetensors").exists()


def test_a_folder_that_holds_something_is_refused(tmp_path, capsys):
    (tmp_path / "pipeline.json").write_text("{}")
    assert main([str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "pipeline.json").read_text() == "{}"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(random_set.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10**9))
    with pytest.raises(EspalierError, match=r"need 2\.6 GB") as caught:
        write_random_set(tmp_path / "set", ["shape_slat_flow_model_512"])
    assert caught.value.code == "no_space"
    assert not list((tmp_path / "set").iterdir())
