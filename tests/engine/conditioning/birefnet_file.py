# SPDX-License-Identifier: GPL-3.0-or-later
"""A small random network with the interface of the published BiRefNet file, as ONNX and in plain torch."""

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper

SIDE = 1024


def weights(seed=0):
    """Two strided convolutions down and two up, scaled so that the logits spread over both signs."""
    random = np.random.default_rng(seed)
    shapes = {"a": (4, 3, 8, 8), "b": (4, 4, 4, 4), "c": (4, 4, 4, 4), "d": (4, 1, 8, 8)}
    tensors = {name: random.normal(0, 1, shape).astype(np.float32) / 4 for name, shape in shapes.items()}
    tensors["d"] *= 16
    tensors["bias"] = np.float32([-0.5])
    return tensors


def model(tensors=None, side=SIDE, opset=17, batch=1, inputs=1, element=TensorProto.FLOAT, outputs=("output_image",)):
    """The network as an ONNX model; ``side``, ``batch`` (a number or a name) and the rest say how its ports look."""
    tensors = weights() if tensors is None else tensors
    nodes = [
        helper.make_node("Conv", ["input_image", "a"], ["x1"], strides=[8, 8]),
        helper.make_node("Relu", ["x1"], ["x2"]),
        helper.make_node("Conv", ["x2", "b"], ["x3"], strides=[4, 4]),
        helper.make_node("Relu", ["x3"], ["x4"]),
        helper.make_node("ConvTranspose", ["x4", "c"], ["x5"], strides=[4, 4]),
        helper.make_node("ConvTranspose", ["x5", "d", "bias"], [outputs[0]], strides=[8, 8]),
        *(helper.make_node("Identity", [outputs[0]], [name]) for name in outputs[1:]),
    ]
    names = ["input_image", *(f"more{index}" for index in range(1, inputs))]
    graph = helper.make_graph(
        nodes,
        "matte",
        [helper.make_tensor_value_info(name, element, [batch, 3, side, side]) for name in names],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, 1, side, side]) for name in outputs],
        [numpy_helper.from_array(tensor, name) for name, tensor in tensors.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def save(path, made=None):
    """Write a model (the plain one by default) and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model() if made is None else made, str(path))
    return path


def in_torch(tensors, pixels):
    """The same network: pixels [1, 3, 1024, 1024] float32 -> logits [1024, 1024]."""
    t = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    x = F.relu(F.conv2d(pixels, t["a"], stride=8))
    x = F.relu(F.conv2d(x, t["b"], stride=4))
    x = F.conv_transpose2d(x, t["c"], stride=4)
    return F.conv_transpose2d(x, t["d"], t["bias"], stride=8)[0, 0]
