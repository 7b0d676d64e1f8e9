# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain xatlas on one whole mesh, as most tools call it."""

from __future__ import annotations

import numpy as np
import xatlas

from .watch import Steps, answer, request_of


def main(arguments: list[str]) -> int:
    """Argument: a folder beside ``engine``; request: ``texture_size``, ``padding``. Writes ``lean.npz``."""
    folder, request = request_of(arguments)
    with np.load(folder.parent / "engine" / "lean.npz") as arrays:
        vertices, faces = arrays["vertices"], arrays["faces"]
    steps, atlas = Steps(folder), xatlas.Atlas()
    options = xatlas.PackOptions()
    options.resolution, options.padding = int(request["texture_size"]), int(request["padding"])
    with steps.step("unwrap"):
        atlas.add_mesh(vertices.astype(np.float32), faces.astype(np.uint32))
        atlas.generate(pack_options=options)
        _, corners, coordinates = atlas[0]
    np.savez(folder / "lean.npz", vertices=vertices, faces=faces, uv=coordinates[corners].reshape(-1, 3, 2))
    answer(folder, {"faces": len(faces), "width": atlas.width, "height": atlas.height})
    return 0
