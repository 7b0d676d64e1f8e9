# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights and configurations of any origin are read or refused with a sentence; nothing else is touched."""

import json
import os

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.weights.checkpoint import load_checkpoint
from espalier.engine.weights.configuration import parse_configuration, read_configuration
from espalier.engine.weights.model_set import load_model_set
from espalier.engine.weights.safetensors_file import SafetensorsFile
from espalier.tests.conftest import ROOT
from espalier.tests.fuzz.guard import watched
from espalier.tests.fuzz.mutations import DEEP, PATHS, altered, damaged, fuzzed, written
from hypothesis import strategies as st
from safetensors.torch import save

SMALL = {"a.weight": torch.arange(12.0).view(3, 4), "b": torch.zeros(5, dtype=torch.int8), "b.scale": torch.ones(5, 1)}
WEIGHTS = [save(SMALL), save({"x": torch.ones(2, 2, dtype=torch.bfloat16), "empty": torch.zeros(0, 3)}), b"", b"{}"]

NETWORKS = {
    "SparseStructureDecoder": {
        "out_channels": 1,
        "latent_channels": 2,
        "num_res_blocks": 1,
        "num_res_blocks_middle": 1,
        "channels": [8, 4],
    },
    "SLatFlowModel": {
        "resolution": 4,
        "in_channels": 2,
        "out_channels": 2,
        "model_channels": 8,
        "cond_channels": 4,
        "num_blocks": 1,
        "num_heads": 2,
        "mlp_ratio": 2,
        "dtype": "float32",
    },
    "FlexiDualGridVaeDecoder": {
        "model_channels": [8, 8],
        "latent_channels": 2,
        "num_blocks": [1, 0],
        "use_fp16": False,
    },
    "SparseUnetVaeEncoder": {"in_channels": 6, "model_channels": [8, 8], "latent_channels": 2, "num_blocks": [0, 1]},
    "DINOv3ViT": {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2},
}
RELEASED = json.loads((ROOT / "engine" / "weights" / "released" / "pipeline.json").read_text(encoding="utf-8"))
STARTER = json.loads((ROOT / "engine" / "starter" / "weights" / "pipeline.json").read_text(encoding="utf-8"))
CODE = (("auto_map", {"AutoModel": "code.Model"}), ("trust_remote_code", True), ("custom_pipelines", {"x": 1}))
EXTRA = (*CODE, *(("models", {"sparse_structure_decoder": path}) for path in PATHS), ("args", {}), ("deep", DEEP))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("set")


@fuzzed(400, data=damaged(*WEIGHTS))
def test_damaged_safetensors_files_are_read_or_refused(folder, data):
    path = folder / "w.safetensors"
    path.write_bytes(data)
    with watched(folder, EspalierError):
        file = SafetensorsFile(path)
        for name in file.entries:
            assert file.read(name).nbytes <= len(data)


@fuzzed(200, header=altered(json.loads(WEIGHTS[0][8 : 8 + int.from_bytes(WEIGHTS[0][:8], "little")])))
def test_safetensors_files_with_any_table_of_contents_are_read_or_refused(folder, header):
    path = folder / "h.safetensors"
    table = written(header)
    path.write_bytes(len(table).to_bytes(8, "little") + table + bytes(73))
    with watched(folder, EspalierError):
        file = SafetensorsFile(path)
        for name in file.entries:
            file.read(name)


@fuzzed(300, name=st.sampled_from(sorted(NETWORKS)), data=st.data())
def test_networks_of_any_description_are_built_or_refused(folder, name, data):
    sidecar = data.draw(altered({"name": name, "args": NETWORKS[name]}, EXTRA))
    (folder / "net.json").write_bytes(written(sidecar))
    (folder / "net.safetensors").write_bytes(WEIGHTS[0])
    with watched(folder, EspalierError):
        load_checkpoint(folder / "net", torch.device("cpu"))


@fuzzed(500, document=st.sampled_from([RELEASED, STARTER]).flatmap(lambda original: altered(original, EXTRA)))
def test_configurations_are_read_or_refused_and_stay_in_their_folder(folder, document):
    (folder / "pipeline.json").write_bytes(written(document))
    with watched(folder, EspalierError):
        config = read_configuration(folder)
        for stem in (*config.models.values(), config.image_encoder.path):
            assert os.path.normpath(folder / stem).startswith(f"{folder}{os.sep}"), stem


@fuzzed(200, data=damaged(json.dumps(STARTER).encode(), json.dumps(RELEASED).encode(), structured=4096))
def test_damaged_configuration_files_are_read_or_refused(folder, data):
    (folder / "pipeline.json").write_bytes(data)
    with watched(folder, EspalierError):
        read_configuration(folder)


@fuzzed(60, path=st.sampled_from(PATHS) | st.text(max_size=12))
def test_a_set_that_names_files_elsewhere_opens_none_of_them(folder, path):
    document = json.loads(json.dumps(STARTER))
    document["args"]["models"] = dict.fromkeys(document["args"]["models"], path)
    (folder / "pipeline.json").write_bytes(written(document))
    with watched(folder, EspalierError):
        models = load_model_set(folder)
        for name in models.config.models:
            models.model(name)


@pytest.mark.parametrize("place", ["document", "args", "models", "sparse_structure_sampler"])
@pytest.mark.parametrize("entry", CODE, ids=[name for name, _ in CODE])
def test_a_configuration_that_asks_for_code_is_refused_wherever_it_asks(folder, entry, place):
    document = json.loads(json.dumps(RELEASED))
    target = {"document": document, "args": document["args"]}.get(place) or document["args"][place]
    target.update([entry])
    (folder / "pipeline.json").write_bytes(written(document))
    with pytest.raises(EspalierError, match="asks for program code"):
        read_configuration(folder)


def test_an_unknown_kind_of_network_and_of_pipeline_is_refused(folder):
    (folder / "net.json").write_bytes(written({"name": "os.system", "args": {}}))
    (folder / "net.safetensors").write_bytes(WEIGHTS[0])
    with pytest.raises(EspalierError, match=r"os\.system"):
        load_checkpoint(folder / "net", torch.device("cpu"))
    with pytest.raises(EspalierError) as caught:
        parse_configuration({**RELEASED, "name": "RemotePipeline"})
    assert caught.value.code == "bad_config" and "RemotePipeline" in caught.value.hint
