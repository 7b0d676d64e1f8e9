# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares one case with whichever runner it needs."""

from __future__ import annotations

import traceback

import torch

from . import (  # noqa: F401  (each registers its runners)
    autoencoders,
    cascades,
    dual_grids,
    flows,
    image_encoders,
    images,
    materials,
    pipelines,
    samplers,
    sparse_units,
    surfaces,
    voxel_files,
)
from .case import Case
from .runners import find


@torch.no_grad()
def compare(case: Case) -> None:
    """Load a case, run its runner to the end or to its first exception, and close the account."""
    try:
        case.load()
        find(case)(case)
    except Exception as error:
        traceback.print_exc()
        case.fail(f"{type(error).__name__}: {error}")
    case.close_account()
