# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's simplify and unwrap alone, on the cleaned surface of a case, timed beside those of other tools."""

from __future__ import annotations

import numpy as np

from ...engine.mesh.finish_settings import REPAIRS
from ...engine.mesh.simplify.simplify import reduce_faces
from ...engine.mesh.unwrap.unwrap import unwrap
from .finish_task import warm_up_finishing
from .watch import Steps, answer, request_of


def main(arguments: list[str]) -> int:
    """Argument: a folder within a case's; request: ``resolution``, ``target``, ``texture_size``. Writes ``clean.npz``
    and ``lean.npz``."""
    folder, request = request_of(arguments)
    warm_up_finishing()
    steps, source = Steps(folder), folder.parent
    with np.load(source / "raw.npz") as arrays:
        vertices, faces, coords = arrays["vertices"], arrays["faces"], arrays["coords"]
    with steps.step("clean"):
        vertices, faces, _ = REPAIRS["clean"](vertices, faces, coords.astype(np.int32), int(request["resolution"]))
    np.savez(folder / "clean.npz", vertices=vertices.astype(np.float32), faces=faces.astype(np.int32))
    with steps.step("simplify"):
        lean_vertices, lean_faces = reduce_faces(vertices, faces, int(request["target"]))
    with steps.step("unwrap"):
        layout = unwrap(lean_vertices, lean_faces, int(request["texture_size"]), lambda: False)
    np.savez(folder / "lean.npz", vertices=lean_vertices, faces=lean_faces, uv=layout.uv)
    answer(
        folder, {"clean_faces": len(faces), "faces": len(lean_faces), "method": layout.method, "events": layout.events}
    )
    return 0
