# SPDX-License-Identifier: GPL-3.0-or-later
"""The subject is found as the setting says: by alpha, by BiRefNet, by the plain background, or not at all."""

import importlib
import itertools
import sys

import numpy as np
import onnx
import pytest
import torch
from espalier.engine.conditioning import matting
from espalier.engine.conditioning.image import prepare_image
from espalier.engine.conditioning.matting import BiRefNet, matte_for
from espalier.engine.errors import EspalierError
from espalier.engine.machine import PeakMemory
from espalier.tests.engine.conditioning import birefnet_file as network
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

BIREFNET_FILE = "BiRefNet/onnx/model.onnx"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    network.save(folder / BIREFNET_FILE)
    return folder


def picture(size=(300, 200), seed=3):
    """Coloured blobs: no plain background."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def plain(size=96):
    y, x = np.mgrid[0:size, 0:size]
    pixels = np.full((size, size, 3), 245, np.uint8)
    pixels[(x - size / 2) ** 2 + (y - size / 2) ** 2 < (size / 3) ** 2] = (200, 60, 40)
    return Image.fromarray(pixels)


def prepare(image, setting, models=None):
    return prepare_image(image, setting, matte_for(setting, models))


def refused(code, match, call, *arguments):
    with pytest.raises(EspalierError, match=match) as caught:
        call(*arguments)
    assert caught.value.code == code
    assert caught.value.sentence.endswith(".")
    assert "\n" not in caught.value.sentence
    return caught.value


def brightness_network(gain=40.0, threshold=0.5):
    """An ONNX network whose logit grows with the normalised red of a pixel: its mask is known without running it."""
    graph = helper.make_graph(
        [helper.make_node("Conv", ["in", "w", "b"], ["out"])],
        "red",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, ["n", 3, 1024, 1024])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 1, 1024, 1024])],
        [
            numpy_helper.from_array(np.float32([gain, 0, 0]).reshape(1, 3, 1, 1), "w"),
            numpy_helper.from_array(np.float32([-gain * threshold]), "b"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_birefnet_gives_what_the_same_network_gives_in_torch(models):
    image = picture()
    tensors = network.weights()
    square = np.asarray(image.resize((1024, 1024), Image.Resampling.BILINEAR), np.float32) / 255
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    logits = network.in_torch(tensors, torch.from_numpy((square - mean) / std).permute(2, 0, 1)[None])
    assert logits.min() < -2 and logits.max() > 2
    mask = Image.fromarray((logits.sigmoid().numpy() * 255).astype(np.uint8)).resize(image.size)
    matted = BiRefNet(models / BIREFNET_FILE)(image)
    assert matted.image.mode == "RGBA" and matted.image.size == image.size
    difference = np.abs(np.asarray(matted.image.getchannel("A")).astype(int) - np.asarray(mask).astype(int))
    assert difference.max() <= 1
    assert np.array_equal(np.asarray(matted.image)[..., :3], np.asarray(image))


def test_birefnet_finds_a_subject_before_a_busy_background(tmp_path):
    network.save(tmp_path / BIREFNET_FILE, brightness_network())
    pixels = np.asarray(picture((200, 200))).copy()
    pixels[..., 0] //= 3
    pixels[60:140, 50:150] = (250, 30, 30)
    refused("busy_background", "not plain.*fetch BiRefNet", prepare, Image.fromarray(pixels), "auto")
    prepared = prepare(Image.fromarray(pixels), "auto", tmp_path)
    assert prepared.notes == ("The background was removed by BiRefNet.",)
    assert abs(prepared.image.width - 100) <= 2
    assert prepared.image.getpixel((50, 50)) == (250, 30, 30)
    assert prepared.mask.getpixel((50, 2)) == 0
    assert np.asarray(prepared.mask)[20:80, 10:90].min() == 255


def test_alpha_channel_goes_before_birefnet(models):
    image = plain().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 96, 20))
    prepared = prepare(image, "auto", models)
    assert "own transparency" in prepared.notes[0]
    assert sorted(set(np.asarray(prepared.mask).ravel())) == [0, 255]


def test_settings_choose_how_the_subject_is_found(models):
    opaque, transparent = plain(), plain().convert("RGBA")
    transparent.paste((200, 60, 40, 0), (0, 0, 96, 40))
    for image, setting, note in [
        (transparent, "alpha", "own transparency"),
        (opaque, "keyer", "plain colour"),
        (opaque, "auto", "BiRefNet"),
        (opaque, "birefnet", "BiRefNet"),
        (opaque, "none", "whole image"),
        (transparent, "none", "whole image"),
        (transparent, "birefnet", "BiRefNet"),
    ]:
        assert note in prepare(image, setting, models).notes[0], setting
    assert "plain colour" in prepare(opaque, "auto").notes[0]
    assert prepare(transparent, "none").mask.getextrema() == (255, 255)


def test_settings_that_cannot_be_followed_end_in_one_sentence(tmp_path):
    refused("bad_input", "no transparent background", prepare, plain(), "alpha")
    refused("missing_model", "BiRefNet is not on this computer", prepare, plain(), "birefnet")
    refused("missing_model", "models download BiRefNet", prepare, plain(), "birefnet", tmp_path)
    for setting in ("keep", "", None, 3, ["auto"], "rmbg"):
        refused("bad_request", "Choose one of: auto, alpha, birefnet, keyer, none", matte_for, setting, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"side": 512},
        {"batch": 2},
        {"inputs": 2},
        {"outputs": ("output_image", "second")},
        {"element": TensorProto.FLOAT16},
        {"opset": 9},
    ],
)
def test_network_of_another_interface_is_refused(tmp_path, change):
    path = network.save(tmp_path / BIREFNET_FILE, network.model(**change))
    refused("bad_weights", "“model.onnx”.*(inputs and outputs differ|too old)", BiRefNet, path)
    prepared = prepare(plain(), "auto", tmp_path)
    assert "plain colour" in prepared.notes[0]
    assert "BiRefNet was not used: The model file" in prepared.notes[-1]


def test_network_that_lies_about_its_output_is_refused(tmp_path):
    made = network.model()
    made.graph.output[0].type.tensor_type.shape.Clear()
    made.graph.output[0].type.tensor_type.ClearField("shape")
    made.graph.node[-1].attribute[0].ints[:] = [7, 7]
    made.graph.node[-1].output[0] = "output_image"
    path = network.save(tmp_path / "model.onnx", made)
    refused("bad_weights", "no usable mask", BiRefNet(path), plain())


def test_network_without_numbers_or_without_a_subject_ends_in_one_sentence(tmp_path):
    tensors = network.weights()
    tensors["bias"] = np.float32([np.nan])
    path = network.save(tmp_path / "nan.onnx", network.model(tensors))
    refused("bad_weights", "no usable mask", BiRefNet(path), plain())
    tensors["bias"] = np.float32([-1000])
    path = network.save(tmp_path / "empty.onnx", network.model(tensors))
    refused("bad_input", "BiRefNet found no subject", BiRefNet(path), plain())


def test_network_that_cannot_be_run_ends_in_one_sentence(tmp_path):
    made = network.model()
    made.graph.node[0].op_type = "NoSuchOperator"
    path = network.save(tmp_path / "model.onnx", made)
    refused("bad_weights", "cannot be run", BiRefNet(path), plain())


def test_missing_onnx_runtime_leaves_the_keyer_with_a_note(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    prepared = prepare(plain(), "auto", models)
    assert "plain colour" in prepared.notes[0]
    assert "BiRefNet needs ONNX Runtime" in prepared.notes[-1]
    refused("engine_incomplete", "ONNX Runtime", prepare, plain(), "birefnet", models)
    error = refused("busy_background", "not plain", prepare, picture(), "auto", models)
    assert "ONNX Runtime" in error.hint


def test_onnx_runtime_is_not_loaded_before_it_is_needed(monkeypatch):
    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.delitem(sys.modules, matting.__name__)
    fresh = importlib.import_module(matting.__name__)
    fresh.matte_for("auto", None)(plain())
    assert "onnxruntime" not in sys.modules


def test_memory_does_not_grow_with_the_depth_of_the_network(tmp_path):
    layers, channels = 12, 16
    names = ["x0", *(f"x{index}" for index in range(1, layers))]
    nodes = [helper.make_node("Conv", ["in", "w"], ["x0"])]
    nodes += [helper.make_node("Sin", [a], [b]) for a, b in itertools.pairwise(names)]
    nodes += [helper.make_node("ReduceSum", [names[-1], "axis"], ["out"])]
    graph = helper.make_graph(
        nodes,
        "deep",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, [1, 3, 1024, 1024])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 1, 1024, 1024])],
        [
            numpy_helper.from_array(np.ones((channels, 3, 1, 1), np.float32), "w"),
            numpy_helper.from_array(np.int64([1]), "axis"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    matte = BiRefNet(network.save(tmp_path / "model.onnx", made))
    one_layer = channels * 1024 * 1024 * 4
    matte(plain())
    peak = PeakMemory()
    before = peak.read()["host"]
    matte(plain())
    assert peak.read()["host"] - before < 5 * one_layer
    after = PeakMemory().read()["host"]
    assert after - before < one_layer


def test_weights_in_files_beside_the_network_are_read_and_those_outside_refused(tmp_path):
    path = tmp_path / "folder" / "model.onnx"
    path.parent.mkdir()
    onnx.save(network.model(), str(path), save_as_external_data=True, location="weights.bin", size_threshold=0)
    expected = BiRefNet(network.save(tmp_path / "whole.onnx"))(plain())
    assert BiRefNet(path)(plain()).image.tobytes() == expected.image.tobytes()
    (path.parent / "weights.bin").rename(tmp_path / "weights.bin")
    refused("bad_weights", "cannot be run", BiRefNet(path), plain())
    content = onnx.load(str(path), load_external_data=False)
    for tensor in content.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../weights.bin"
    path.write_bytes(content.SerializeToString())
    refused("bad_weights", "outside its folder", BiRefNet, path)


def test_command_line_offers_what_the_engine_knows():
    from espalier.addon import request
    from espalier.engine.conditioning.image import MATTINGS

    assert request.MATTINGS == MATTINGS
    made = request.make_request("Chair", "chair.png", 1, matting="keyer", models_folder="/models")
    assert (made["settings"]["matting"], made["models_folder"]) == ("keyer", "/models")
