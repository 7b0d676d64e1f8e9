# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a tiny model set, untrained but set by hand so that every image becomes a closed box.

Layout and classes are those of the released sets, sizes are the smallest that have every part: image 64, structure
latent 4^3, grid 8^3, O-Voxels 32^3; a generation takes a fraction of a second. It textures meshes, too, with an
untrained shape encoder. By hand: the structure decoder calls a cell occupied when its latent cell has all 26
neighbours, so the middle 4^3 cells; the shape decoder subdivides everywhere and sets a crossed-edge flag where a voxel
lacks a neighbour along that axis, so the 16^3 voxels wear one closed skin of six sides; materials are a warm, rough,
opaque dielectric. Dual vertices and materials vary a little with the latents, and those with image and seed, through
the random rest of the networks.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

FLOW = {
    "model_channels": 32,
    "cond_channels": 32,
    "num_blocks": 1,
    "num_heads": 1,
    "mlp_ratio": 2.0,
    "pe_mode": "rope",
    "share_mod": True,
    "initialization": "scaled",
    "qk_rms_norm": True,
    "qk_rms_norm_cross": True,
    "dtype": "float32",
}
DECODER = {
    "model_channels": [16, 16, 8],
    "num_blocks": [0, 0, 1],
    "latent_channels": 4,
    "up_block_type": ["SparseResBlockC2S3d"] * 2,
    "block_type": ["SparseConvNeXtBlock3d"] * 3,
    "shortcut": "strided",
}
ENCODER = {
    "model_channels": [8, 16, 16],
    "num_blocks": [1, 0, 0],
    "latent_channels": 4,
    "down_block_type": ["SparseResBlockS2C3d"] * 2,
    "block_type": ["SparseConvNeXtBlock3d"] * 3,
    "shortcut": "strided",
}
NETWORKS = {
    "sparse_structure_flow_model": (
        "SparseStructureFlowModel",
        {**FLOW, "resolution": 4, "in_channels": 8, "out_channels": 8},
    ),
    "sparse_structure_decoder": (
        "SparseStructureDecoder",
        {"out_channels": 1, "latent_channels": 8, "num_res_blocks": 1, "num_res_blocks_middle": 1, "channels": [8, 8]},
    ),
    "shape_slat_flow_model_32": ("SLatFlowModel", {**FLOW, "resolution": 8, "in_channels": 4, "out_channels": 4}),
    "tex_slat_flow_model_32": ("SLatFlowModel", {**FLOW, "resolution": 8, "in_channels": 8, "out_channels": 4}),
    "shape_slat_decoder": ("FlexiDualGridVaeDecoder", {**DECODER, "resolution": 32}),
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
            "image_size": 64,
        },
    ),
    "shape_slat_encoder": ("FlexiDualGridVaeEncoder", ENCODER),
}
BASE_COLOR, METALLIC, ROUGHNESS, ALPHA = (0.8, 0.45, 0.2), 0.05, 0.6, 1.0


def write_tiny_set(folder, steps=2, seed=0):
    """Write pipeline.json and ckpts/ into ``folder`` (created) and return it. ``steps``: sampler steps per stage."""
    from espalier.engine.models.registry import build_model

    folder = Path(folder)
    (folder / "ckpts").mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for name, (kind, args) in NETWORKS.items():
            model = build_model(kind, args)
            BY_HAND.get(name, lambda model: None)(model)
            stem = folder / "ckpts" / name
            stem.with_suffix(".json").write_text(json.dumps({"name": kind, "args": args}))
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, stem.with_suffix(".safetensors"))
    (folder / "pipeline.json").write_text(json.dumps(pipeline(steps), indent=1))
    return folder


def pipeline(steps):
    """The content of pipeline.json."""
    sampler = {
        "name": "FlowEulerGuidanceIntervalSampler",
        "args": {"sigma_min": 1e-5},
        "params": {
            "steps": steps,
            "guidance_strength": 2.0,
            "guidance_rescale": 0.5,
            "guidance_interval": [0.6, 1.0],
            "rescale_t": 3.0,
        },
    }
    normalisation = {"mean": [0.1, -0.1, 0.0, 0.2], "std": [1.0, 1.5, 0.8, 1.2]}
    return {
        "name": "Trellis2ImageTo3DPipeline",
        "args": {
            "models": {name: f"ckpts/{name}" for name in NETWORKS if name != "image_encoder"},
            "sparse_structure_sampler": sampler,
            "shape_slat_sampler": sampler,
            "tex_slat_sampler": sampler,
            "shape_slat_normalization": normalisation,
            "tex_slat_normalization": normalisation,
            "image_cond_model": {"name": "DINOv3ViT", "args": {"checkpoint": "ckpts/image_encoder"}},
            "pipeline_types": {
                "32": {
                    "cond": 64,
                    "structure_grid": 8,
                    "shape": "shape_slat_flow_model_32",
                    "texture": "tex_slat_flow_model_32",
                    "resolution": 32,
                }
            },
            "default_pipeline_type": "32",
        },
    }


def zero_(*layers):
    for layer in layers:
        layer.weight.zero_()
        layer.bias.zero_()


def flow_by_hand(model):
    """A fresh flow returns exactly zero; let this one depend on image, time and latent."""
    torch.nn.init.normal_(model.out_layer.weight, std=0.05)
    torch.nn.init.normal_(model.adaLN_modulation[1].weight, std=0.02)


def structure_decoder_by_hand(model):
    """Count neighbours on channel 0, keep the sign through the norms, carry it on channel 2 to the output."""
    zero_(model.input_layer)
    model.input_layer.bias[0] = 1.0
    first, up = model.middle_block[0], model.blocks[1]
    zero_(first.conv1, first.conv2, up.conv)
    first.conv1.weight[0, 0] = 0.4
    first.conv1.weight[1, 0] = -0.4
    first.conv1.bias[:2] = torch.tensor([-20.0, 20.0])
    first.conv2.weight[2, 0, 1, 1, 1] = 10.0
    first.conv2.bias[2] = -5.0
    up.conv.weight[16:24, 2, 1, 1, 1] = 1.0
    zero_(model.out_layer[2])
    model.out_layer[2].weight[0, 2, 1, 1, 1] = 10.0
    model.out_layer[2].bias[:] = -1.0


def shape_decoder_by_hand(model):
    """Everything subdivides; the finest block compares each voxel with its two neighbours along each axis."""
    for level in model.blocks[:2]:
        up = level[-1]
        zero_(up.conv2, up.to_subdiv)
        up.to_subdiv.bias[:] = 1.0
    model.blocks[1][-1].conv2.bias[0] = 10.0
    model.from_latent.weight.mul_(0.3)
    block = model.blocks[2][0]
    zero_(block.conv, *(block.mlp[i] for i in (0, 2)))
    for axis in range(3):
        for side in (0, 2):
            tap = [1, 1, 1]
            tap[axis] = side
            block.conv.weight[axis, *tap, 0] = 0.1
            block.conv.weight[axis + 3, *tap, 0] = -0.1
        block.conv.bias[axis], block.conv.bias[axis + 3] = -1.5, 1.5
        block.mlp[0].weight[axis, axis] = 10.0
        block.mlp[2].weight[axis + 1, axis] = -4.0
        block.mlp[2].bias[axis + 1] = 5.0
    model.output_layer.weight.mul_(0.05)
    model.output_layer.bias.zero_()
    for axis in range(3):
        model.output_layer.weight[3 + axis] = 0
        model.output_layer.weight[3 + axis, 1 + axis] = 10.0


def texture_decoder_by_hand(model):
    """Nearly constant materials."""
    model.output_layer.weight.mul_(0.05)
    model.output_layer.bias.copy_(torch.tensor([*BASE_COLOR, METALLIC, ROUGHNESS, ALPHA]) * 2 - 1)


BY_HAND = {
    "sparse_structure_flow_model": flow_by_hand,
    "shape_slat_flow_model_32": flow_by_hand,
    "tex_slat_flow_model_32": flow_by_hand,
    "sparse_structure_decoder": structure_decoder_by_hand,
    "shape_slat_decoder": shape_decoder_by_hand,
    "tex_slat_decoder": texture_decoder_by_hand,
}
