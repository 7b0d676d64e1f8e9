# SPDX-License-Identifier: GPL-3.0-or-later
"""O-Voxel: mesh to flexible dual grid and back, voxel materials, sampling of sparse voxels."""

from .dual_grid import DualGrid, mesh_to_dual_grid
from .grid import Grid, VoxelTable
from .material import Material, VoxelMaterial, voxelize_material
from .normalise import normalise_mesh
from .sampling import SparseValues, sample_sparse
from .surface import dual_grid_quads, dual_grid_to_mesh
from .texture import Texture

__all__ = [
    "DualGrid",
    "Grid",
    "Material",
    "SparseValues",
    "Texture",
    "VoxelMaterial",
    "VoxelTable",
    "dual_grid_quads",
    "dual_grid_to_mesh",
    "mesh_to_dual_grid",
    "normalise_mesh",
    "sample_sparse",
    "voxelize_material",
]
