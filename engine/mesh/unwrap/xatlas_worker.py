# SPDX-License-Identifier: GPL-3.0-or-later
"""The child process in which xatlas runs: it can crash or hang on some meshes, and then only this process ends.

Started as a script (never imported): ``python -I xatlas_worker.py FOLDER SECONDS``. Reads ``work.npz`` in FOLDER,
writes ``done.npz`` under a temporary name and renames it. Leaves by itself after SECONDS even when its parent is gone.
"""

import faulthandler
import os
import sys

import numpy as np
import xatlas


def parametrise(positions: np.ndarray, faces: np.ndarray, piece: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Cut each piece (face label int [F]) into charts and flatten them.

    Returns ``uv`` float32 [F, 3, 2] in the units of ``positions`` and ``chart`` int64 [F], -1 where xatlas gave none.
    """
    atlas = xatlas.Atlas()
    members = []
    order = np.argsort(piece, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(piece[order])) + 1):
        used, local = np.unique(faces[group], return_inverse=True)
        atlas.add_mesh(positions[used].astype(np.float32), local.reshape(-1, 3).astype(np.uint32))
        members.append(group)
    packing = xatlas.PackOptions()
    packing.resolution = size
    atlas.generate(pack_options=packing)
    scale = np.array([atlas.width, atlas.height], dtype=np.float32) / atlas.texels_per_unit
    uv = np.zeros((len(faces), 3, 2), dtype=np.float32)
    chart = np.full(len(faces), -1, dtype=np.int64)
    used_charts = 0
    for mesh, group in enumerate(members):
        _, corners, coordinates = atlas[mesh]
        uv[group] = coordinates[corners].reshape(-1, 3, 2) * scale
        for index in range(atlas.get_mesh_chart_count(mesh)):
            chart[group[np.asarray(atlas.get_mesh_chart(mesh, index).faces, dtype=np.int64)]] = used_charts
            used_charts += 1
    return {"uv": uv, "chart": chart}


def pack(uv: np.ndarray, chart: np.ndarray, size: int, padding: int) -> dict[str, np.ndarray]:
    """Place charts (face label int [F]) in a square of ``size`` texels, ``padding`` texels apart, as large as they fit.

    Returns ``uv`` float32 [F, 3, 2] in texels, or an empty array when no scale fits.
    """
    rows = np.concatenate([np.repeat(chart, 3)[:, None].astype(np.float64), uv.reshape(-1, 2)], axis=1)
    corners, inverse = np.unique(rows, axis=0, return_inverse=True)
    points = np.ascontiguousarray(corners[:, 1:], dtype=np.float32)
    indices = inverse.reshape(-1, 3).astype(np.uint32)
    labels = np.ascontiguousarray(chart[:, None], dtype=np.uint32)
    edges = uv[:, 1:] - uv[:, :1]
    area = 0.5 * np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).sum(dtype=np.float64)
    largest = size / np.sqrt(max(area, 1e-20))

    def attempt(use: float) -> np.ndarray | None:
        atlas = xatlas.Atlas()
        atlas.add_uv_mesh(points, indices, labels)
        options = xatlas.PackOptions()
        options.padding = padding
        options.resolution = size
        options.texels_per_unit = float(largest * np.sqrt(use))
        atlas.generate(pack_options=options)
        if atlas.atlas_count != 1 or atlas.width > size or atlas.height > size:
            return None
        _, corner, coordinates = atlas[0]
        return (coordinates[corner] * [atlas.width, atlas.height]).reshape(-1, 3, 2)

    low, high, best = 0.0, 0.9, None
    for use in (0.55, 0.3, 0.1, 0.02, 0.002):
        best = attempt(use)
        if best is not None:
            low = use
            break
        high = use
    for _ in range(4 if best is not None else 0):
        middle = 0.5 * (low + high)
        placed = attempt(middle)
        if placed is None:
            high = middle
        else:
            low, best = middle, placed
    return {"uv": np.zeros((0, 3, 2), np.float32) if best is None else best.astype(np.float32)}


def main() -> None:
    """Do the work in the folder given on the command line."""
    folder, seconds = sys.argv[1], float(sys.argv[2])
    faulthandler.dump_traceback_later(seconds, exit=True)
    with np.load(os.path.join(folder, "work.npz"), allow_pickle=False) as work:
        arrays = {name: work[name] for name in work.files}
    task = str(arrays.pop("task"))
    arguments = {name: value.item() if value.ndim == 0 else value for name, value in arrays.items()}
    result = {"parametrise": parametrise, "pack": pack}[task](**arguments)
    half_written = os.path.join(folder, "half.npz")
    np.savez(half_written, **result)
    os.replace(half_written, os.path.join(folder, "done.npz"))


if __name__ == "__main__":
    main()
