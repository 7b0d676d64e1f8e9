# SPDX-License-Identifier: GPL-3.0-or-later
"""Textured mesh to voxel materials: base colour, metallic, roughness and alpha for each active voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import EspalierError
from .crossings import grid_crossings
from .dual_grid import triangles_in_box
from .grid import UNIT_BOX, Grid, VoxelTable
from .texture import Texture, sample_texture

# Below this uv area a triangle has no usable texture footprint and reads the full-size image.
_SMALLEST_UV_DETERMINANT = 1e-6


@dataclass(frozen=True)
class Material:
    """A metallic-roughness surface: factors in [0, 1], each multiplied by its texture where there is one.

    ``base_color_texture`` has three channels, the others one. Colours stay as the image stores them (sRGB): the
    networks were trained on averages of encoded bytes. ``alpha_mode`` "opaque" gives alpha 1, "mask" gives 0 below
    ``alpha_cutoff`` and 1 elsewhere, before voxels are averaged.
    """

    base_color: tuple[float, float, float] = (0.8, 0.8, 0.8)
    metallic: float = 0.0
    roughness: float = 0.5
    alpha: float = 1.0
    alpha_mode: Literal["opaque", "mask", "blend"] = "opaque"
    alpha_cutoff: float = 0.5
    base_color_texture: Texture | None = None
    metallic_texture: Texture | None = None
    roughness_texture: Texture | None = None
    alpha_texture: Texture | None = None


@dataclass(frozen=True)
class VoxelMaterial:
    """Materials of N voxels in lexicographic order, in [0, 1].

    ``coords`` int32 [N, 3]; ``base_color`` float32 [N, 3]; ``metallic``, ``roughness``, ``alpha`` float32 [N].
    """

    coords: Tensor
    base_color: Tensor
    metallic: Tensor
    roughness: Tensor
    alpha: Tensor

    def channels(self) -> Tensor:
        """float32 [N, 6]: base colour, metallic, roughness, alpha, the layout of the material networks."""
        rest = torch.stack([self.metallic, self.roughness, self.alpha], 1)
        return torch.cat([self.base_color, rest], 1)

    def quantised(self) -> Tensor:
        """uint8 [N, 6]: ``channels`` times 255, truncated as on disk."""
        return (self.channels() * 255).clamp(0, 255).to(torch.uint8)


def voxelize_material(
    vertices: Tensor,
    faces: Tensor,
    uvs: Tensor | None,
    material_ids: Tensor,
    materials: Sequence[Material],
    resolution: int | Sequence[int] | None = None,
    *,
    voxel_size: float | Sequence[float] | None = None,
    aabb: Sequence[Sequence[float]] | Tensor = UNIT_BOX,
    mip_offset: float = 0.0,
    clip: bool = False,
) -> VoxelMaterial:
    """Give each active voxel the mean material of the triangles that cross its edges.

    ``vertices`` [V, 3] in the box ``aabb``, ``faces`` [F, 3], ``uvs`` [F, 3, 2] per corner or None without textures,
    ``material_ids`` int [F] into ``materials`` (-1: the default material). The voxels are exactly those of
    ``mesh_to_dual_grid`` for the same triangles. Each (triangle, voxel) pair is sampled once, at the voxel centre
    projected onto the triangle's plane. Computed on the CPU. spec/ovoxel.md section 3.

    Raises EspalierError("bad_input") as ``mesh_to_dual_grid``, and when uvs or material indices do not fit the faces.
    """
    grid = Grid.of(resolution, voxel_size, aabb)
    triangles, faces = triangles_in_box(vertices, faces, grid, clip)
    material_ids = torch.as_tensor(material_ids).cpu().long()
    count = len(materials)
    if material_ids.shape != (len(faces),) or bool(((material_ids < -1) | (material_ids >= count)).any()):
        raise EspalierError("bad_input", "The faces refer to materials that are not there.")
    if uvs is None:
        uvs = triangles.new_zeros((len(faces), 3, 2))
    uvs = torch.as_tensor(uvs, dtype=torch.float32).cpu()
    if uvs.shape != (len(faces), 3, 2) or not torch.isfinite(uvs).all():
        raise EspalierError("bad_input", "The texture coordinates of the mesh do not fit its faces or are undefined.")

    crossings = grid_crossings(triangles, grid)
    _, coords, around = VoxelTable.around_edges([crossing.cell for crossing in crossings], grid)
    pairs = [row * len(faces) + crossing.triangle for crossing, rows in zip(crossings, around) for row in rows]
    pair = torch.unique(torch.cat(pairs))
    row, triangle = pair // len(faces), pair % len(faces)
    centre = (coords[row] + 0.5).float() * grid.voxel_size
    weights, distance = _plane_barycentrics(triangles[triangle], centre)
    uv = (weights.unsqueeze(2) * uvs[triangle]).sum(1)
    footprint = _footprint(triangles, uvs, float(grid.voxel_size.max()))[triangle]

    values = triangles.new_empty((len(pair), 6))
    used = material_ids[triangle]
    for index in torch.unique(used).tolist():
        chosen = (used == index).nonzero().squeeze(1)
        material = materials[index] if index >= 0 else Material()
        values[chosen] = _shade(material, uv[chosen], footprint[chosen], mip_offset)

    weight = (1 - distance).double()
    total = torch.zeros((len(coords), 7), dtype=torch.float64)
    total.index_add_(0, row, torch.cat([values * weight.unsqueeze(1), weight.unsqueeze(1)], 1))
    mean = (total[:, :6] / total[:, 6:]).float().clamp(0, 1)
    return VoxelMaterial(coords.int(), mean[:, :3], mean[:, 3], mean[:, 4], mean[:, 5])


def _plane_barycentrics(triangles: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """Barycentrics [P, 3] of the projections of points [P, 3] on triangle planes, and signed distances [P].

    Not clamped to the triangle, as the reference. A triangle without area counts as its centroid at no distance.
    """
    a, b, c = triangles.double().unbind(1)
    ab, ac, ap = b - a, c - a, points.double() - a
    normal = torch.linalg.cross(ab, ac)
    square = (normal * normal).sum(1)
    flat = square <= 1e-24 * ((ab * ab).sum(1) * (ac * ac).sum(1)).clamp_min(1e-300)
    square = torch.where(flat, 1.0, square)
    wb = (torch.linalg.cross(ap, ac) * normal).sum(1) / square
    wc = (torch.linalg.cross(ab, ap) * normal).sum(1) / square
    distance = (ap * normal).sum(1) / square.sqrt()
    weights = torch.stack([1 - wb - wc, wb, wc], 1)
    return torch.where(flat.unsqueeze(1), 1 / 3, weights).float(), torch.where(flat, 0.0, distance).float()


def _footprint(triangles: Tensor, uvs: Tensor, voxel: float) -> Tensor:
    """Size of one voxel in uv units on each triangle, float32 [F]; 0 where the uv area vanishes."""
    edge1, edge2 = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    (du1, dv1), (du2, dv2) = ((uvs[:, end] - uvs[:, 0]).unbind(1) for end in (1, 2))
    determinant = du1 * dv2 - du2 * dv1
    usable = determinant.abs() >= _SMALLEST_UV_DETERMINANT
    safe = torch.where(usable, determinant, 1.0)
    along_u = (edge1 * dv2.unsqueeze(1) - edge2 * dv1.unsqueeze(1)).norm(dim=1) / safe.abs()
    along_v = (edge2 * du1.unsqueeze(1) - edge1 * du2.unsqueeze(1)).norm(dim=1) / safe.abs()
    return torch.where(usable, voxel / torch.sqrt(along_u * along_v), 0.0)


def _shade(material: Material, uv: Tensor, footprint: Tensor, mip_offset: float) -> Tensor:
    """Base colour, metallic, roughness, alpha [Q, 6] of one material."""

    def channel(factor: Sequence[float], texture: Texture | None) -> Tensor:
        value = uv.new_tensor(factor).expand(len(uv), len(factor))
        if texture is None:
            return value
        return value * sample_texture(texture, uv, footprint, mip_offset)

    alpha = channel([material.alpha], material.alpha_texture)
    if material.alpha_mode == "opaque":
        alpha = torch.ones_like(alpha)
    elif material.alpha_mode == "mask":
        alpha = (alpha >= material.alpha_cutoff).float()
    return torch.cat(
        [
            channel(material.base_color, material.base_color_texture),
            channel([material.metallic], material.metallic_texture),
            channel([material.roughness], material.roughness_texture),
            alpha,
        ],
        1,
    )
