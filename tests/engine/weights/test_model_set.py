# SPDX-License-Identifier: GPL-3.0-or-later
"""Model sets load strictly, from released and from our own configurations, plain or quantised."""

import copy
import json
from pathlib import Path

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.weights import precision
from espalier.engine.weights.checkpoint import load_checkpoint
from espalier.engine.weights.configuration import parse_configuration
from espalier.engine.weights.model_set import load_model_set
from espalier.engine.weights.precision import run_dtype
from espalier.tests.tiny_set import NETWORKS, pipeline, write_tiny_set
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

CPU = torch.device("cpu")
RELEASED = {
    "args": {
        "models": {
            "sparse_structure_decoder": "other/repository/ckpts/ss_dec",
            **{
                name: f"ckpts/{name}"
                for name in (
                    "sparse_structure_flow_model",
                    "shape_slat_decoder",
                    "shape_slat_flow_model_512",
                    "shape_slat_flow_model_1024",
                    "tex_slat_decoder",
                    "tex_slat_flow_model_512",
                    "tex_slat_flow_model_1024",
                )
            },
        },
        "sparse_structure_sampler": {
            "name": "FlowEulerGuidanceIntervalSampler",
            "args": {"sigma_min": 1e-5},
            "params": {
                "steps": 12,
                "guidance_strength": 7.5,
                "guidance_rescale": 0.7,
                "guidance_interval": [0.6, 1.0],
                "rescale_t": 5.0,
            },
        },
        "shape_slat_normalization": {"mean": [0.0] * 32, "std": [1.0] * 32},
        "image_cond_model": {"name": "DinoV3FeatureExtractor", "args": {"model_name": "owner/repository"}},
        "rembg_model": {"name": "BiRefNet", "args": {"model_name": "never/required"}},
        "default_pipeline_type": "1024_cascade",
    }
}


@pytest.fixture
def tiny_set(tmp_path):
    return write_tiny_set(tmp_path / "set")


def test_released_configuration_gives_the_four_kinds():
    config = parse_configuration(RELEASED)
    assert list(config.kinds) == ["512", "1024", "1024_cascade", "1536_cascade"]
    kind = config.kind(None)
    assert (kind.structure_cond, kind.cond, kind.structure_grid, kind.resolution) == (512, 1024, 32, 1024)
    assert kind.low.shape == "shape_slat_flow_model_512"
    assert config.kinds["1024"].structure_grid == 64
    params = config.samplers["sparse_structure_sampler"].params
    assert (params.steps, params.guidance_interval, params.rescale_t) == (12, (0.6, 1.0), 5.0)


def test_released_file_is_read_as_it_is():
    path = Path(__file__).parents[3].parent / "shared" / "spec" / "pipeline.json"
    if not path.exists():
        pytest.skip("the released pipeline.json is not beside this checkout")
    config = parse_configuration(json.loads(path.read_text()))
    assert config.default_kind == "1024_cascade"
    assert config.normalisations["tex_slat_normalization"].std[-1] == pytest.approx(2.775190)


def test_kinds_follow_the_networks_that_are_there():
    document = copy.deepcopy(RELEASED)
    del document["args"]["models"]["tex_slat_flow_model_1024"]
    document["args"]["default_pipeline_type"] = "512"
    assert list(parse_configuration(document).kinds) == ["512"]


def broken(change):
    document = pipeline(2)
    change(document["args"])
    return document


@pytest.mark.parametrize(
    "change",
    [
        lambda args: args.clear(),
        lambda args: args.update(models=[]),
        lambda args: args["models"].update(x=3),
        lambda args: args["models"].update(x="/etc/passwd"),
        lambda args: args["models"].update(x="../outside"),
        lambda args: args["models"].update(x="C:\\weights"),
        lambda args: args["models"].update(x=""),
        lambda args: args.update(sparse_structure_sampler={"name": "Unknown", "params": {}}),
        lambda args: args["shape_slat_sampler"].update(params={"temperature": 1}),
        lambda args: args["shape_slat_sampler"].update(params={"steps": 0}),
        lambda args: args["shape_slat_sampler"].update(params={"steps": "many"}),
        lambda args: args["shape_slat_sampler"].update(params={"guidance_interval": [1]}),
        lambda args: args.update(tex_slat_normalization={"mean": [0], "std": [0]}),
        lambda args: args.update(tex_slat_normalization={"mean": ["a"], "std": [1]}),
        lambda args: args.update(image_cond_model={"name": "os.system", "args": {}}),
        lambda args: args.update(pipeline_types={}),
        lambda args: args["pipeline_types"]["32"].update(shape="absent"),
        lambda args: args["pipeline_types"]["32"].update(resolution=-4),
        lambda args: args["pipeline_types"]["32"].pop("cond"),
        lambda args: args.update(pipeline_types=[1]),
        lambda args: args.update(default_pipeline_type="absent"),
    ],
)
def test_unusable_configurations_are_refused(change):
    with pytest.raises(EspalierError) as caught:
        parse_configuration(broken(change))
    assert caught.value.code == "bad_config"
    assert "pipeline.json" in caught.value.sentence


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_any_change_of_a_configuration_is_used_or_refused(data):
    document = pipeline(2)
    place = document
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inside = place[key]
        if not (isinstance(inside, dict | list) and inside) or data.draw(st.booleans()):
            break
        place = inside
    place[key] = data.draw(JSON)
    try:
        parse_configuration(document)
    except EspalierError as error:
        assert error.code == "bad_config"


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
