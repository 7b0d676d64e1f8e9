# SPDX-License-Identifier: GPL-3.0-or-later
"""An ONNX file is described without running it, and no foreign file breaks the reader."""

import os

import onnx
import pytest
from espalier.engine.conditioning import onnx_file
from espalier.engine.conditioning.onnx_file import FLOAT32, Port, read_interface
from espalier.engine.errors import EspalierError
from espalier.tests.engine.conditioning import birefnet_file as network
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

PLAIN = network.model().SerializeToString()


def refused(path, match):
    with pytest.raises(EspalierError, match=match) as caught:
        read_interface(path)
    assert caught.value.code == "bad_weights"
    assert "\n" not in caught.value.sentence


def external(location):
    tensor = numpy_helper.from_array(network.weights()["a"], "far")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def hidden_in(place, location):
    """A model that refers to ``location`` from one of the places where the format allows tensors."""
    made = network.model()
    tensor = external(location)
    inner = helper.make_graph([], "inner", [], [], [tensor])
    if place == "initializer":
        made.graph.initializer.append(tensor)
    elif place == "constant":
        made.graph.node.append(helper.make_node("Constant", [], ["k"], value=tensor))
    elif place == "subgraph":
        made.graph.node.append(helper.make_node("If", ["c"], ["r"], then_branch=inner, else_branch=inner))
    elif place == "sparse":
        sparse = made.graph.sparse_initializer.add()
        sparse.values.CopyFrom(tensor)
    elif place == "function":
        function = made.functions.add()
        function.node.append(helper.make_node("Constant", [], ["k"], value=tensor))
    elif place == "training":
        made.training_info.add().algorithm.CopyFrom(inner)
    return made


def test_inputs_outputs_and_operator_set_are_read(tmp_path):
    interface = read_interface(network.save(tmp_path / "model.onnx", network.model(batch="batch", opset=18)))
    assert interface.opset == 18
    assert interface.inputs == (Port("input_image", FLOAT32, (None, 3, 1024, 1024)),)
    assert interface.outputs == (Port("output_image", FLOAT32, (None, 1, 1024, 1024)),)
    assert interface.external == ()


def test_weights_listed_as_inputs_are_not_inputs(tmp_path):
    made = network.model()
    for tensor in made.graph.initializer:
        made.graph.input.append(helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, list(tensor.dims)))
    assert [port.name for port in read_interface(network.save(tmp_path / "old.onnx", made)).inputs] == ["input_image"]


@pytest.mark.parametrize("place", ["initializer", "constant", "subgraph", "sparse", "function", "training"])
def test_file_outside_the_folder_is_refused_wherever_it_is_named(tmp_path, place):
    path = tmp_path / "models" / "model.onnx"
    path.parent.mkdir()
    for location in ("../secret.bin", "/etc/passwd", "a/../../secret.bin", "bad\0name"):
        path.write_bytes(hidden_in(place, location).SerializeToString())
        refused(path, "outside its folder")
    path.write_bytes(hidden_in(place, "weights/part.bin").SerializeToString())
    assert set(read_interface(path).external) == {"weights/part.bin"}
    os.symlink(tmp_path, path.parent / "weights")
    refused(path, "outside its folder")


def test_files_that_are_no_network_end_in_one_sentence(tmp_path):
    path = tmp_path / "model.onnx"
    refused(path, "“model.onnx” is missing")
    no_opset, no_graph = network.model(), onnx.ModelProto()
    no_opset.ClearField("opset_import")
    no_graph.opset_import.add().version = 17
    for content, sentence in [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>Not found</html>", "not an ONNX network"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not an ONNX network"),
        (PLAIN[:-1], "only a part"),
        (PLAIN[: len(PLAIN) // 2], "only a part"),
        (b"\xff" * 100, "not an ONNX network"),
        (no_opset.SerializeToString(), "not an ONNX network"),
        (no_graph.SerializeToString(), "not an ONNX network"),
    ]:
        path.write_bytes(content)
        refused(path, sentence)
    refused(tmp_path, "cannot be read|not an ONNX network")


def test_file_of_endless_fields_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "MAX_FIELDS", 1000)
    path = tmp_path / "model.onnx"
    path.write_bytes(PLAIN + b"\x08\x01" * 2000)
    refused(path, "not an ONNX network")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_changed_bytes_end_in_one_sentence_or_a_description(tmp_path_factory, data):
    content = bytearray(PLAIN[: data.draw(st.integers(0, len(PLAIN)))])
    for _ in range(data.draw(st.integers(0, 6))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(content)
    try:
        read_interface(path)
    except EspalierError as error:
        assert error.code == "bad_weights"


@settings(max_examples=300, deadline=None)
@given(content=st.binary(min_size=1, max_size=200))
def test_any_bytes_end_in_one_sentence(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(content)
    refused(path, "not an ONNX network")
