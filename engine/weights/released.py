# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of the published set as they were released: paths, classes, arguments (spec/models.md 1.1, 1.2).

The folder ``released`` beside this file holds the two configurations of the set: ``pipeline.json`` byte for byte and
``texturing_pipeline.json`` in the form of section 7.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONFIGURATIONS = Path(__file__).parent / "released"
DINOV3_FOLDER = "facebook/dinov3-vitl16-pretrain-lvd1689m"

_FLOW = {
    "model_channels": 1536,
    "cond_channels": 1024,
    "num_blocks": 30,
    "num_heads": 12,
    "mlp_ratio": 5.3334,
    "pe_mode": "rope",
    "share_mod": True,
    "initialization": "scaled",
    "qk_rms_norm": True,
    "qk_rms_norm_cross": True,
    "dtype": "bfloat16",
}
_SPARSE = {"latent_channels": 32, "block_args": [{}] * 5, "block_type": ["SparseConvNeXtBlock3d"] * 5, "use_fp16": True}
_ENCODER = {
    **_SPARSE,
    "model_channels": [64, 128, 256, 512, 1024],
    "num_blocks": [0, 4, 8, 16, 4],
    "down_block_type": ["SparseResBlockS2C3d"] * 4,
}
_DECODER = {
    **_SPARSE,
    "model_channels": [1024, 512, 256, 128, 64],
    "num_blocks": [4, 16, 8, 4, 0],
    "up_block_type": ["SparseResBlockC2S3d"] * 4,
}
_DENSE = {"latent_channels": 8, "num_res_blocks": 2, "num_res_blocks_middle": 2, "use_fp16": True}
_DINOV3 = {
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_register_tokens": 4,
    "num_channels": 3,
    "patch_size": 16,
    "image_size": 224,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-5,
    "rope_theta": 100.0,
    "layerscale_value": 1.0,
    "use_gated_mlp": False,
    "query_bias": True,
    "key_bias": False,
    "value_bias": True,
    "proj_bias": True,
    "mlp_bias": True,
}


@dataclass(frozen=True)
class ReleasedNetwork:
    """A network's files, ``path`` without their ending and relative to the set's folder, its class and arguments.

    ``stored``: the precision of every tensor in the file; "" where each has the precision in which it runs. The
    arguments of the image encoder are those of its published ``config.json``.
    """

    path: str
    name: str
    args: dict[str, Any]
    stored: str = ""

    @property
    def by_transformers(self) -> bool:
        """Whether the files are in the form of the transformers library: ``config.json`` beside them, metadata."""
        return self.name == "DINOv3ViT"


def _flow(file: str, name: str, resolution: int, in_channels: int, out_channels: int) -> ReleasedNetwork:
    sizes = {"resolution": resolution, "in_channels": in_channels, "out_channels": out_channels}
    return ReleasedNetwork(f"ckpts/{file}_bf16", name, {**sizes, **_FLOW}, "bfloat16")


def _sparse(file: str, name: str, args: dict[str, Any]) -> ReleasedNetwork:
    return ReleasedNetwork(f"ckpts/{file}_next_dc_f16c32_fp16", name, args, "float16")


def _dense(file: str, name: str, args: dict[str, Any]) -> ReleasedNetwork:
    path = f"microsoft/TRELLIS-image-large/ckpts/{file}_conv3d_16l8_fp16"
    return ReleasedNetwork(path, name, {**args, **_DENSE})


NETWORKS = {
    "sparse_structure_flow_model": _flow("ss_flow_img_dit_1_3B_64", "SparseStructureFlowModel", 16, 8, 8),
    "sparse_structure_decoder": _dense(
        "ss_dec", "SparseStructureDecoder", {"out_channels": 1, "channels": [512, 128, 32]}
    ),
    "sparse_structure_encoder": _dense(
        "ss_enc", "SparseStructureEncoder", {"in_channels": 1, "channels": [32, 128, 512]}
    ),
    "shape_slat_flow_model_512": _flow("slat_flow_img2shape_dit_1_3B_512", "SLatFlowModel", 32, 32, 32),
    "shape_slat_flow_model_1024": _flow("slat_flow_img2shape_dit_1_3B_1024", "SLatFlowModel", 64, 32, 32),
    "shape_slat_encoder": _sparse("shape_enc", "FlexiDualGridVaeEncoder", _ENCODER),
    "shape_slat_decoder": _sparse("shape_dec", "FlexiDualGridVaeDecoder", {"resolution": 256, **_DECODER}),
    "tex_slat_flow_model_512": _flow("slat_flow_imgshape2tex_dit_1_3B_512", "SLatFlowModel", 32, 64, 32),
    "tex_slat_flow_model_1024": _flow("slat_flow_imgshape2tex_dit_1_3B_1024", "SLatFlowModel", 64, 64, 32),
    "tex_slat_encoder": _sparse("tex_enc", "SparseUnetVaeEncoder", {"in_channels": 6, **_ENCODER}),
    "tex_slat_decoder": _sparse(
        "tex_dec", "SparseUnetVaeDecoder", {"out_channels": 6, "pred_subdiv": False, **_DECODER}
    ),
    "image_encoder": ReleasedNetwork(f"{DINOV3_FOLDER}/model", "DINOv3ViT", _DINOV3, "float32"),
}
"""By their keys in the configurations; the two encoders that only training needs and the image encoder have ours."""
