# SPDX-License-Identifier: GPL-3.0-or-later
"""The measuring process for the comparison: simplified surfaces against the cleaned one, and every tool's layout."""

from __future__ import annotations

import numpy as np

from .atlas import measure_atlas
from .surfaces import Surface, distances, edge_counts
from .watch import answer, request_of


def main(arguments: list[str]) -> int:
    """Argument: a folder beside the tools' folders; request: ``texture_size``."""
    folder, request = request_of(arguments)
    place, size = folder.parent, int(request["texture_size"])
    with np.load(place / "engine" / "clean.npz") as arrays:
        clean = Surface(arrays["vertices"], arrays["faces"])
    extent = float(np.ptp(clean.vertices, axis=0).max())
    result: dict[str, dict] = {"clean": edge_counts(clean.faces)}
    for tool, name in (("engine", "lean"), ("blender", "decimated")):
        path = place / tool / f"{name}.npz"
        if path.exists():
            with np.load(path) as arrays:
                mesh = Surface(arrays["vertices"], arrays["faces"])
            error = distances(mesh, clean, extent) if len(mesh.faces) < len(clean.faces) else {}
            result[f"{tool}_simplify"] = {**edge_counts(mesh.faces), **error}
    for tool in ("engine", "xatlas", "blender"):
        path = place / tool / "lean.npz"
        if path.exists():
            with np.load(path) as arrays:
                result[f"{tool}_atlas"] = measure_atlas(arrays["vertices"], arrays["faces"], arrays["uv"], size)
    answer(folder, result)
    return 0
