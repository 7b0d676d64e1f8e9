# SPDX-License-Identifier: GPL-3.0-or-later
"""Every published checkpoint fits: names, shapes, precisions and file lengths, without a byte of weights."""

import gzip
import json
from pathlib import Path

import pytest
import torch
from espalier.engine.models.dinov3 import DINOv3Config
from espalier.engine.weights.checkpoint import sketch_network
from espalier.engine.weights.random_set import header, stored_tensors
from espalier.engine.weights.released import NETWORKS

MANIFEST = json.loads(gzip.decompress((Path(__file__).parents[2] / "data/released/checkpoints.json.gz").read_bytes()))
NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def entry(network):
    path = network.path if network.path in MANIFEST else f"microsoft/TRELLIS.2-4B/{network.path}"
    return MANIFEST[path]


def sketch(network, device, precision="auto"):
    """The network as the loader builds it, on the meta device."""
    args = vars(DINOv3Config.from_published(network.args)) if network.by_transformers else network.args
    return sketch_network(network.name, args, device, precision)


def test_every_published_file_is_known():
    assert len(MANIFEST) == len(NETWORKS) == 12
    assert sorted(map(id, MANIFEST.values())) == sorted(id(entry(network)) for network in NETWORKS.values())


@pytest.mark.parametrize("key", NETWORKS)
def test_class_and_arguments_are_the_released_ones(key):
    network = NETWORKS[key]
    assert network.args == entry(network)["args"]
    assert entry(network)["class"] in (network.name, "transformers.DINOv3ViTModel")


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("key", NETWORKS)
def test_names_shapes_and_run_time_precisions_are_the_released_ones(key, device):
    expected = {
        name: (tuple(tensor["shape"]), tensor["runtime_dtype"])
        for name, tensor in entry(NETWORKS[key])["tensors"].items()
    }
    model = sketch(NETWORKS[key], device)
    actual = {name: (tuple(tensor.shape), NAMES[tensor.dtype]) for name, tensor in model.state_dict().items()}
    assert actual == expected
    assert sum(parameter.numel() for parameter in model.parameters()) == entry(NETWORKS[key])["num_params"]


@pytest.mark.parametrize("key", NETWORKS)
def test_the_only_state_outside_the_files_is_the_rotation_of_the_dense_flow(key):
    model = sketch(NETWORKS[key], CPU)
    apart = dict(model.named_buffers()).keys() - model.state_dict().keys()
    documented = entry(NETWORKS[key]).get("non_persistent_or_absent_buffers", [])
    # The timestep's frequencies follow from the code alone; they lie on the device so that no step copies them there.
    apart -= {"t_embedder.frequencies"}
    assert [name.split()[0] for name in documented] == sorted(apart)
    for name in apart:
        buffer = model.get_buffer(name)
        assert f"{name} ({buffer.shape[0]},{buffer.shape[1]}) {str(buffer.dtype)[6:]}" in documented
        assert buffer.device == CPU


@pytest.mark.parametrize("key", [key for key, network in NETWORKS.items() if "safetensors_bytes" in entry(network)])
def test_a_file_of_these_tensors_has_the_published_length(key):
    network = NETWORKS[key]
    table = stored_tensors(network)
    stored = {name: NAMES[tensor.dtype] for name, tensor in table.items()}
    assert stored == {name: tensor["dtype"] for name, tensor in entry(network)["tensors"].items()}
    length = len(header(table, network.by_transformers)) + sum(tensor.nbytes for tensor in table.values())
    assert length == entry(network)["safetensors_bytes"]


@pytest.mark.parametrize("key", NETWORKS)
def test_torsos_compute_in_half_precision_where_it_is_fast(key):
    network = NETWORKS[key]
    half = {"bfloat16": torch.bfloat16, "float16": torch.float16}
    made = half.get(network.args.get("dtype"), torch.float16 if network.args.get("use_fp16") else torch.float32)
    assert getattr(sketch(network, CUDA), "dtype", torch.float32) == made
    on_cpu = getattr(sketch(network, CPU), "dtype", torch.float32)
    assert on_cpu == torch.float32 or (on_cpu == made == torch.bfloat16)
    assert getattr(sketch(network, CPU, "float32"), "dtype", torch.float32) == torch.float32
