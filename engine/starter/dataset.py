# SPDX-License-Identifier: GPL-3.0-or-later
"""Data sets of assets: built by processes into shards on disk, read back as tensors that can live on a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch import Tensor

from .asset import Asset, make_asset, sample_surface
from .camera import draw_camera
from .families import FAMILIES
from .raster import rasterise, smooth_normals
from .voxels import voxelise

IMAGE_SIZE = 128
SURFACE_POINTS = 4000
SHARD_ASSETS = 24
RAGGED = {"voxels": ("coords", "vertices", "flags", "labels"), "samples": ("pixels", "codes", "normals")}
"""Arrays of different length per asset (or view), by the name of their counts."""


@dataclass(frozen=True)
class Dataset:
    """A assets with V views each, assets in order of their seeds. All arrays are ragged or have A rows.

    Voxels of asset a are rows ``offsets[a]:offsets[a + 1]`` (``offsets`` int64 [A + 1], always on the CPU) of
    ``coords`` uint8 [N, 3], ``vertices`` uint8 [N, 3] (local dual vertex times 255), ``flags`` uint8 [N] (bit k: the
    edge along axis k is crossed) and ``labels`` uint8 [N]. Samples of view v of asset a are rows
    ``sample_offsets[a * V + v]`` and on of ``pixels`` int16 [S], ``codes`` uint8 [S], ``normals`` int8 [S, 3] (see
    ``raster.Samples``). ``cameras`` float32 [A, V, 7] (fields of ``camera.Camera``). ``points`` float16 [A, 4000, 3]
    and ``point_labels`` uint8 [A, 4000]: surface samples. ``families`` uint8 [A]: position in ``FAMILIES``. ``seeds``
    int64 [A].
    """

    offsets: Tensor
    coords: Tensor
    vertices: Tensor
    flags: Tensor
    labels: Tensor
    sample_offsets: Tensor
    pixels: Tensor
    codes: Tensor
    normals: Tensor
    cameras: Tensor
    points: Tensor
    point_labels: Tensor
    families: Tensor
    seeds: Tensor
    image_size: int = IMAGE_SIZE

    @property
    def views(self) -> int:
        """Views per asset."""
        return self.cameras.shape[1]

    def to(self, device: torch.device | str) -> Dataset:
        """Move everything but ``offsets`` to a device."""
        names = [f.name for f in fields(self) if f.name not in ("offsets", "image_size")]
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def build_dataset(folder: Path, first_seed: int, count: int, views: int, workers: int, seconds: float) -> int:
    """Build the assets of ``count`` seeds from ``first_seed`` on into shards in ``folder``; return how many there are.

    Runs ``workers`` processes of one thread each for at most about ``seconds``. Shards that exist are kept, so a
    second call continues. Raises RuntimeError when a process failed or not a single shard was made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bootstrap = Path(__file__).resolve().parents[1] / "__main__.py"
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    shards = -(-count // SHARD_ASSETS)
    numbers = [str(n) for n in (first_seed, count, views)]
    processes = []
    for worker in range(min(workers, shards)):
        command = [sys.executable, "-I", "-X", "utf8", "-u", str(bootstrap), "assets", str(folder.resolve()), *numbers]
        command += [str(worker), str(min(workers, shards)), str(seconds)]
        processes.append(subprocess.Popen(command, env=environment))
    failed = sum(process.wait() != 0 for process in processes)
    made = sorted(folder.glob("shard-*.safetensors"))
    if failed or not made:
        raise RuntimeError(f"{failed} of {len(processes)} processes that make assets failed; {len(made)} shards exist.")
    return sum(min(SHARD_ASSETS, count - int(path.stem[6:]) * SHARD_ASSETS) for path in made)


def main(arguments: list[str]) -> int:
    """One worker of ``build_dataset``: FOLDER FIRST COUNT VIEWS WORKER WORKERS SECONDS."""
    torch.set_num_threads(1)
    folder = Path(arguments[0])
    first, count, views, worker, workers = (int(a) for a in arguments[1:6])
    deadline = time.monotonic() + float(arguments[6])
    for shard in range(worker, -(-count // SHARD_ASSETS), workers):
        path = folder / f"shard-{shard:06d}.safetensors"
        if path.exists():
            continue
        if time.monotonic() > deadline:
            break
        start = shard * SHARD_ASSETS
        seeds = range(first + start, first + min(count, start + SHARD_ASSETS))
        temporary = path.with_suffix(".part")
        save_file(stack([record(make_asset(seed), views) for seed in seeds]), temporary)
        os.replace(temporary, path)
    return 0


def record(asset: Asset, views: int, size: int = IMAGE_SIZE) -> dict[str, np.ndarray]:
    """Voxelise an asset and rasterise ``views`` random views of it; one asset's rows of the arrays of ``Dataset``."""
    rng = np.random.default_rng([asset.seed, 1])
    voxels = voxelise(asset)
    normals = smooth_normals(asset)
    cameras = [draw_camera(rng, asset.vertices) for _ in range(views)]
    pictures = [rasterise(asset, normals, camera, size) for camera in cameras]
    points, point_labels = sample_surface(asset, SURFACE_POINTS, asset.seed + 1)
    return {
        "coords": voxels.coords,
        "vertices": voxels.vertices,
        "flags": voxels.flags,
        "labels": voxels.labels,
        "voxels": np.array([len(voxels.coords)]),
        "pixels": np.concatenate([p.pixels for p in pictures]).astype(np.int16),
        "codes": np.concatenate([p.codes for p in pictures]),
        "normals": np.concatenate([p.normals for p in pictures]),
        "samples": np.array([len(p.pixels) for p in pictures]),
        "cameras": np.stack([c.array() for c in cameras])[None],
        "points": points.astype(np.float16)[None],
        "point_labels": point_labels[None],
        "families": np.array([list(FAMILIES).index(asset.family)], dtype=np.uint8),
        "seeds": np.array([asset.seed]),
    }


def stack(records: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Concatenate records of assets, row-major: safetensors writes the bytes of an array as they lie in memory."""
    return {name: np.ascontiguousarray(np.concatenate([r[name] for r in records])) for name in records[0]}


def read_dataset(folder: Path) -> Dataset:
    """Read all shards of a folder, in order of seeds. Raises FileNotFoundError when there is none."""
    paths = sorted(folder.glob("shard-*.safetensors"))
    if not paths:
        raise FileNotFoundError(f"There is no data set in {folder}.")
    shards = [load_file(path) for path in paths]
    tensors = {}
    for name in list(shards[0]):
        tensors[name] = torch.cat([shard.pop(name) for shard in shards])
    return from_record(tensors)


def from_record(tensors: dict[str, Tensor]) -> Dataset:
    """Make a data set of concatenated records, as tensors."""
    rest = dict(tensors)
    return Dataset(offsets=_offsets(rest.pop("voxels")), sample_offsets=_offsets(rest.pop("samples")), **rest)


def make_dataset(seeds: Iterator[int] | range, views: int) -> Dataset:
    """Make a small data set in this process, without files."""
    arrays = stack([record(make_asset(seed), views) for seed in seeds])
    return from_record({name: torch.from_numpy(array) for name, array in arrays.items()})


def _offsets(counts: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts.long().cumsum(0)])
