# SPDX-License-Identifier: GPL-3.0-or-later
"""How the stages are sampled: what a model does by itself, and what a request may change of it. No bpy in here."""

import math
from functools import lru_cache
from pathlib import Path

from ..engine.protocol import read_json

# The stages that each kind of job samples, in their order, and what a model calls their samplers.
STAGES = {"generate": ("structure", "shape", "material"), "texture": ("material",)}
_SAMPLERS = {
    "structure": "sparse_structure_sampler",
    "shape": "shape_slat_sampler",
    "material": "tex_slat_sampler",
}
STEPS, GUIDANCE = "steps", "guidance_strength"
MOST_STEPS = 1000
# What a sampler does where its model does not say.
_UNSAID = {STEPS: 12, GUIDANCE: 1.0}


def samplers_of(folder: Path):
    """The steps and the strength of guidance of each stage as the model set in ``folder`` has them.

    A dictionary by stage of dictionaries by ``STEPS`` and ``GUIDANCE``.
    """
    file = folder / "pipeline.json"
    try:
        return _read(file, file.stat().st_mtime_ns)
    except OSError:
        return _of({})


@lru_cache(maxsize=8)
def _read(file, _changed):
    return _of((read_json(file) or {}).get("args"))


def _of(described):
    return {stage: _own(described, sampler) for stage, sampler in _SAMPLERS.items()}


def _own(described, sampler):
    entry = described.get(sampler) if isinstance(described, dict) else None
    params = entry.get("params") if isinstance(entry, dict) else None
    own = dict(_UNSAID)
    for name, kind in ((STEPS, int), (GUIDANCE, float)):
        value = params.get(name) if isinstance(params, dict) else None
        if isinstance(value, int | float) and math.isfinite(value):
            own[name] = kind(value)
    return own
