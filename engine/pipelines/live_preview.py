# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job has so far, as a light mesh for the viewport: first the voxels of the structure, then the shape in clay,
then the shape with its materials.

Only for jobs that somebody watches. A thread makes the meshes, so that neither networks nor finishing need to wait.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..jobs import JobFolder
from ..mesh.unwrap.cluster import cluster_vertices
from .asset import VoxelAsset
from .job import Report

CELLS = 160
"""A shape is thinned to a grid of this many cells along a side: some 100 000 faces, which any viewport turns."""

FILES = {"structure": "live-structure.npz", "shape": "live-shape.npz", "material": "live-material.npz"}


class LivePreview:
    """Writes ``FILES`` and announces each.

    They hold ``vertices`` float32 [V, 3] in the engine's frame and ``faces`` int32 [F, 3]; that of the materials also
    ``attributes`` float32 [V, 6] in 0..1: base colour r, g, b (sRGB), metallic, roughness, alpha.
    """

    def __init__(self, job: JobFolder, report: Report) -> None:
        self._job, self._report = job, report
        self._work: queue.SimpleQueue[tuple[str, Callable[[], tuple[np.ndarray, np.ndarray]]] | None]
        self._work = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="live preview", daemon=True)
        self._thread.start()

    def structure(self, cells: np.ndarray, grid: int) -> None:
        """Show the occupied cells int [N, 3] of a ``grid``^3 grid."""
        self._work.put(("structure", lambda: boxes(cells, grid)))

    def shape(self, asset: VoxelAsset) -> None:
        """Show the surface of O-Voxels; their materials do not count."""
        self._work.put(("shape", lambda: cluster_vertices(*asset.surface(), CELLS)))

    def material(self, vertices: np.ndarray, faces: np.ndarray, attrs: np.ndarray) -> None:
        """Show a surface whose vertices [V, 3] have the materials ``attrs`` [V, 6]."""
        self._work.put(("material", lambda: cluster_vertices(np.column_stack([vertices, attrs]), faces, CELLS)))

    def close(self) -> None:
        """Wait until everything is written."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            stage, make = work
            try:
                values, faces = make()
                arrays = {"vertices": values[:, :3].astype(np.float32), "faces": faces.astype(np.int32)}
                if values.shape[1] > 3:
                    arrays["attributes"] = values[:, 3:].astype(np.float32)
                self._job.write_npz(FILES[stage], **arrays)
                self._report.preview(stage, FILES[stage])
            except Exception:
                # What fails here is not worth a job; where it is the disk, the job itself fails with a sentence.
                self._job.log(f"the live preview of {stage} failed\n{traceback.format_exc()}")


@contextlib.contextmanager
def watching(job: JobFolder, request: Mapping[str, Any], report: Report) -> Iterator[LivePreview | None]:
    """A live preview for as long as the job runs, where its request says that it is ``live``."""
    if request.get("live") is not True:
        yield None
        return
    preview = LivePreview(job, report)
    try:
        yield preview
    finally:
        preview.close()


def boxes(cells: np.ndarray, grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the outer sides of cells int [N, 3] of a ``grid``^3 grid as vertices float32 [V, 3] and triangles [F, 3].

    World frame: cell (i, j, k) spans ``-0.5 + index / grid``. The triangles face away from their cell.
    """
    side = grid + 2
    full = np.zeros((side,) * 3, dtype=bool)
    full[tuple(cells.T + 1)] = True
    corners = []
    for axis in range(3):
        u, v = np.eye(3, dtype=np.int64)[(axis + 1) % 3], np.eye(3, dtype=np.int64)[(axis + 2) % 3]
        for step in (1, -1):
            open_side = np.argwhere(full & ~np.roll(full, -step, axis)) - 1
            first = open_side + (np.eye(3, dtype=np.int64)[axis] if step > 0 else 0)
            around = (first, first + u, first + u + v, first + v)
            corners.append(np.stack(around[::step], axis=1))
    quads = np.concatenate(corners)
    points, number = np.unique(quads.reshape(-1, 3), axis=0, return_inverse=True)
    number = number.reshape(-1, 4)
    triangles = np.concatenate([number[:, [0, 1, 2]], number[:, [0, 2, 3]]]).astype(np.int32)
    return (points / grid - 0.5).astype(np.float32), triangles
