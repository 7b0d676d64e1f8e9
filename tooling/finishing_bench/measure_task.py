# SPDX-License-Identifier: GPL-3.0-or-later
"""The measuring process: what a finished case is like, from the files it left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from .atlas import measure_atlas
from .rerender import Voxels, map_fidelity, seen_pixels
from .shading import normal_error
from .surfaces import Surface, distances, edge_counts, inside_out_components
from .watch import answer, request_of


def main(arguments: list[str]) -> int:
    """Argument: a case's folder; request: ``resolution`` and ``texture_size``. Reads what ``finish_task`` wrote."""
    folder, request = request_of(arguments)
    source = folder.parent
    with np.load(source / "raw.npz") as arrays:
        raw = Surface(arrays["vertices"], arrays["faces"])
        voxels = Voxels(arrays["coords"], arrays["attrs"], int(request["resolution"]))
    mesh = _mesh(source / "finished.npz")
    vertices, faces = mesh["vertices"], mesh["faces"]
    maps = {path.stem: np.asarray(Image.open(path)) for path in sorted(source.glob("*.png"))}
    size = float(np.ptp(raw.vertices[np.unique(raw.faces)], axis=0).max())
    pixels = seen_pixels(vertices, faces)
    answer(
        folder,
        {
            "raw": edge_counts(raw.faces),
            "finished": edge_counts(faces),
            "inside_out": inside_out_components(vertices, faces),
            "distance": distances(Surface(vertices, faces), raw, size),
            "atlas": measure_atlas(vertices, faces, mesh["uv"], int(request["texture_size"])),
            "fidelity": map_fidelity(mesh, *pixels, maps, raw, voxels),
            "shading": normal_error(mesh, *pixels, maps.get("normal"), raw),
            "map_sizes": sorted({image.shape[0] for image in maps.values()}),
            "lods": [_level(path, raw, size, maps, voxels) for path in sorted(source.glob("lod*.npz"))],
        },
    )
    return 0


def _mesh(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as arrays:
        return {name: arrays[name] for name in ("vertices", "faces", "uv", "normals")}


def _level(path: Path, raw: Surface, size: float, maps: dict[str, np.ndarray], voxels: Voxels) -> dict:
    """A level of detail: its counts, its distance to the raw surface, and the maps of the full asset on it."""
    mesh = _mesh(path)
    pixels = seen_pixels(mesh["vertices"], mesh["faces"])
    return {
        **edge_counts(mesh["faces"]),
        **distances(Surface(mesh["vertices"], mesh["faces"]), raw, size),
        **map_fidelity(mesh, *pixels, maps, raw, voxels),
    }
