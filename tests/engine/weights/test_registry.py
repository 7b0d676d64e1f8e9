# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry agrees with what was published, and finds what lies on this computer."""

import gzip
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RELEASED = ROOT / "tests" / "data" / "released"


@pytest.fixture(scope="module")
def checkpoints():
    return json.loads(gzip.decompress((RELEASED / "checkpoints.json.gz").read_bytes()))


def test_every_checksum_and_size_is_the_published_one(checkpoints):
    from espalier.engine.weights.registry import DINOV3_SET, TRELLIS2
    from espalier.engine.weights.released import CONFIGURATIONS

    known = 0
    for part in (*TRELLIS2.parts, *DINOV3_SET.parts):
        for file in part.files:
            listed = checkpoints.get(f"{part.repository}/{file.source.removesuffix('.safetensors')}")
            if listed is not None:
                assert (file.size, file.sha256) == (listed["safetensors_bytes"], listed["safetensors_sha256"])
                known += 1
    assert known == 10
    content = (CONFIGURATIONS / "pipeline.json").read_bytes()
    file = TRELLIS2.files[0]
    assert (file.path, file.size, file.sha256) == ("pipeline.json", len(content), hashlib.sha256(content).hexdigest())


def test_every_set_says_how_much_there_is_to_fetch_and_foreign_repositories_nothing():
    from espalier.engine.weights.registry import BIREFNET, DINOV3_SET, SETS

    assert all(entry.size > 100_000_000 for entry in SETS)
    assert DINOV3_SET.from_repository("somebody/encoder").size == 0
    # What is only about right is compared with no file.
    assert [file.size for file in BIREFNET.files] == [0]


def test_a_downloaded_set_has_every_file_that_its_configurations_name():
    from espalier.engine.weights.registry import TRELLIS2
    from espalier.engine.weights.released import CONFIGURATIONS, DINOV3_FOLDER

    paths = {file.path for file in TRELLIS2.files}
    for name in ("pipeline.json", "texturing_pipeline.json"):
        args = json.loads((CONFIGURATIONS / name).read_text())["args"]
        for stem in args["models"].values():
            assert {f"{stem}.json", f"{stem}.safetensors"} <= paths
        assert args["image_cond_model"]["args"]["model_name"] == DINOV3_FOLDER


def test_the_expected_image_encoder_is_the_published_one(checkpoints):
    from espalier.engine.models.dinov3 import DINOv3Config
    from espalier.engine.weights.registry import DINOV3_SET

    published = checkpoints["facebook/dinov3-vitl16-pretrain-lvd1689m/model"]["args"]
    assert all(published[name] == value for name, value in DINOV3_SET.encoder.items())
    assert replace(DINOv3Config.from_published(dict(DINOV3_SET.encoder)), image_size=512) == DINOv3Config()


def test_sets_are_found_in_any_case_and_only_when_whole(tmp_path):
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights import registry

    assert registry.published("trellis2-4b") is registry.TRELLIS2
    assert registry.published("DINOV3") is registry.DINOV3_SET
    assert registry.find("starter", tmp_path) == registry.STARTER_FOLDER
    assert (registry.STARTER_FOLDER / "pipeline.json").is_file()
    for name in ("../starter", "", "TRELLIS"):
        with pytest.raises(EspalierError, match="Choose one of"):
            registry.find(name, tmp_path)
    file = tmp_path / "BiRefNet" / "onnx" / "model.onnx"
    assert registry.find("birefnet", tmp_path) is None
    file.parent.mkdir(parents=True)
    file.write_bytes(b"onnx")
    assert registry.find("birefnet", tmp_path) == file
    (tmp_path / "DINOv3").mkdir()
    (tmp_path / "DINOv3" / "model.safetensors").write_bytes(b"x")
    assert registry.find("DINOv3", tmp_path) is None
    (tmp_path / "DINOv3" / "config.json").write_text("{}")
    assert registry.find("DINOv3", tmp_path) == tmp_path / "DINOv3"


def test_the_image_encoder_is_found_in_the_set_beside_it_and_in_the_models_folder(tmp_path):
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights.registry import image_encoder_folder
    from espalier.engine.weights.released import DINOV3_FOLDER as DINOV3

    own, elsewhere = tmp_path / "models" / "TRELLIS.2-4B", tmp_path / "disk" / "trellis"
    places = [tmp_path / "models" / "DINOv3", tmp_path / "disk" / "dinov3-vitl16-pretrain-lvd1689m", own / DINOV3]
    with pytest.raises(EspalierError, match="models download DINOv3") as problem:
        image_encoder_folder(own, DINOV3)
    assert problem.value.code == "missing_model" and str(places[0]) in problem.value.hint
    for place in places:
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}")
        (place / "model.safetensors").write_bytes(b"x")
    assert image_encoder_folder(own, DINOV3) == own / DINOV3
    assert image_encoder_folder(elsewhere, DINOV3) == places[1]
    (places[1] / "config.json").unlink()
    assert image_encoder_folder(elsewhere, DINOV3, tmp_path / "models") == places[0]


def test_the_structure_decoder_is_found_in_the_set_beside_it_and_in_the_models_folder(tmp_path):
    from espalier.engine.errors import EspalierError
    from espalier.engine.weights.registry import checkpoint_stem
    from espalier.engine.weights.released import NETWORKS

    path = NETWORKS["sparse_structure_decoder"].path
    rest = path.removeprefix("microsoft/TRELLIS-image-large/")
    clone, models = tmp_path / "disk" / "TRELLIS.2-4B", tmp_path / "models"
    with pytest.raises(EspalierError, match=r"“ss_dec_conv3d_16l8_fp16” of microsoft/TRELLIS-") as problem:
        checkpoint_stem(clone, path, models)
    assert problem.value.code == "missing_model" and "models download TRELLIS.2-4B" in problem.value.sentence
    assert str((clone / path).parent) in problem.value.sentence
    places = [
        models / "TRELLIS.2-4B" / path,
        models / path,
        models / "TRELLIS-image-large" / rest,
        tmp_path / "disk" / path,
        tmp_path / "disk" / "TRELLIS-image-large" / rest,
        clone / path,
    ]
    for place in places:  # each goes before those above it
        place.parent.mkdir(parents=True)
        place.with_name(f"{place.name}.json").write_text("{}")
        assert checkpoint_stem(clone, path, models) == place
    assert checkpoint_stem(clone, "ckpts/other") == clone / "ckpts" / "other"


def test_listing_models_needs_neither_torch_nor_the_network(tmp_path):
    script = (
        "import runpy, sys; sys.argv = ['engine', 'models', '--models', sys.argv[1], 'list']\n"
        "try:\n    runpy.run_path(sys.path_root, run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert 'torch' not in sys.modules and 'huggingface_hub' not in sys.modules\n"
    ).replace("sys.path_root", repr(str(ROOT / "engine" / "__main__.py")))
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["set"]: event["state"] for event in events} == {
        "starter": "ready",
        "TRELLIS.2-4B": "missing",
        "DINOv3": "missing",
        "BiRefNet": "missing",
    }
    assert not list(tmp_path.iterdir())
