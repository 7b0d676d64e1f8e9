# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of networks are believed in nothing: whatever they say, a network is sketched quickly or refused."""

import copy

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.weights.checkpoint import sketch_network
from espalier.tests.tiny_set import NETWORKS
from hypothesis import given, settings
from hypothesis import strategies as st

CPU = torch.device("cpu")
FLOW, DECODER, STRUCTURE, ENCODER = (
    NETWORKS[name]
    for name in ("sparse_structure_flow_model", "shape_slat_decoder", "sparse_structure_decoder", "image_encoder")
)


@pytest.mark.parametrize(
    "network, change",
    [
        (FLOW, {"num_blocks": 10**9}),
        (FLOW, {"num_blocks": -1}),
        (FLOW, {"num_heads": 0}),
        (FLOW, {"model_channels": "32"}),
        (FLOW, {"model_channels": 10**12}),
        (FLOW, {"model_channels": True}),
        (FLOW, {"mlp_ratio": float("nan")}),
        (FLOW, {"mlp_ratio": 1e300}),
        (FLOW, {"resolution": 4096}),
        (FLOW, {"dtype": ["float32"]}),
        (FLOW, {"qk_rms_norm": "yes"}),
        (DECODER, {"model_channels": [], "num_blocks": [], "up_block_type": [], "block_type": []}),
        (DECODER, {"model_channels": [16, 16, 0]}),
        (DECODER, {"model_channels": 16}),
        (DECODER, {"num_blocks": [0, 0, 10**6]}),
        (DECODER, {"block_type": ["os.system"] * 3}),
        (DECODER, {"block_args": [1, 2, 3]}),
        (DECODER, {"shortcut": []}),
        (STRUCTURE, {"channels": []}),
        (STRUCTURE, {"channels": [8] * 1000}),
        (ENCODER, {"num_attention_heads": 0}),
        (ENCODER, {"patch_size": 0}),
        (ENCODER, {"rope_theta": "100"}),
    ],
)
def test_values_that_no_network_has_are_refused(network, change):
    name, args = network
    with pytest.raises(EspalierError) as caught:
        sketch_network(name, {**args, **change}, CPU, "auto")
    assert caught.value.code == "bad_config"
    assert caught.value.hint


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(NETWORKS)), data=st.data())
def test_any_change_of_a_description_is_sketched_or_refused(name, data):
    kind, args = copy.deepcopy(NETWORKS[name])
    key = data.draw(st.sampled_from(sorted(args)))
    if isinstance(args[key], list) and args[key] and data.draw(st.booleans()):
        args[key][data.draw(st.integers(0, len(args[key]) - 1))] = data.draw(VALUES)
    else:
        args[key] = data.draw(VALUES)
    try:
        model = sketch_network(kind, args, CPU, "auto")
    except EspalierError as error:
        assert error.code == "bad_config"
    else:
        assert all(parameter.is_meta for parameter in model.parameters())
