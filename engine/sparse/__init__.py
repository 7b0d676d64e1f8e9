# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse voxel tensors and the operations on them, in plain torch."""

from .chunks import chunk_rows, row_wise, wants_gradient
from .convolution import SparseConv3d
from .lookup import sample_nearest, sample_trilinear
from .resample import channel_to_space, copy_to_children, pool_children, space_to_channel
from .sites import Sites, Subdivision
from .tensor import SparseTensor

__all__ = [
    "Sites",
    "SparseConv3d",
    "SparseTensor",
    "Subdivision",
    "channel_to_space",
    "chunk_rows",
    "copy_to_children",
    "pool_children",
    "row_wise",
    "sample_nearest",
    "sample_trilinear",
    "space_to_channel",
    "wants_gradient",
]
