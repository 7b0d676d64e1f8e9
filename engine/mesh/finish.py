# SPDX-License-Identifier: GPL-3.0-or-later
"""From a raw surface and voxel materials to a clean, unwrapped, textured mesh: the steps in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import Cancelled
from .bake import MaterialVoxels
from .bake_surface import FullSurface, LeanMesh, bake_texels, texture_maps
from .finish_settings import DEFAULTS, REPAIRS, FinishSettings
from .normals import corner_normals
from .raster import rasterise
from .simplify import reduce_faces
from .smooth import taubin_smooth
from .topology import edge_table, vertex_components
from .unwrap import unwrap

Report = Callable[[int, int], None]

STEPS = ("clean", "simplify", "unwrap", "raster", "bake", "gutter")


@dataclass(frozen=True)
class FinishedAsset:
    """A finished object in the engine's frame (Z up, within [-0.5, 0.5]).

    vertices float32 [V, 3]; faces int32 [F, 3]; uv float32 [F, 3, 2] per corner, origin lower left; normals float32
    [F, 3, 3] per corner. maps: uint8 images [S, S, C], first row on top: ``base_color`` (RGB, or RGBA unless the alpha
    mode is opaque), ``orm`` (occlusion 255, roughness, metallic) and, when the surface was simplified, ``normal``
    (tangent space, +v green). alpha_mode: "opaque", "mask" or "blend".
    report: counts of what was found and done, sentences in ``events``, seconds per step.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    normals: np.ndarray
    maps: dict[str, np.ndarray]
    alpha_mode: str
    report: dict[str, Any]


def finish(
    vertices: np.ndarray,
    faces: np.ndarray,
    material: MaterialVoxels,
    settings: FinishSettings = DEFAULTS,
    report: Report | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FinishedAsset:
    """Finish a raw surface (vertices [V, 3], faces [F, 3] of any winding) with its voxel materials.

    Where the surface has one vertex for each voxel of ``material``, in the same order (as dual_grid_to_mesh makes it),
    the voxel grid also tells inside from outside. ``report(step, total)`` is called after each of ``STEPS``; between
    steps and while a child process works ``cancelled()`` is asked. Raises EspalierError("bad_surface") when no surface
    is left to finish, and Cancelled.
    """
    run = _Run(report, cancelled or (lambda: False))
    with run.step("clean"):
        mend = REPAIRS[settings.repair]
        vertices, faces, run.counts = mend(vertices, faces, material.coords, material.resolution)
        raw_vertices = vertices
        if settings.smoothing:
            vertices = taubin_smooth(vertices, faces, settings.smoothing)
    with run.step("simplify"):
        lean_vertices, lean_faces = reduce_faces(vertices, faces, settings.faces_of(len(faces)))
        normals = corner_normals(lean_vertices, lean_faces)
    with run.step("unwrap"):
        layout = unwrap(lean_vertices, lean_faces, settings.texture_size, run.cancelled)
    with run.step("raster"):
        raster = rasterise(layout.uv, settings.texture_size)
    with run.step("bake"):
        lean = LeanMesh(lean_vertices, lean_faces, layout.uv, normals)
        full = None if lean_faces is faces else FullSurface(vertices, faces, raw_vertices)
        texels = bake_texels(raster, lean, full, material, occlusion=False, normal_map=settings.normal_map)
    with run.step("gutter"):
        maps = texture_maps(raster, texels)
    final = edge_table(lean_faces)
    run.counts.update(
        faces=len(lean_faces),
        vertices=len(lean_vertices),
        components=int(vertex_components(lean_faces, len(lean_vertices)).max()) + 1,
        boundary_edges=int((final.count == 1).sum()),
        non_manifold_edges=int((final.count > 2).sum()),
        charts=int(layout.chart.max()) + 1,
        covered_share=round(len(raster.texel) / settings.texture_size**2, 4),
        unwrap=layout.method,
        events=[*run.counts["events"], *layout.events, *texels.events],
        seconds={name: round(value, 3) for name, value in run.seconds.items()},
    )
    return FinishedAsset(
        lean_vertices.astype(np.float32),
        lean_faces.astype(np.int32),
        layout.uv,
        normals,
        maps,
        texels.alpha_mode,
        run.counts,
    )


class _Run:
    """Times the steps, reports them and stops between them."""

    def __init__(self, report: Report | None, cancelled: Callable[[], bool]) -> None:
        self.cancelled = cancelled
        self.counts: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}
        self._report = report

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        if self.cancelled():
            raise Cancelled
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began
        if self._report:
            self._report(STEPS.index(name) + 1, len(STEPS))
