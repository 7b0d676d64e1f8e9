# SPDX-License-Identifier: GPL-3.0-or-later
"""From a raw surface and voxel materials to a clean, unwrapped, textured mesh: the steps in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np

from ..errors import Cancelled, EspalierError
from .bake.bake import MaterialVoxels
from .bake.bake_surface import bake_texels, texture_maps
from .bake.texel_lookup import FullSurface, LeanMesh
from .finish_settings import DEFAULTS, REPAIRS, FinishSettings
from .lookup.raster import rasterise
from .simplify.lod import Lod, lod_chain
from .simplify.simplify import reduce_faces
from .surface.normals import corner_normals
from .surface.smooth import taubin_smooth
from .surface.topology import edge_table, face_vectors, vertex_components
from .unwrap.unwrap import unwrap

Report = Callable[[int, int], None]

SHARES = {"clean": 15, "simplify": 15, "unwrap": 35, "raster": 2, "bake": 25, "gutter": 3, "lods": 5}
"""How many hundredths of the whole each step takes, about."""

STEPS = tuple(SHARES)
STEP_ENDS = dict(zip(accumulate(SHARES.values()), STEPS))
"""The step that is finished when so many hundredths are reported."""

TEXELS_OF_A_PIECE = 6
"""Along a side, with the gap to the next: less than this shows nothing."""

CRUMBS_SHARE = 0.02
"""Of a surface, what simplifying may take away as pieces too small to show (see ``simplify``)."""


@dataclass(frozen=True)
class FinishedAsset:
    """A finished object in the engine's frame (Z up, within [-0.5, 0.5]).

    vertices float32 [V, 3]; faces int32 [F, 3]; uv float32 [F, 3, 2] per corner, origin lower left; normals float32
    [F, 3, 3] per corner. lods: coarser versions of the same four arrays that use the same maps, as many as were asked
    for. maps: uint8 images [S, S, C], first row on top: ``base_color`` (RGB, or RGBA unless the alpha mode is opaque),
    ``orm`` (occlusion, roughness, metallic) and, when the surface was simplified, ``normal`` (tangent space, +v green).
    has_occlusion: whether the occlusion is anything but 255. alpha_mode: "opaque", "mask" or "blend". notes: sentences
    for the person who asked, about what could not be had as it was asked for and what was changed that shows. report:
    counts of what was found and done, sentences in ``events``, seconds per step.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    normals: np.ndarray
    lods: tuple[Lod, ...]
    maps: dict[str, np.ndarray]
    has_occlusion: bool
    alpha_mode: str
    notes: tuple[str, ...]
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
    the voxel grid also tells inside from outside. ``report(done, 100)`` is called after each of ``STEPS`` (see
    ``STEP_ENDS``) and within the long ones; ``cancelled()`` is asked as often, and while a child process works. Raises
    EspalierError("bad_surface") when no surface is left to finish, and Cancelled.
    """
    run = _Run(report, cancelled or (lambda: False))
    with run.step("clean"):
        mended, counts = _mend(vertices, faces, material, settings)
        # Here already: with a million pieces simplifying takes minutes.
        pieces = _check_pieces(mended.vertices, mended.faces, settings.texture_size, crumbs_go=True)
    with run.step("simplify"):
        target = settings.faces_of(len(mended.faces))
        lean_vertices, lean_faces = reduce_faces(mended.vertices, mended.faces, target)
        is_leaner = lean_faces is not mended.faces
        bumps = settings.normal_map and is_leaner
        pieces -= _check_pieces(lean_vertices, lean_faces, settings.texture_size)
    with run.step("unwrap"):
        layout = unwrap(lean_vertices, lean_faces, settings.texture_size, run.cancelled)
    with run.step("raster"):
        raster = rasterise(layout.uv, settings.texture_size)
    with run.step("bake"):
        normals = corner_normals(lean_vertices, lean_faces, uv=layout.uv if bumps else None)
        lean = LeanMesh(lean_vertices, lean_faces, layout.uv, normals)
        full = mended if is_leaner or settings.smoothing else None
        texels = bake_texels(raster, lean, full, material, settings.occlusion, bumps, run.within("bake"))
    with run.step("gutter"):
        maps = texture_maps(raster, texels)
    arrays = lean_vertices.astype(np.float32), lean_faces.astype(np.int32), layout.uv, normals
    with run.step("lods"):
        lods = lod_chain(*arrays, settings.lods, settings.texture_size, run.cancelled) if settings.lods else []
    shortfalls = [*_shortfall(len(lean_faces), target), *texels.events]
    for number, (share, lod) in enumerate(zip(settings.lods, lods), 1):
        if len(lod.faces) > share * len(lean_faces) + 1:
            shortfalls.append(_lod_shortfall(number, share, lod))
    account = {
        **counts,
        **_account_of(lean_vertices, lean_faces),
        "charts": int(layout.chart.max()) + 1,
        "covered_share": round(len(raster.texel) / settings.texture_size**2, 4),
        "unwrap": layout.method,
        "events": [*counts["events"], *layout.events, *shortfalls],
        "seconds": {name: round(value, 3) for name, value in run.seconds.items()},
    }
    return FinishedAsset(
        *arrays,
        tuple(lods),
        maps,
        bool((texels.orm[:, 0] < 255).any()),
        texels.alpha_mode,
        (*_taken_away(counts["floaters"], pieces, target), *layout.shows, *shortfalls),
        account,
    )


def _mend(
    vertices: np.ndarray, faces: np.ndarray, material: MaterialVoxels, settings: FinishSettings
) -> tuple[FullSurface, dict[str, Any]]:
    """Mend a raw surface in the way that is asked for, and smooth it; also the account of the mending."""
    mend = REPAIRS[settings.repair]
    raw, faces, counts = mend(vertices, faces, material.coords, material.resolution, settings.repair_options())
    smooth = taubin_smooth(raw, faces, settings.smoothing) if settings.smoothing else raw
    return FullSurface(smooth, faces, raw), counts


def _check_pieces(vertices: np.ndarray, faces: np.ndarray, texture_size: int, crumbs_go: bool = False) -> int:
    """Count the separate pieces of the mesh; EspalierError("bad_surface") when the texture has too few texels for them.

    ``crumbs_go``: pieces that simplifying may take away do not count, ``CRUMBS_SHARE`` of the surface in all.
    """
    piece = vertex_components(faces, len(vertices))
    pieces = staying = int(piece.max()) + 1
    most = (texture_size // TEXELS_OF_A_PIECE) ** 2
    if crumbs_go and pieces > most:
        area = np.sort(np.bincount(piece, np.linalg.norm(face_vectors(vertices, faces), axis=1)))
        staying = int((np.cumsum(area) >= CRUMBS_SHARE * area.sum()).sum())
    if staying > most:
        raise EspalierError(
            "bad_surface",
            f"The object is in {pieces:,} separate pieces, and a texture of {texture_size} texels has room for "
            f"{most:,}: clear away small pieces with a floater size, choose the repair “watertight”, or take a "
            "larger texture.",
        )
    return pieces


def _taken_away(floaters: int, crumbs: int, target: int) -> list[str]:
    """The sentences for pieces that are no longer there: ``floaters`` by mending, ``crumbs`` by simplifying."""
    sentences = []
    if floaters:
        sentences.append(f"Loose crumbs were taken away: {floaters:,}. The repair “as generated” keeps them.")
    if crumbs > 0:
        sentences.append(f"Small pieces were taken away to get to {target:,} faces: {crumbs:,}. More faces keep them.")
    return sentences


def _shortfall(count: int, target: int) -> list[str]:
    """The sentence for an object that could not be made as small as asked."""
    if count <= target:
        return []
    return [
        f"The object keeps {count:,} faces, more than the {target:,} asked for: its pieces and open rims need them."
    ]


def _lod_shortfall(number: int, share: float, lod: Lod) -> str:
    return (
        f"LOD{number}, asked for with {100 * share:.3g} % of the faces, keeps {len(lod.faces):,}: the borders of the "
        "charts on the maps need them."
    )


def _account_of(vertices: np.ndarray, faces: np.ndarray) -> dict[str, int]:
    """Count what the finished mesh is made of."""
    edges = edge_table(faces).count
    return {
        "faces": len(faces),
        "vertices": len(vertices),
        "components": int(vertex_components(faces, len(vertices)).max()) + 1,
        "boundary_edges": int((edges == 1).sum()),
        "non_manifold_edges": int((edges > 2).sum()),
    }


class _Run:
    """Times the steps, reports them and stops between them and within the long ones."""

    def __init__(self, report: Report | None, cancelled: Callable[[], bool]) -> None:
        self.cancelled = cancelled
        self.seconds: dict[str, float] = {}
        self._report = report
        self._done = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._stop_if_cancelled()
        began = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began
        self._done += SHARES[name]
        self._tell(self._done)

    def within(self, name: str) -> Report:
        """What reports the progress within a step, which must not seem finished before it is. Raises Cancelled."""

        def tell(step: int, of: int) -> None:
            self._stop_if_cancelled()
            part = min(SHARES[name] * step // of, SHARES[name] - 1)
            if part > 0:
                self._tell(self._done + part)

        return tell

    def _tell(self, done: int) -> None:
        if self._report:
            self._report(done, 100)

    def _stop_if_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled
