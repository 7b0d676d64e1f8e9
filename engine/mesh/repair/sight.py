# SPDX-License-Identifier: GPL-3.0-or-later
"""Which side of each face is seen from outside the object.

The object is pictured from directions all around it, without perspective; each pixel belongs to the face in front. A
layer behind a tear, a wall without an inside, a flap: whatever the surface is like, the side that shows is known.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import numpy as np
import torch

from ...kernels import choice
from ...kernels.host_arrays import on_best_device, upload
from ..compilation import load_loops
from ..surface.clean import compact

CLEAR = 0.7
"""The part of what is seen of both sides by which one must be ahead of the other to have a say."""
PIXELS_A_VOXEL = 2
LARGEST_PICTURE = 640
"""Pixels along a side: with more faces than that can show, one of several is seen and speaks for them."""
WORK = 10_000_000
"""Faces drawn, about: how many pairs of opposite directions follows from it, within these limits."""
FEWEST, MOST = 6, 48
SLACK = 1e-9
"""Share of a face by which it reaches beyond its edges: rounding must not let a pixel look through between two."""


def seen_areas(vertices: np.ndarray, faces: np.ndarray, voxel: float) -> np.ndarray:
    """Return for each face how much of its front and of its back is seen from outside, float64 [F, 2], world units².

    vertices [V, 3], faces int [F, 3], ``voxel`` the spacing of the grid they come from. A side that is in full view has
    the face's area, on the average over many faces: a single one may fall between the pixels.
    """
    used = compact(vertices, faces)[0]
    middle = 0.5 * (used.min(axis=0) + used.max(axis=0))
    radius = float(np.linalg.norm(used - middle, axis=1).max())
    pitch = max(voxel / PIXELS_A_VOXEL, 2.0 * radius / LARGEST_PICTURE)
    side = int(2.0 * radius / pitch) + 3
    frames = _frames(int(np.clip(WORK // len(faces), FEWEST, MOST)))
    points, faces = (vertices - middle) / pitch, np.ascontiguousarray(faces, dtype=np.int32)
    seen = on_best_device(lambda device: _all_pictures(device, points, faces, frames, side))
    # Of all directions from which a side may show, a flat face turns a quarter of its area to each.
    return seen * (pitch**2 * 4.0 / (2 * len(frames)))


def clearly_ahead(seen: np.ndarray) -> np.ndarray:
    """Return how much more of the front than of the back is seen, float64 [N], of ``seen`` [N, 2] (see ``seen_areas``).

    0 where neither is clearly ahead: what is hidden, and single sheets that are seen from both sides.
    """
    ahead = seen[:, 0] - seen[:, 1]
    # Whole pixels often make it exactly; the order in which they were added up must not decide.
    return np.where(np.abs(ahead) > (1.0 + 1e-9) * CLEAR * seen.sum(axis=1), ahead, 0.0)


def _all_pictures(
    device: torch.device, points: np.ndarray, faces: np.ndarray, frames: np.ndarray, side: int
) -> np.ndarray:
    """Count over all ``frames`` the pixels that show each face, int [F, 2] (see ``plain_picture``).

    By the Triton kernels where they serve ``device``, else with a picture on each core: the same counts.
    """
    if choice.serve(device):
        from ...kernels import sight_triton

        seen = torch.zeros((len(faces), 2), dtype=torch.int32, device=device)
        parts = [upload(part, device) for part in (points, faces)]
        for frame in frames.tolist():
            sight_triton.picture(*parts, frame, side, seen)
        return seen.cpu().numpy()
    loops = load_loops("repair.compiled_sight")
    picture = loops.picture if loops else plain_picture
    seen, adding = np.zeros((len(faces), 2), dtype=np.int64), Lock()

    def add(frame: np.ndarray) -> None:
        shown = np.zeros((len(faces), 2), dtype=np.int32)
        picture(points, faces, frame, side, shown)
        with adding:
            np.add(seen, shown, out=seen)

    # The plain function's temporaries are large: one picture at a time.
    with ThreadPoolExecutor(os.cpu_count() or 1 if loops else 1) as threads:
        list(threads.map(add, frames))
    return seen


def plain_picture(points: np.ndarray, faces: np.ndarray, frame: np.ndarray, side: int, seen: np.ndarray) -> None:
    """Draw faces int32 [F, 3] in a picture of ``side`` x ``side`` pixels and count for each the pixels that show it.

    points float64 [V, 3] in pixels from its middle, ``frame`` [3, 3] what is right, up and along the direction of view
    in it. The picture is taken from both ends of that direction. ``seen`` int32 [F, 2] grows by the pixels that show
    the front (by winding) and the back. Of faces that are equally near the first one shows.
    """
    x, y, z = points.T
    # Sums in this order give the same bits as the compiled loop.
    flat = np.stack([x * row[0] + y * row[1] + z * row[2] for row in frame], axis=1)
    flat[:, :2] += side / 2.0
    corners = flat[faces]
    low = np.ceil(corners[:, :, :2].min(axis=1)).astype(np.int64)
    size = np.maximum(np.floor(corners[:, :, :2].max(axis=1)).astype(np.int64) - low + 1, 0)
    count = size[:, 0] * size[:, 1]
    face = np.repeat(np.arange(len(faces)), count)
    place = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
    column, row = low[face, 0] + place % size[face, 0], low[face, 1] + place // size[face, 0]
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (corners[face, corner].T for corner in range(3))
    twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    with np.errstate(divide="ignore", invalid="ignore"):
        third = ((bx - ax) * (row - ay) - (by - ay) * (column - ax)) / twice
        second = ((column - ax) * (cy - ay) - (row - ay) * (cx - ax)) / twice
        first = 1.0 - second - third
        distance = first * az + second * bz + third * cz
        within = (twice != 0.0) & (np.minimum(np.minimum(first, second), third) >= -SLACK)
    face, pixel, distance = face[within], (row * side + column)[within], distance[within]
    along = twice[within] > 0.0
    for sign in (1.0, -1.0):
        order = np.lexsort((face, sign * distance, pixel))
        nearest = order[np.flatnonzero(np.diff(pixel[order], prepend=-1))]
        front = along[nearest] != (sign > 0)
        np.add.at(seen, (face[nearest], np.where(front, 0, 1)), 1)


def _frames(count: int) -> np.ndarray:
    """Spread directions evenly over half a sphere (a Fibonacci lattice): [count, 3, 3], right, up and along each."""
    step = np.arange(count) + 0.5
    height, turn = 1.0 - step / count, np.pi * (1.0 + 5.0**0.5) * step
    radius = np.sqrt(1.0 - height**2)
    along = np.stack([radius * np.cos(turn), radius * np.sin(turn), height], axis=1)
    right = np.cross(along, np.eye(3)[np.abs(along).argmin(axis=1)])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(along, right), along], axis=1)
