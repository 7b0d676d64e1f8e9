# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations are read as released, our own with their extra entries, and anything else is refused by name."""

import hashlib
import json
from pathlib import Path

import pytest
from espalier.engine.errors import EspalierError
from espalier.engine.weights.checkpoint import read_json
from espalier.engine.weights.configuration import parse_configuration, read_configuration
from espalier.tests.tiny_set import pipeline
from hypothesis import given, settings
from hypothesis import strategies as st

RELEASED = Path(__file__).parents[3] / "engine" / "weights" / "released"
IMAGE_TO_3D, TEXTURING = "pipeline.json", "texturing_pipeline.json"


def released(name=IMAGE_TO_3D):
    return json.loads((RELEASED / name).read_text(encoding="utf-8"))


def test_released_configuration_gives_the_four_kinds():
    config = parse_configuration(released())
    assert list(config.kinds) == ["512", "1024", "1024_cascade", "1536_cascade"]
    assert config.default_kind == "1024_cascade"
    kind = config.kind(None)
    assert (kind.structure_cond, kind.cond, kind.structure_grid, kind.resolution) == (512, 1024, 32, 1024)
    assert kind.low.shape == "shape_slat_flow_model_512"
    assert config.kinds["1024"].structure_grid == 64
    assert config.texturing_kinds == {}


def test_the_released_file_is_the_published_one():
    digest = hashlib.sha256((RELEASED / IMAGE_TO_3D).read_bytes()).hexdigest()
    assert digest == "222c359ab1ed9bc6735a640a34f95d47f8681b9bc4aaa101bfb80274676253c6"


def test_released_values_are_read_as_they_are():
    config = parse_configuration(released())
    assert config.models["sparse_structure_decoder"] == ("microsoft/TRELLIS-image-large/ckpts/ss_dec_conv3d_16l8_fp16")
    expected = {
        "sparse_structure_sampler": (12, 7.5, 0.7, (0.6, 1.0), 5.0),
        "shape_slat_sampler": (12, 7.5, 0.5, (0.6, 1.0), 3.0),
        "tex_slat_sampler": (12, 1.0, 0.0, (0.6, 0.9), 3.0),
    }
    for name, values in expected.items():
        # The published sampler: neither of our approximations.
        assert tuple(vars(config.samplers[name].params).values()) == (*values, 1, 1)
        assert config.samplers[name].sigma_min == 1e-5
    shape, texture = (config.normalisations[f"{name}_slat_normalization"] for name in ("shape", "tex"))
    assert shape.mean[[0, -1]].tolist() == pytest.approx([0.781296, 1.578665])
    assert texture.std[[0, -1]].tolist() == pytest.approx([2.665652, 2.775190])
    assert len(shape.mean) == len(shape.std) == len(texture.mean) == len(texture.std) == 32
    assert config.image_encoder.path == "facebook/dinov3-vitl16-pretrain-lvd1689m"


def test_texturing_configuration_gives_three_resolutions():
    config = parse_configuration(released(TEXTURING), TEXTURING)
    assert config.kinds == {} and config.default_kind == ""
    kinds = {name: (kind.cond, kind.texture, kind.resolution) for name, kind in config.texturing_kinds.items()}
    assert kinds == {
        "512": (512, "tex_slat_flow_model_512", 512),
        "1024": (1024, "tex_slat_flow_model_1024", 1024),
        "1536": (1024, "tex_slat_flow_model_1024", 1536),
    }
    assert config.texturing_kind(None) == config.texturing_kinds["1024"]
    assert config.models["shape_slat_encoder"] == "ckpts/shape_enc_next_dc_f16c32_fp16"
    assert config.samplers["tex_slat_sampler"].params.guidance_interval == (0.6, 0.9)
    assert set(config.normalisations) == {"shape_slat_normalization", "tex_slat_normalization"}
    with pytest.raises(EspalierError, match="only texture"):
        config.kind("512")


def write(folder, **documents):
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def test_a_folder_with_both_files_does_both(tmp_path):
    main, other = released(), released(TEXTURING)
    other["args"]["tex_slat_sampler"]["params"]["steps"] = 99
    config = read_configuration(write(tmp_path, pipeline=main, texturing_pipeline=other))
    assert len(config.kinds) == 4 and len(config.texturing_kinds) == 3
    assert len(config.models) == 9
    assert (config.default_kind, config.default_texturing_kind) == ("1024_cascade", "1024")
    assert config.samplers["tex_slat_sampler"].params.steps == 12


def test_a_folder_with_the_texturing_file_alone_textures(tmp_path):
    config = read_configuration(write(tmp_path, texturing_pipeline=released(TEXTURING)))
    assert config.kinds == {} and len(config.texturing_kinds) == 3


def clone(folder):
    """A plain clone of the released repository, with the right files and nothing in them."""
    folder.mkdir()
    for name, document in (("pipeline", released()), ("texturing_pipeline", released(TEXTURING))):
        for stem in document["args"]["models"].values():
            for suffix in (".json", ".safetensors") if not stem.startswith("microsoft") else ():
                (folder / stem).parent.mkdir(exist_ok=True)
                (folder / f"{stem}{suffix}").write_text("{}")
        if name == "pipeline":
            write(folder, pipeline=document)
    return folder


def test_a_clone_without_the_texturing_file_textures_where_it_has_the_networks(tmp_path):
    folder = clone(tmp_path / "TRELLIS.2-4B")
    config = read_configuration(folder)
    assert len(config.kinds) == 4 and list(config.texturing_kinds) == ["512", "1024", "1536"]
    assert config.default_texturing_kind == "1024" and "shape_slat_encoder" in config.models
    (folder / "ckpts" / "shape_enc_next_dc_f16c32_fp16.safetensors").unlink()
    config = read_configuration(folder)
    assert len(config.kinds) == 4 and config.texturing_kinds == {} and "shape_slat_encoder" not in config.models


@pytest.mark.parametrize(
    "network, argument, latent",
    [
        ("shape_slat_decoder", "latent_channels", "shape_slat_normalization"),
        ("shape_slat_flow_model_512", "out_channels", "shape_slat_normalization"),
        ("tex_slat_decoder", "latent_channels", "tex_slat_normalization"),
        ("tex_slat_flow_model_1024", "out_channels", "tex_slat_normalization"),
    ],
)
def test_normalisations_of_another_length_than_the_latents_are_refused(tmp_path, network, argument, latent):
    folder = clone(tmp_path / "set")
    sidecar = folder / f"{released()['args']['models'][network]}.json"
    sidecar.write_text(json.dumps({"args": {argument: 32}}))
    assert read_configuration(folder).kinds
    sidecar.write_text(json.dumps({"args": {argument: 31}}))
    sentence = (
        rf"“pipeline\.json” cannot be used: {latent} has 32 values, and the latents of {network} have 31 channels"
    )
    with pytest.raises(EspalierError, match=sentence) as caught:
        read_configuration(folder)
    assert caught.value.code == "bad_config"


def test_our_own_sets_texture_where_they_have_an_encoder():
    document = pipeline(2)
    document["args"]["models"].pop("shape_slat_encoder")
    without = parse_configuration(document)
    assert without.texturing_kinds == {}
    with pytest.raises(EspalierError, match="cannot texture"):
        without.texturing_kind(None)
    kind = parse_configuration(pipeline(2)).texturing_kind(None)
    assert (kind.cond, kind.texture, kind.resolution) == (64, "tex_slat_flow_model_32", 32)


def test_kinds_follow_the_networks_that_are_there():
    document = released()
    del document["args"]["models"]["tex_slat_flow_model_1024"]
    document["args"]["default_pipeline_type"] = "512"
    assert list(parse_configuration(document).kinds) == ["512"]
    document = released(TEXTURING)
    del document["args"]["models"]["tex_slat_flow_model_1024"]
    config = parse_configuration(document)
    assert (list(config.texturing_kinds), config.default_texturing_kind) == (["512"], "512")


def test_an_unknown_quality_is_refused_with_the_choices():
    config = parse_configuration(released()).joined(parse_configuration(released(TEXTURING)))
    for choose in (config.kind, config.texturing_kind):
        with pytest.raises(EspalierError, match=r"no quality “4096”\. Choose one of: 512, 1024, 1") as caught:
            choose("4096")
        assert caught.value.code == "bad_request"


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
        lambda args: args["models"].pop("shape_slat_decoder"),
        lambda args: args.update(sparse_structure_sampler={"name": "Unknown", "params": {}}),
        lambda args: args["shape_slat_sampler"].update(params={"temperature": 1}),
        lambda args: args["shape_slat_sampler"].update(params={"steps": 0}),
        lambda args: args["shape_slat_sampler"].update(params={"steps": "many"}),
        lambda args: args["shape_slat_sampler"].update(params={"guidance_interval": [1]}),
        lambda args: args.update(tex_slat_normalization={"mean": [0], "std": [0]}),
        lambda args: args.update(tex_slat_normalization={"mean": ["a"], "std": [1]}),
        lambda args: args.update(tex_slat_normalization={"mean": [0], "std": [float("inf")]}),
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
    assert "“pipeline.json”" in caught.value.sentence
    assert caught.value.hint


@pytest.mark.parametrize("name", [None, "", 3, "FluxPipeline", ["Trellis2ImageTo3DPipeline"]])
def test_other_pipelines_are_refused(name):
    with pytest.raises(EspalierError, match=r"“texturing_pipeline\.json”") as caught:
        parse_configuration({**released(TEXTURING), "name": name}, TEXTURING)
    assert "pipeline" in caught.value.hint and "not known" in caught.value.hint


@pytest.mark.parametrize(
    "request_code",
    [
        {"auto_map": {"AutoModel": "birefnet.BiRefNet"}},
        {"args": {"rembg_model": {"args": {"trust_remote_code": True}}}},
        {"list": [{"custom_pipelines": {"x": 1}}]},
    ],
)
def test_configurations_that_ask_for_code_are_refused(tmp_path, request_code):
    path = write(tmp_path, pipeline={**pipeline(2), **request_code}) / IMAGE_TO_3D
    with pytest.raises(EspalierError, match=r"“pipeline\.json” asks for program code") as caught:
        read_configuration(tmp_path)
    assert caught.value.code == "bad_config"
    path.write_text(json.dumps({**pipeline(2), "trust_remote_code": False}))
    assert read_configuration(tmp_path).default_kind == "32"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe\x00", b'{"a":' * 5000, b"\x89PNG"])
def test_unreadable_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(EspalierError, match=r"“config\.json” cannot be read") as caught:
        read_json(path)
    assert caught.value.code == "bad_config"


def test_a_description_of_more_than_64_mib_is_not_read(tmp_path):
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(EspalierError, match=r"“config\.json” is larger than 64 MiB") as caught:
        read_json(tmp_path / "config.json")
    assert caught.value.code == "bad_config"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_change_of_a_configuration_is_used_or_refused(data):
    document = data.draw(st.sampled_from([pipeline(2), released(TEXTURING)]))
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
