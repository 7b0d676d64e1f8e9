# SPDX-License-Identifier: GPL-3.0-or-later
"""What is trained, and how long: the networks of the starter model and the budgets of each stage by machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .loop import Schedule

RESOLUTION = 64
"""O-Voxels per axis."""
COMPRESSION = 4
"""Latent cells are this many voxels wide: two space-to-channel levels."""
GRID = RESOLUTION // COMPRESSION
"""Latent cells per axis; also the resolution of the sparse-structure autoencoder."""
IMAGE_SIZE = 128
LATENT_CHANNELS = 16
COND_CHANNELS = 192
FLOW_CHANNELS = 128

_ENCODER = {"model_channels": [32, 64, 64], "num_blocks": [0, 1, 1], "latent_channels": LATENT_CHANNELS}
_DECODER = {"model_channels": [64, 64, 32], "num_blocks": [2, 1, 0], "latent_channels": LATENT_CHANNELS}
_SIZE = {"resolution": RESOLUTION}
_STRIDED = {"shortcut": "strided"}
"""Colour has to pass a narrow network at every child position: see the model card."""
_FLOW = {
    "model_channels": FLOW_CHANNELS,
    "cond_channels": COND_CHANNELS,
    "num_blocks": 6,
    "num_heads": 4,
    "pe_mode": "rope+ape",
}
_STRUCTURE = {"num_res_blocks": 2, "num_res_blocks_middle": 1, "latent_channels": 8}

NETWORKS: dict[str, tuple[str, dict]] = {
    "sparse_structure_encoder": ("SparseStructureEncoder", {**_STRUCTURE, "in_channels": 1, "channels": [16, 32, 64]}),
    "sparse_structure_decoder": ("SparseStructureDecoder", {**_STRUCTURE, "out_channels": 1, "channels": [64, 32, 16]}),
    "shape_slat_encoder": ("FlexiDualGridVaeEncoder", _ENCODER),
    "shape_slat_decoder": ("FlexiDualGridVaeDecoder", {**_DECODER, **_SIZE}),
    "tex_slat_encoder": ("SparseUnetVaeEncoder", {**_ENCODER, **_STRIDED}),
    "tex_slat_decoder": ("SparseUnetVaeDecoder", {**_DECODER, **_SIZE, **_STRIDED}),
    "image_encoder": (
        "DINOv3ViT",
        {
            "image_size": IMAGE_SIZE,
            "patch_size": 16,
            "hidden_size": COND_CHANNELS,
            "intermediate_size": 4 * COND_CHANNELS,
            "num_hidden_layers": 5,
            "num_attention_heads": 3,
            "num_register_tokens": 4,
        },
    ),
    "sparse_structure_flow_model": (
        "SparseStructureFlowModel",
        {**_FLOW, "resolution": GRID // 4, "in_channels": 8, "out_channels": 8},
    ),
    "shape_slat_flow_model_64": (
        "SLatFlowModel",
        {**_FLOW, "resolution": GRID, "in_channels": LATENT_CHANNELS, "out_channels": LATENT_CHANNELS},
    ),
    "tex_slat_flow_model_64": (
        "SLatFlowModel",
        {
            **_FLOW,
            "resolution": GRID,
            "in_channels": 2 * LATENT_CHANNELS,
            "out_channels": LATENT_CHANNELS,
        },
    ),
}
"""Name in ``pipeline.json`` -> (class, arguments)."""


@dataclass(frozen=True)
class StageBudget:
    """Schedule of a stage and its batch: assets for the dense stages, voxels or tokens for the sparse ones."""

    schedule: Schedule
    batch: int


@dataclass(frozen=True)
class Preset:
    """Everything that differs between a long run on a GPU, a run on two cores and a test.

    ``lanes`` run side by side, the stages of a lane one after another; a stage also waits for the stages it ``NEEDS``.
    """

    assets: int
    validation_assets: int
    views: int
    data_seconds: float
    colourings: int
    lanes: tuple[tuple[str, ...], ...]
    stages: dict[str, StageBudget]


NEEDS = {
    "image_encoder": ("shape_vae", "texture_vae"),
    "sparse_structure_flow": ("sparse_structure_vae", "image_encoder"),
    "shape_refinement": ("image_encoder",),
    "texture_refinement": ("image_encoder",),
}


def _budget(seconds: float, steps: int, rate: float, batch: int, **options: float) -> StageBudget:
    return StageBudget(Schedule(seconds, steps, rate, **options), batch)


_GPU = Preset(
    assets=9000,
    validation_assets=128,
    views=8,
    data_seconds=110,
    colourings=2,
    lanes=(
        ("shape_vae", "image_encoder", "shape_refinement"),
        ("texture_vae", "texture_refinement"),
        ("sparse_structure_vae", "sparse_structure_flow"),
    ),
    stages={
        "sparse_structure_vae": _budget(150, 12_000, 1e-3, 128),
        "shape_vae": _budget(400, 20_000, 1e-3, 300_000),
        "texture_vae": _budget(400, 20_000, 1.2e-3, 300_000),
        "image_encoder": _budget(800, 60_000, 7e-4, 120_000, warmup=500, weight_decay=0.02),
        "sparse_structure_flow": _budget(560, 60_000, 7e-4, 384, warmup=500),
        "shape_refinement": _budget(300, 20_000, 4e-4, 16_000),
        "texture_refinement": _budget(300, 20_000, 4e-4, 16_000),
    },
)

_CPU = Preset(
    assets=2600,
    validation_assets=78,
    views=6,
    data_seconds=600,
    colourings=2,
    lanes=(
        ("shape_vae", "image_encoder", "shape_refinement"),
        ("sparse_structure_vae", "texture_vae", "sparse_structure_flow", "texture_refinement"),
    ),
    stages={
        "sparse_structure_vae": _budget(160, 1_500, 1.5e-3, 16),
        "shape_vae": _budget(1450, 9_000, 1.5e-3, 28_000),
        "texture_vae": _budget(600, 6_000, 1.5e-3, 16_000),
        "image_encoder": _budget(3600, 20_000, 8e-4, 12_000),
        "sparse_structure_flow": _budget(1300, 9_000, 1e-3, 64),
        "shape_refinement": _budget(700, 9_000, 7e-4, 2_400),
        "texture_refinement": _budget(600, 9_000, 7e-4, 2_400),
    },
)


def _smoke() -> Preset:
    stages = {}
    for name, budget in _CPU.stages.items():
        schedule = replace(budget.schedule, seconds=60.0, max_steps=6, warmup=2, log_every=2)
        stages[name] = StageBudget(schedule, max(2, min(budget.batch, 3_000) // (1 if budget.batch > 1_000 else 8)))
    return replace(_CPU, assets=6, validation_assets=3, views=2, data_seconds=60, stages=stages)


def preset(name: str, device: str) -> Preset:
    """Return ``starter`` (sized for the kind of device) or ``smoke`` (a few steps of everything, for tests)."""
    if name == "smoke":
        return _smoke()
    if name == "starter":
        return _GPU if device == "cuda" else _CPU
    raise ValueError(f"There is no preset called {name}; known are starter and smoke.")
