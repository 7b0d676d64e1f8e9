# SPDX-License-Identifier: GPL-3.0-or-later
"""The last stage of a generated object: its surface is finished with the request's settings and written as the result.

Generating and finishing again do the same here, so the same voxels and settings give the same files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..jobs import JobFolder
from ..mesh.bake.bake import BASE_COLOR, MaterialVoxels
from ..mesh.bake.png import encode_png
from ..mesh.compilation import announcing
from ..mesh.finish import FinishedAsset, finish
from ..mesh.finish_settings import FinishSettings, true_or_false
from ..mesh.simplify.lod import Lod
from ..protocol import PREVIEW_FILE
from .asset import VoxelAsset
from .draft import DraftAsset, make_draft
from .job import COMPILING, Report, counts_of, setting, write_maps, write_result
from .preview import render_preview, render_vertex_colours

FINISHING = (
    *("faces", "ratio", "texture_size", "repair", "smoothing", "hole_length", "floater_size", "thickness"),
    *("lods", "occlusion", "normal_map"),
)
"""The settings of a request that are FinishSettings; ``faces`` is its ``target_faces``."""


def finish_settings(request: Mapping[str, Any], repair: str, smoothing: int) -> FinishSettings:
    """What the request asks for; ``repair`` and ``smoothing``, the model's suggestions, where it does not say.

    Raises EspalierError("bad_settings").
    """
    true_or_false("draft", setting(request, "draft", False))
    asked = {name: setting(request, name, None) for name in FINISHING}
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if "faces" in given:
        given["target_faces"] = given.pop("faces")
    if isinstance(given.get("lods"), list):
        given["lods"] = tuple(given["lods"])
    return FinishSettings(**{"repair": repair, "smoothing": smoothing, **given})


def finish_surface(
    job: JobFolder,
    request: Mapping[str, Any],
    asset: VoxelAsset,
    surface: tuple[np.ndarray, np.ndarray],
    settings: FinishSettings,
    kind: str,
    notes: tuple[str, ...],
    report: Report,
    cancelled: Callable[[], bool],
) -> None:
    """Finish ``surface`` (``asset.surface()``) and write arrays, maps, preview and, last, result.json.

    What is mended gets the voxels first that its quads miss. ``kind`` and ``notes`` are for result.json. Raises
    EspalierError, Cancelled, OSError.
    """
    is_draft = setting(request, "draft", False)
    whole = asset.completed() if _is_mended(settings.repair, is_draft) else asset
    if whole is not asset:
        surface = whole.surface()
    material = MaterialVoxels(whole.resolution, whole.coords, whole.attrs)
    added = {"completed_voxels": len(whole.coords) - len(asset.coords)}
    if is_draft:
        draft = make_draft(*surface, material, settings)
        job.write_npz("result.npz", vertices=draft.vertices, faces=draft.faces, attributes=draft.attributes)
        preview = render_vertex_colours(draft.vertices, draft.faces, draft.attributes[:, BASE_COLOR])
        _write(job, request, draft, {}, preview, {**draft.report, **added}, asset, kind, notes, report)
        return
    with announcing(partial(report.tell, COMPILING)):
        finished = finish(*surface, material, settings, partial(report, "finish"), cancelled)
    for sentence in finished.notes:
        report.log("info", sentence)
    maps = write_maps(job, finished.maps)
    _write_mesh(job, "result.npz", finished)
    preview = render_preview(finished.vertices, finished.faces, finished.uv, finished.maps["base_color"])
    counts = {**_without_times(job, finished), **added}
    more = {"lods": _write_lods(job, settings.lods, finished), "occlusion": finished.has_occlusion}
    _write(job, request, finished, maps, preview, counts, asset, kind, notes, report, **more)


def _is_mended(repair: str, is_draft: bool) -> bool:
    """Whether the surface shall be more than was generated; a draft only is where its closed skin is made."""
    return repair == "watertight" or (repair != "as_generated" and not is_draft)


def _write(
    job: JobFolder,
    request: Mapping[str, Any],
    result: FinishedAsset | DraftAsset,
    maps: Mapping[str, str],
    preview: np.ndarray,
    counts: Mapping[str, Any],
    asset: VoxelAsset,
    kind: str,
    notes: tuple[str, ...],
    report: Report,
    **more: Any,
) -> None:
    """Write what finished objects and drafts have alike, result.json with ``more`` last."""
    job.write_bytes(PREVIEW_FILE, encode_png(preview))
    counts = {**counts, **counts_of(asset), "notes": list(notes)}
    bounds = {"min": result.vertices.min(axis=0).tolist(), "max": result.vertices.max(axis=0).tolist()}
    write_result(job, request, kind, result.alpha_mode, maps, counts, bounds=bounds, **more)
    _forget_others(job, {*maps.values(), *(lod["file"] for lod in more.get("lods", ()))})
    report.preview("finish", PREVIEW_FILE)


def _write_lods(job: JobFolder, shares: Sequence[float], finished: FinishedAsset) -> list[dict[str, Any]]:
    """Write lod1.npz, lod2.npz and so on, and list them for result.json."""
    listed = []
    for number, (share, lod) in enumerate(zip(shares, finished.lods), start=1):
        file = f"lod{number}.npz"
        _write_mesh(job, file, lod)
        listed.append({"file": file, "share": share, "faces": len(lod.faces)})
    return listed


def _forget_others(job: JobFolder, files: Collection[str]) -> None:
    """Remove the maps and coarser versions that an earlier run of this job left and ``files`` does not name."""
    for pattern in ("base_color.png", "orm.png", "normal.png", "lod*.npz"):
        for path in job.path.glob(pattern):
            if path.name not in files:
                path.unlink()


def _write_mesh(job: JobFolder, file: str, mesh: FinishedAsset | Lod) -> None:
    job.write_npz(file, vertices=mesh.vertices, faces=mesh.faces, normals=mesh.normals, uv=mesh.uv)


def _without_times(job: JobFolder, finished: FinishedAsset) -> dict[str, Any]:
    """The finishing's report; its times go to log.txt, for results repeat byte for byte."""
    counts = dict(finished.report)
    seconds = counts.pop("seconds", {})
    job.log("finishing took " + ", ".join(f"{name} {value:.2f} s" for name, value in seconds.items()))
    return counts
