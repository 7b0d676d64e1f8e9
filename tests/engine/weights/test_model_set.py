# SPDX-License-Identifier: GPL-3.0-or-later
"""Model sets load strictly, from released and from our own configurations, plain or quantised."""

import json

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.sparse import SparseTensor
from espalier.engine.weights import precision
from espalier.engine.weights.checkpoint import load_checkpoint
from espalier.engine.weights.model_set import load_model_set
from espalier.engine.weights.precision import run_dtype
from espalier.tests.tiny_set import NETWORKS, write_tiny_set
from safetensors.torch import load_file, save_file

CPU = torch.device("cpu")


@pytest.fixture
def tiny_set(tmp_path):
    return write_tiny_set(tmp_path / "set")


TORSO = {
    "float16": {"conv", "conv1", "conv2", "0", "2", "to_subdiv"},
    "bfloat16": {"to_qkv", "to_q", "to_kv", "to_out", "0", "2"},
}
"""The layers whose weights stay in half precision (spec/models.md section 1.3)."""


def cells(channels):
    torch.manual_seed(3)
    grid = torch.cartesian_prod(torch.arange(1), *[torch.arange(2)] * 3).int()
    return SparseTensor(torch.randn(8, channels), grid)


INPUTS = {
    "float16": lambda: (cells(4),),
    "bfloat16": lambda: (cells(4), torch.tensor([500.0]), torch.randn(1, 5, 32)),
}


def outputs(model, inputs):
    with torch.inference_mode():
        return model.raw(*inputs)[0].feats if hasattr(model, "raw") else model(*inputs).feats


def test_a_network_of_another_repository_is_taken_from_beside_the_set(tiny_set):
    config = json.loads((tiny_set / "pipeline.json").read_text())
    config["args"]["models"]["sparse_structure_decoder"] = "microsoft/TRELLIS-image-large/ckpts/decoder"
    (tiny_set / "pipeline.json").write_text(json.dumps(config))
    with pytest.raises(EspalierError, match=r"“decoder” of microsoft/TRELLIS-image-large.*models download"):
        load_model_set(tiny_set).size("sparse_structure_decoder")
    beside = tiny_set.parent / "TRELLIS-image-large" / "ckpts"
    beside.mkdir(parents=True)
    for suffix in (".json", ".safetensors"):
        (tiny_set / "ckpts" / f"sparse_structure_decoder{suffix}").rename(beside / f"decoder{suffix}")
    model = load_model_set(tiny_set, precision="float32").model("sparse_structure_decoder")
    stored = load_file(beside / "decoder.safetensors")
    assert all(torch.equal(model.state_dict()[key], value) for key, value in stored.items())


def test_every_network_of_a_set_loads_frozen_and_once(tiny_set):
    models = load_model_set(tiny_set, precision="float32")
    for name in NETWORKS:
        model = models.image_encoder() if name == "image_encoder" else models.model(name)
        assert not model.training
        assert not any(parameter.requires_grad for parameter in model.parameters())
        stored = load_file(tiny_set / "ckpts" / f"{name}.safetensors")
        assert all(torch.equal(model.state_dict()[key], value) for key, value in stored.items())
    assert models.model("shape_slat_decoder") is models.model("shape_slat_decoder")
    before = models.model("shape_slat_decoder")
    models.release()
    assert models.model("shape_slat_decoder") is not before


def test_loading_leaves_the_random_stream_alone(tiny_set):
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    load_checkpoint(tiny_set / "ckpts" / "shape_slat_decoder", CPU)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("made, kind", [("float16", "shape_slat_decoder"), ("bfloat16", "shape_slat_flow_model_32")])
def test_half_precision_weights_stay_in_the_mapped_file(tiny_set, made, kind):
    path = tiny_set / "ckpts" / f"{kind}.safetensors"
    half = {"float16": torch.float16, "bfloat16": torch.bfloat16}[made]
    stored = {name: tensor.to(half) for name, tensor in load_file(path).items()}
    save_file(stored, path)
    sidecar = path.with_suffix(".json")
    document = json.loads(sidecar.read_text())
    document["args"].update({"use_fp16": True} if made == "float16" else {"dtype": "bfloat16"})
    wide = load_checkpoint(path.with_suffix(""), CPU, "float32")
    sidecar.write_text(json.dumps(document))
    model = load_checkpoint(path.with_suffix(""), CPU, "float32")
    assert model.dtype == torch.float32
    dtypes = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    assert {name.split(".")[-2] for name, dtype in dtypes.items() if dtype == half} == TORSO[made]
    assert all(torch.equal(tensor.float(), wide.state_dict()[name]) for name, tensor in model.state_dict().items())
    inputs = INPUTS[made]()
    torch.testing.assert_close(outputs(model, inputs), outputs(wide, inputs), rtol=0, atol=0)


@pytest.mark.parametrize("fast", [True, False])
def test_precision_follows_device_and_role(monkeypatch, fast):
    monkeypatch.setattr(precision, "cpu_has_fast_bfloat16", lambda: fast)
    flow, decoder, cuda = {"dtype": "bfloat16"}, {"use_fp16": True}, torch.device("cuda")
    assert run_dtype("SLatFlowModel", flow, CPU, "auto") == (torch.bfloat16 if fast else torch.float32)
    assert run_dtype("SLatFlowModel", flow, CPU, "float32") == torch.float32
    assert run_dtype("SLatFlowModel", flow, cuda, "auto") == torch.bfloat16
    assert run_dtype("FlexiDualGridVaeDecoder", decoder, CPU, "auto") == torch.float32
    assert run_dtype("FlexiDualGridVaeDecoder", decoder, cuda, "auto") == torch.float16


def test_half_precision_files_fill_float32_networks(tiny_set):
    path = tiny_set / "ckpts" / "shape_slat_decoder.safetensors"
    stored = {name: tensor.half() for name, tensor in load_file(path).items()}
    save_file(stored, path)
    model = load_checkpoint(tiny_set / "ckpts" / "shape_slat_decoder", CPU)
    assert all(torch.equal(model.state_dict()[name], tensor.float()) for name, tensor in stored.items())


def test_quantised_weights_come_back_scaled(tiny_set):
    path = tiny_set / "ckpts" / "shape_slat_decoder.safetensors"
    stored = load_file(path)
    name = "blocks.0.0.conv1.weight"
    scale = (stored[name].flatten(1).abs().amax(1) / 127).half().view(-1, 1, 1, 1, 1)
    original = stored[name]
    stored[name] = (original / scale.float()).round().to(torch.int8)
    save_file({**stored, f"{name}.scale": scale}, path)
    model = load_checkpoint(tiny_set / "ckpts" / "shape_slat_decoder", CPU)
    loaded = model.state_dict()[name]
    assert torch.equal(loaded, stored[name].float() * scale.float())
    assert ((loaded - original).abs() <= scale.float() * 0.51).all()
    save_file(stored, path)
    with pytest.raises(EspalierError, match="another network"):
        load_checkpoint(tiny_set / "ckpts" / "shape_slat_decoder", CPU)
    save_file({**stored, f"{name}.scale": scale[:1]}, path)
    with pytest.raises(EspalierError, match="quantised"):
        load_checkpoint(tiny_set / "ckpts" / "shape_slat_decoder", CPU)


def drop(weights):
    weights.pop("output_layer.bias")


def add(weights):
    weights["foreign.weight"] = torch.zeros(2)


def reshape(weights):
    weights["output_layer.bias"] = torch.zeros(9)


def integers(weights):
    weights["output_layer.bias"] = torch.zeros(7, dtype=torch.int64)


def not_numbers(weights):
    weights["output_layer.bias"][0] = float("nan")


@pytest.mark.parametrize(
    "change, match",
    [
        (drop, "another network"),
        (add, "another network"),
        (reshape, "wrong size"),
        (integers, "not supported"),
        (not_numbers, "no numbers"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(tiny_set, change, match):
    path = tiny_set / "ckpts" / "shape_slat_decoder.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    with pytest.raises(EspalierError, match=match) as caught:
        load_checkpoint(tiny_set / "ckpts" / "shape_slat_decoder", CPU)
    assert caught.value.code == "bad_weights"
    assert "“shape_slat_decoder.safetensors”" in caught.value.sentence


@pytest.mark.parametrize(
    "content, match",
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"name": 3}', "does not describe"),
        ('{"name": "os.system", "args": {}}', "does not know"),
        ('{"name": "SLatFlowModel", "args": {"colour": 1}}', "does not fit"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(tiny_set, content, match):
    (tiny_set / "ckpts" / "shape_slat_decoder.json").write_text(content)
    with pytest.raises(EspalierError, match=match) as caught:
        load_checkpoint(tiny_set / "ckpts" / "shape_slat_decoder", CPU)
    assert caught.value.code == "bad_config"


def test_missing_files_are_named(tiny_set, tmp_path):
    with pytest.raises(EspalierError, match=r"“pipeline.json” is missing"):
        load_model_set(tmp_path / "nowhere")
    (tiny_set / "ckpts" / "shape_slat_decoder.safetensors").unlink()
    with pytest.raises(EspalierError, match=r"“shape_slat_decoder.safetensors” is missing"):
        load_model_set(tiny_set).model("shape_slat_decoder")
