# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a result's frame lies in a mesh that was built from it and has been moved, scaled or sculpted since."""

from __future__ import annotations

import numpy as np

# Of the object's size: how far the better half of the vertices may lie from where they belong.
MOST_OFF = 1e-3
FLAT = 1e-6


def frame_in_mesh(built, now, fresh):
    """Return the affine map, float64 [4, 3] for rows (x, y, z, 1), from the result's frame into the mesh's space.

    ``built`` [V, 3] are the vertices of the result that the mesh was built from (None when they are lost), ``now``
    [W, 3] the mesh's vertices, ``fresh`` [U, 3] those of the new result. As long as the vertices are the same ones the
    map is exact, whatever transform was applied to them; it follows the half that fits best, so that sculpted parts do
    not matter. Otherwise the new box takes the old one's place: same longest side, same centre of the base.
    """
    if built is not None and len(built) == len(now):
        built, now = built.astype(np.float64), now.astype(np.float64)
        rows = _solve(built, now)
        if rows is not None:
            off = _distance(built, now, rows)
            best = off <= np.median(off)
            rows = _solve(built[best], now[best])
            if rows is not None and np.median(_distance(built, now, rows)) <= MOST_OFF * np.ptp(now, axis=0).max():
                return rows
    return _by_boxes(now, fresh)


def _solve(built, now):
    """The affine map that fits best; None where the points lie in a plane, so that there are many."""
    centre = built.mean(axis=0)
    linear, _, _, singular = np.linalg.lstsq(built - centre, now - now.mean(axis=0), rcond=None)
    if singular[-1] <= FLAT * singular[0]:
        return None
    return np.vstack([linear, now.mean(axis=0) - centre @ linear])


def _distance(built, now, rows):
    return np.linalg.norm(built @ rows[:3] + rows[3] - now, axis=1)


def _by_boxes(now, fresh):
    if not len(now):
        now = fresh
    longest = float(np.ptp(fresh, axis=0).max())
    scale = float(np.ptp(now, axis=0).max()) / longest if longest > 0 else 1.0
    return np.vstack([np.eye(3) * scale, _base(now) - _base(fresh) * scale])


def _base(points):
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    return np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])


def map_asset(rows, vertices, faces, uv, normals):
    """Apply an affine map to a result's arrays. Under a mirroring one the corners run the other way round."""
    vertices = vertices.astype(np.float64) @ rows[:3] + rows[3]
    scale = rows[0, 0]
    # A mere change of size leaves the normals as they are.
    if normals is not None and not (scale > 0 and np.array_equal(rows[:3], scale * np.eye(3))):
        normals = normals.astype(np.float64) @ np.linalg.inv(rows[:3]).T
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-20)
    if np.linalg.det(rows[:3]) < 0:
        faces = faces[:, ::-1]
        uv = None if uv is None else uv[:, ::-1]
        normals = normals if normals is None or normals.ndim == 2 else normals[:, ::-1]
    return vertices, faces, uv, normals
