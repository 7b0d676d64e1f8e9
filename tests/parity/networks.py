# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runners of all networks share."""

from __future__ import annotations

import torch
from espalier.engine.models.layers import Torso
from espalier.engine.models.registry import build_model
from espalier.engine.sparse import SparseTensor

from .case import Case


def build(case: Case) -> Torso:
    """The case's network with its weights: every name has to fit."""
    model = build_model(case.about["class"], case.about["args"])
    model.load_state_dict(case.weights, strict=True)
    return model.eval()


def sparse(case: Case, feats: str, coords: str) -> SparseTensor:
    """An input on voxels."""
    return SparseTensor(case.input(feats), case.input(coords))


def compare_sparse(case: Case, name: str, actual: SparseTensor) -> None:
    """Compare ``NAME.feats`` and ``NAME.coords``."""
    case.equal(f"{name}.coords", actual.coords)
    case.close(f"{name}.feats", actual.feats)


def cast(case: Case, model: Torso) -> None:
    """Convert to the recorded low precision and compare which parameters that moves."""
    low = getattr(torch, next(name for name in case.about["mixed_precision"]["dtypes"] if name != "float32"))
    model.convert_to(low)
    moved = sorted(name for name, weight in model.named_parameters() if weight.dtype == low)
    case.agree("mixed_precision.cast_params", moved, sorted(case.about["mixed_precision"]["cast_params"]))
