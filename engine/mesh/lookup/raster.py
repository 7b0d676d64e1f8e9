# SPDX-License-Identifier: GPL-3.0-or-later
"""Rasterises a UV layout: which face each texel shows, and where in that face.

Texture frame: ``uv`` has its origin at the lower left (Blender, OpenGL); rows of an image run from the top. The centre
of the texel in row r, column c of an image of side S lies at u = (c + 0.5) / S, v = 1 - (r + 0.5) / S.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...kernels import choice
from ...kernels.host_arrays import home, on_best_device, on_card, upload
from ...kernels.nvdiffrast_names import named_faces
from ..compilation import load_loops
from . import tensor_raster

# A texel whose centre is outside every triangle still belongs to the nearest one within this many texels: half a
# texel's diagonal, so that every texel a chart touches is covered.
REACH = 0.71

# A centre is clearly inside a face where all its weights are larger.
_CLEAR = 1e-3

# Candidate (texel, face) pairs examined at once: temporaries stay in the processor's cache.
_CHUNK_PAIRS = 200_000


@dataclass(frozen=True)
class UvRaster:
    """Covered texels, ascending by flat index.

    size: the image side. texel: int64 [T], row * size + column. face: int64 [T].
    barycentric: float64 [T, 3] of the point of the face nearest to the texel's centre.
    inside: bool [T], whether the centre itself lies in the face.
    """

    size: int
    texel: np.ndarray
    face: np.ndarray
    barycentric: np.ndarray
    inside: np.ndarray

    def mask(self) -> np.ndarray:
        """Return the covered texels as bool [size, size]."""
        covered = np.zeros(self.size * self.size, dtype=bool)
        covered[self.texel] = True
        return covered.reshape(self.size, self.size)


def texel_space(uv: np.ndarray, size: int) -> np.ndarray:
    """Map uv [..., 2] to (column, row) coordinates in texels, float64; texel (c, r) spans [c, c+1) x [r, r+1)."""
    uv = uv.astype(np.float64)
    return np.stack([uv[..., 0] * size, (1.0 - uv[..., 1]) * size], axis=-1)


def rasterise(uv: np.ndarray, size: int) -> UvRaster:
    """Rasterise faces ``uv`` [F, 3, 2] into a square image, conservatively at chart borders (see ``REACH``).

    A texel belongs to the lowest face that its centre lies in; where there is none, to the face nearest to the centre
    within ``REACH`` (the lower one of two).
    """
    return on_best_device(lambda device: _rasterise_on(device, uv, size))


def _rasterise_on(device: torch.device, uv: np.ndarray, size: int) -> UvRaster:
    """By the Triton kernels where they serve ``device``, else by torch on the card, else on the processor: the same
    bits."""
    corners = texel_space(uv, size)
    if choice.serve(device):
        from ...kernels.uv_raster_triton import rasterise as by_kernels

        at = upload(corners, device)
        rim = tensor_raster.rim_faces(upload(uv, device), at)
        return UvRaster(size, *home(by_kernels(at, rim, size, REACH)))
    if found := on_card(lambda *arrays: _by_torch(*arrays, size), corners, uv):
        return UvRaster(size, *found)
    planes = _Planes(corners)
    return _rasterise(corners, planes, np.flatnonzero(_touches_rim(uv) | (planes.area == 0)), size)


def _by_torch(corners: Tensor, uv: Tensor, size: int) -> tuple[Tensor, ...]:
    rim = tensor_raster.rim_faces(uv, corners)
    return tensor_raster.rasterise(corners, rim, size, REACH, named_faces(corners, size))


def _rasterise(corners: np.ndarray, planes: _Planes, rim: np.ndarray, size: int) -> UvRaster:
    """``rasterise`` of ``corners`` in texels; ``rim``: the faces, ascending, that texels without a face reach for."""
    owner = np.full(size * size, -1, dtype=np.int32)
    for face, column, row in _candidates(corners, size, 0.0):
        hit = np.flatnonzero(planes.least_weight(face, column, row) >= 0)
        texel, face = (row[hit] * size + column[hit])[::-1], face[hit][::-1]
        free = owner[texel] < 0
        # Of repeated indices the last assignment stays: in reversed order that is the lowest face.
        owner[texel[free]] = face[free]
    covered = owner >= 0
    distance = np.full(size * size, np.inf)
    nearest = np.zeros((size * size, 2))
    for index, column, row in _candidates(corners[rim], size, REACH):
        texel = row * size + column
        open_ = ~covered[texel]
        texel, face, column, row = texel[open_], rim[index[open_]], column[open_], row[open_]
        weights, gap = _nearest_on_edges(np.stack([column + 0.5, row + 0.5], axis=1), corners[face])
        near = gap <= REACH**2
        texel, face, weights, gap = texel[near], face[near], weights[near], gap[near]
        order = np.lexsort((face, gap, texel))
        first = np.ones(len(order), dtype=bool)
        first[1:] = texel[order][1:] != texel[order][:-1]
        order = order[first]
        order = order[gap[order] < distance[texel[order]]]
        distance[texel[order]] = gap[order]
        owner[texel[order]] = face[order]
        nearest[texel[order]] = weights[order, 1:]
    texel = np.flatnonzero(owner >= 0)
    face = owner[texel].astype(np.int64)
    inside = covered[texel]
    tail = planes.weights(face, texel % size, texel // size)
    tail[~inside] = nearest[texel[~inside]]
    barycentric = np.concatenate([1.0 - tail.sum(axis=1, keepdims=True), tail], axis=1)
    return UvRaster(size, texel, face, barycentric, inside)


def overlapping_texels(uv: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Find texel centres that lie inside more than one face of ``uv`` [F, 3, 2].

    Returns the doubly covered flat texel indices (ascending, unique) and the faces there that came second or later
    (ascending, unique). Points on a common edge do not count: only centres clearly inside both faces do.
    """
    corners = texel_space(uv, size)
    if loops := load_loops("lookup.compiled_overlap"):
        times, later = loops.overlaps(corners, size, _CLEAR)
        return np.flatnonzero(times > 1), np.flatnonzero(later)
    planes = _Planes(corners)
    none = np.zeros(0, dtype=np.int64)
    hits_texel, hits_face = [none], [none]
    for face, column, row in _candidates(corners, size, 0.0):
        within = planes.least_weight(face, column, row) > _CLEAR
        hits_texel.append((row * size + column)[within])
        hits_face.append(face[within])
    texel, face = np.concatenate(hits_texel), np.concatenate(hits_face)
    order = np.argsort(texel, kind="stable")
    texel, face = texel[order], face[order]
    again = np.zeros(len(texel), dtype=bool)
    again[1:] = texel[1:] == texel[:-1]
    return np.unique(texel[again]), np.unique(face[again])


class _Planes:
    """The barycentric weights of b and c as linear functions of texel coordinates; ``area`` 0 marks flat faces."""

    def __init__(self, corners: np.ndarray) -> None:
        a = corners[:, 0]
        bx, by = (corners[:, 1] - a).T
        cx, cy = (corners[:, 2] - a).T
        area = bx * cy - by * cx
        self.area = np.where(np.abs(area) > 1e-9, area, 0.0)
        safe = np.where(self.area == 0, 1.0, area)
        self._b = np.stack([cy / safe, -cx / safe], axis=1)
        self._c = np.stack([-by / safe, bx / safe], axis=1)
        self._origin = a - 0.5
        # A flat face has no inside: its constant weight is negative everywhere.
        self._flat = np.where(self.area == 0, -1.0, 0.0)

    def weights(self, face: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Weights [N, 2] of corners b and c at the centres of texels."""
        x, y = column - self._origin[face, 0], row - self._origin[face, 1]
        wb = self._b[face, 0] * x + self._b[face, 1] * y
        wc = self._c[face, 0] * x + self._c[face, 1] * y
        return np.stack([wb, wc], axis=1)

    def least_weight(self, face: np.ndarray, column: np.ndarray, row: np.ndarray) -> np.ndarray:
        """The smallest of the three weights [N]: not negative where the texel's centre lies in the face."""
        wb, wc = self.weights(face, column, row).T
        return np.minimum(np.minimum(wb, wc), 1.0 - wb - wc) + self._flat[face]


def _candidates(corners: np.ndarray, size: int, reach: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (face, column, row) of texels with centres within ``reach`` of a face's bounding box, faces ascending."""
    low = np.clip(np.ceil(corners.min(axis=1) - 0.5 - reach), 0, size).astype(np.int64)
    high = np.clip(np.floor(corners.max(axis=1) - 0.5 + reach) + 1, 0, size).astype(np.int64)
    extent = np.maximum(high - low, 0)
    pairs = extent[:, 0] * extent[:, 1]
    total = np.cumsum(pairs)
    start = 0
    while start < len(pairs):
        done = int(total[start - 1]) if start else 0
        stop = max(int(np.searchsorted(total, done + _CHUNK_PAIRS, side="right")), start + 1)
        count = pairs[start:stop]
        face = start + np.repeat(np.arange(stop - start), count)
        offset = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
        row, column = np.divmod(offset, extent[face, 0])
        yield face, low[face, 0] + column, low[face, 1] + row
        start = stop


def _touches_rim(uv: np.ndarray) -> np.ndarray:
    """Tell which faces [F] have a corner on the border of their chart: an edge no other face has in UV."""
    points = np.ascontiguousarray(uv.reshape(-1, 2).astype(np.float32)) + np.float32(0.0)
    corner = np.unique(points.view(np.int64).reshape(-1), return_inverse=True)[1].reshape(-1, 3)
    following = np.roll(corner, -1, axis=1)
    low, high = np.minimum(corner, following).reshape(-1), np.maximum(corner, following).reshape(-1)
    _, inverse, count = np.unique(low * (corner.max(initial=0) + 1) + high, return_inverse=True, return_counts=True)
    single = count[inverse.reshape(-1)] == 1
    on_rim = np.zeros(int(corner.max(initial=0)) + 1, dtype=bool)
    on_rim[low[single]] = on_rim[high[single]] = True
    return on_rim[corner].any(axis=1)


def _nearest_on_edges(point: np.ndarray, triangle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights [N, 3] of the point on the edges of triangles [N, 3, 2] that is nearest, and its squared distance [N]."""
    nearest = np.full(len(point), np.inf)
    chosen = np.zeros((len(point), 3))
    for i in range(3):
        j = (i + 1) % 3
        begin, along = triangle[:, i], triangle[:, j] - triangle[:, i]
        length = (along * along).sum(axis=1)
        t = np.clip(((point - begin) * along).sum(axis=1) / np.where(length > 0, length, 1.0), 0.0, 1.0)
        dx, dy = (point - begin - t[:, None] * along).T
        gap = dx * dx + dy * dy
        closer = gap < nearest
        nearest = np.where(closer, gap, nearest)
        on_edge = np.zeros((len(point), 3))
        on_edge[:, i], on_edge[:, j] = 1.0 - t, t
        chosen = np.where(closer[:, None], on_edge, chosen)
    return chosen, nearest
