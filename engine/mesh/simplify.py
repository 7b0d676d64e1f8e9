# SPDX-License-Identifier: GPL-3.0-or-later
"""Fewer faces by quadric edge collapse (fast-simplification), open rims kept."""

from __future__ import annotations

import numpy as np


def simplify(vertices: np.ndarray, faces: np.ndarray, target_faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Collapse edges until about ``target_faces`` remain; a mesh that has no more than that is returned as it is.

    vertices float64 [V, 3], faces int64 [F, 3]. The rim of open surfaces is not moved unless rim faces alone exceed
    the target. The result can hold degenerate or doubled faces: clean it again.
    """
    if len(faces) <= target_faces:
        return vertices, faces
    from fast_simplification import simplify as collapse

    for keep_rim in (True, False):
        points, corners = collapse(
            vertices, faces.astype(np.int32), target_count=int(target_faces), preserve_border=keep_rim
        )
        if len(corners) <= 1.1 * target_faces:
            break
    return np.asarray(points, dtype=np.float64), np.asarray(corners, dtype=np.int64)
