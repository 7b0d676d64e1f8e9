# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes an untrained model set whose networks have the released names, grids and compression, and next to no width.

All four kinds of image-to-3D and all three of texturing run through it in seconds: by hand the structure decoder calls
the eight corners of the latent occupied, whatever the latent, and the shape decoder gives every voxel two children, so
a latent cell becomes 16 voxels. The rest is random.
"""

import json
from pathlib import Path

import torch
from espalier.engine.models.registry import build_model
from espalier.tests.tiny_set import FLOW, flow_by_hand, zero_
from safetensors.torch import save_file

LATENT = 4
OCCUPIED = 8 * 4**3
"""Cells of the 64^3 structure: eight corners of the 16^3 latent, 4^3 cells each."""

CHILDREN = (0, 7)
DECODER = {
    "model_channels": [16, 16, 16, 8, 8],
    "num_blocks": [0, 0, 0, 0, 0],
    "latent_channels": LATENT,
    "up_block_type": ["SparseResBlockC2S3d"] * 4,
    "block_type": ["SparseConvNeXtBlock3d"] * 5,
}
ENCODER = {
    "model_channels": [8, 8, 16, 16, 16],
    "num_blocks": [0, 0, 0, 0, 0],
    "latent_channels": LATENT,
    "down_block_type": ["SparseResBlockS2C3d"] * 4,
    "block_type": ["SparseConvNeXtBlock3d"] * 5,
}
STRUCTURE_DECODER = {
    "out_channels": 1,
    "latent_channels": 8,
    "num_res_blocks": 0,
    "num_res_blocks_middle": 1,
    "channels": [8, 8, 8],
}
SHAPE_FLOW = {**FLOW, "in_channels": LATENT, "out_channels": LATENT}
TEXTURE_FLOW = {**FLOW, "in_channels": 2 * LATENT, "out_channels": LATENT}
NETWORKS = {
    "sparse_structure_flow_model": (
        "SparseStructureFlowModel",
        {**FLOW, "resolution": 16, "in_channels": 8, "out_channels": 8},
    ),
    "sparse_structure_decoder": ("SparseStructureDecoder", STRUCTURE_DECODER),
    "shape_slat_flow_model_512": ("SLatFlowModel", {**SHAPE_FLOW, "resolution": 32}),
    "shape_slat_flow_model_1024": ("SLatFlowModel", {**SHAPE_FLOW, "resolution": 64}),
    "tex_slat_flow_model_512": ("SLatFlowModel", {**TEXTURE_FLOW, "resolution": 32}),
    "tex_slat_flow_model_1024": ("SLatFlowModel", {**TEXTURE_FLOW, "resolution": 64}),
    "shape_slat_encoder": ("FlexiDualGridVaeEncoder", ENCODER),
    "shape_slat_decoder": ("FlexiDualGridVaeDecoder", DECODER),
    "tex_slat_decoder": ("SparseUnetVaeDecoder", {**DECODER, "out_channels": 6, "pred_subdiv": False}),
    "image_encoder": (
        "DINOv3ViT",
        {
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
            "num_register_tokens": 4,
            "patch_size": 16,
            "image_size": 512,
        },
    ),
}


def write_released_set(folder):
    """Write pipeline.json and ckpts/ into ``folder`` (created) and return it."""
    folder = Path(folder)
    (folder / "ckpts").mkdir(parents=True)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        for name, (kind, args) in NETWORKS.items():
            model = build_model(kind, args)
            if "flow" in name:
                flow_by_hand(model)
            BY_HAND.get(name, lambda model: None)(model)
            stem = folder / "ckpts" / name
            stem.with_suffix(".json").write_text(json.dumps({"name": kind, "args": args}))
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, stem.with_suffix(".safetensors"))
    (folder / "pipeline.json").write_text(json.dumps(pipeline()))
    return folder


def pipeline():
    """The content of pipeline.json: two steps a stage instead of twelve, the rest in the released form."""

    def sampler(strength, rescale, interval, rescale_t):
        params = {
            "steps": 2,
            "guidance_strength": strength,
            "guidance_rescale": rescale,
            "guidance_interval": interval,
            "rescale_t": rescale_t,
        }
        return {"name": "FlowEulerGuidanceIntervalSampler", "args": {"sigma_min": 1e-5}, "params": params}

    normalisation = {"mean": [0.1, -0.1, 0.0, 0.2], "std": [1.0, 1.5, 0.8, 1.2]}
    args = {
        "models": {name: f"ckpts/{name}" for name in NETWORKS if name != "image_encoder"},
        "sparse_structure_sampler": sampler(7.5, 0.7, [0.6, 1.0], 5.0),
        "shape_slat_sampler": sampler(7.5, 0.5, [0.6, 1.0], 3.0),
        "tex_slat_sampler": sampler(1.0, 0.0, [0.6, 0.9], 3.0),
        "shape_slat_normalization": normalisation,
        "tex_slat_normalization": normalisation,
        "image_cond_model": {"name": "DINOv3ViT", "args": {"checkpoint": "ckpts/image_encoder"}},
        "default_pipeline_type": "1024_cascade",
    }
    return {"name": "Trellis2ImageTo3DPipeline", "args": args}


def structure_decoder_by_hand(model):
    """Count the neighbours of a latent cell; the sign of "at most eight" passes the norms to the output."""
    zero_(model.input_layer)
    model.input_layer.bias[0] = 1.0
    first, ups = model.middle_block[0], [block for block in model.blocks if hasattr(block, "conv")]
    zero_(first.conv1, first.conv2, *(up.conv for up in ups))
    first.conv1.weight[0, 0] = -1.0
    first.conv1.weight[1, 0] = 1.0
    first.conv1.bias[:2] = torch.tensor([25.0, -25.0])
    first.conv2.weight[2, 0, 1, 1, 1] = 10.0
    first.conv2.bias[2] = -5.0
    for up in ups:
        for child in range(8):
            up.conv.weight[2 * 8 + child, 2, 1, 1, 1] = 1.0
    zero_(model.out_layer[2])
    model.out_layer[2].weight[0, 2, 1, 1, 1] = 10.0
    model.out_layer[2].bias[:] = -1.0


def shape_decoder_by_hand(model):
    """Two children a voxel at every level."""
    for level in model.blocks[:-1]:
        up = level[-1]
        zero_(up.to_subdiv)
        up.to_subdiv.bias[:] = -1.0
        up.to_subdiv.bias[list(CHILDREN)] = 1.0


BY_HAND = {"sparse_structure_decoder": structure_decoder_by_hand, "shape_slat_decoder": shape_decoder_by_hand}
