# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the add-on holds Blender's main thread: every tick of its timer, and building a large result."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ...addon.client import JobStore
from ...addon.client.store import StoredJob
from ...engine import protocol
from ..demo import SAMPLE
from .blender_app import Blender, wait_for
from .figures import Figure, Outcome
from .rig import tiny_request

COLUMNS, ROWS = 400, 250
MAP_SIZE = 2048
LIVE_COLUMNS, LIVE_ROWS = 250, 200
# What an artist of some weeks has kept; the panel reads all of it.
KEPT = 200


def main_thread(folder: Path, model: Path, jobs: int, starter_jobs: int, large: int) -> Outcome:
    """Time the ticks of ``jobs`` jobs (``starter_jobs`` with the starter model), and building ``large`` results."""
    blender = Blender(folder)
    store = JobStore(blender.data / "jobs")
    try:
        for number in range(KEPT):
            store.set_state(store.create(tiny_request(model, number), SAMPLE).folder, protocol.BUILT)
        results = [_large_result(store, model) for _ in range(large)]
        store.close()
        live = folder / "live.npz"
        vertices, faces, _, _ = _sphere(LIVE_COLUMNS, LIVE_ROWS)
        np.savez(live, vertices=vertices, faces=faces)
        process = blender.start(
            "ticks",
            job="ticks",
            model=str(model),
            image=str(SAMPLE),
            jobs=jobs,
            starter_jobs=starter_jobs,
            large=[str(job.folder) for job in results],
            live=[str(live)],
        )
        wait_for(lambda: False, process)
        rows: list[dict[str, Any]] = json.loads((folder / "ticks" / "done").read_text(encoding="utf-8"))
    finally:
        blender.close()
    (folder.parent / "ticks.json").write_text(json.dumps(rows), encoding="utf-8")
    ordinary = [row for row in rows if not row["built"]]
    names = {job.id for job in results}
    building = [row for row in rows if row["built"] in names]
    faces = 2 * COLUMNS * ROWS
    return Outcome(
        [
            _longest("Longest tick without building, wall time", ordinary, "wall", 1e3, 20.0, "ms"),
            _longest("The same, processor time", ordinary, "used", 1e3, 20.0, "ms"),
            _longest(f"Building {faces:,} faces with {MAP_SIZE} maps, wall time", building, "wall", 1.0, 0.8, "s"),
            _longest("The same, processor time", building, "used", 1.0, 0.8, "s"),
        ],
        [
            f"{len(rows)} ticks in {blender.kind}, with {KEPT} results kept, {jobs} jobs and a live preview of "
            f"{2 * LIVE_COLUMNS * LIVE_ROWS:,} faces; 99 of 100 took {_share(ordinary, 99):.1f} ms or less.",
        ],
    )


def _longest(name: str, rows: list[dict[str, Any]], what: str, scale: float, limit: float, unit: str) -> Figure:
    worst = max(rows, key=lambda row: row[what])
    where = f"{worst['stage']}{', a preview arrived' if worst['live'] else ''}" if not worst["built"] else ""
    return Figure(name, scale * worst[what], limit, unit, where)


def _share(rows: list[dict[str, Any]], percent: float) -> float:
    return 1e3 * float(np.percentile([row["wall"] for row in rows], percent))


def _large_result(store: JobStore, model: Path) -> StoredJob:
    """A finished job with a textured sphere, as finishing would leave it."""
    job = store.create(tiny_request(model, 0, "large"), SAMPLE)
    vertices, faces, uv, normals = _sphere(COLUMNS, ROWS)
    np.savez(job.folder / "result.npz", vertices=vertices, faces=faces, uv=uv, normals=normals)
    maps = {name: f"{name}.png" for name in ("base_color", "orm", "normal")}
    for seed, file in enumerate(maps.values()):
        (job.folder / file).write_bytes(_map(seed))
    report = {"alpha_mode": "opaque", "maps": maps, "report": {"faces": len(faces)}}
    protocol.write_json(job.folder / protocol.RESULT_FILE, report)
    store.set_state(job.folder, protocol.FINISHED)
    return job


def _sphere(columns: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Vertices [V, 3] and triangles [2 * columns * rows, 3] of a sphere, with their corners' uv and normals."""
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    theta, phi = 2 * np.pi * u, np.pi * v
    normals = np.stack([np.sin(phi) * np.cos(theta), np.sin(phi) * np.sin(theta), -np.cos(phi)], -1)
    normals = normals.reshape(-1, 3).astype(np.float32)
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).reshape(-1, 1)
    halves = [corner + np.array(offsets) for offsets in ((0, 1, columns + 2), (0, columns + 2, columns + 1))]
    faces = np.concatenate(halves).astype(np.int32)
    uv = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    return normals / 2, faces, uv[faces], normals[faces]


def _map(seed: int) -> bytes:
    """A PNG of soft colours with a little grain, which packs as badly as real ones do."""
    random = np.random.default_rng(seed)
    ramp = np.linspace(0, 6 + seed, MAP_SIZE)
    soft = 128 + 60 * np.sin(ramp)[:, None, None] * np.cos(ramp)[None, :, None] * np.array([1.0, 0.7, 0.4])
    grain = random.integers(-4, 5, (MAP_SIZE, MAP_SIZE, 3))
    stream = io.BytesIO()
    Image.fromarray((soft + grain).astype(np.uint8)).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
