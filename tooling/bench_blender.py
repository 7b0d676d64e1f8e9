# SPDX-License-Identifier: GPL-3.0-or-later
"""Inside the bpy wheel, for ``build.py bench``: how long the add-on holds Blender's main thread. One JSON line."""

from __future__ import annotations

import json
import time
import zlib

import bpy
import numpy as np

from ..addon.scene import Asset, Placement, Provenance, build_object
from ..addon.scene.asset import Texture

RUNS = 3
MAP_SIZE = 1024


def _png(pixels: np.ndarray) -> bytes:
    """``pixels`` uint8 [H, W, 3] as a PNG file."""
    height, width, _ = pixels.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels.reshape(height, -1)], axis=1)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 1)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def sphere(columns: int = 250, rows: int = 200) -> Asset:
    """A textured sphere of 2 * columns * rows faces (100,000), with corner normals, as finishing makes them."""
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
    theta, phi = 2 * np.pi * u, np.pi * v
    normals = np.stack([np.sin(phi) * np.cos(theta), np.sin(phi) * np.sin(theta), -np.cos(phi)], -1).reshape(-1, 3)
    corner = (np.arange(rows)[:, None] * (columns + 1) + np.arange(columns)).reshape(-1, 1)
    halves = [corner + np.array(offsets) for offsets in ((0, 1, columns + 2), (0, columns + 2, columns + 1))]
    faces = np.concatenate(halves).astype(np.int32)
    uv = np.stack([u, v], -1).reshape(-1, 2).astype(np.float32)
    random = np.random.default_rng(0)
    maps = {name: _png(random.integers(0, 255, (MAP_SIZE, MAP_SIZE, 3), np.uint8)) for name in ("base_color", "orm")}
    normals = normals.astype(np.float32)
    return Asset(normals / 2, faces, uv[faces], normals[faces], Texture(maps))


def build_seconds() -> list[float]:
    """Seconds of ``build_object`` with 100,000 faces and two maps, each into an empty file."""
    asset, seconds = sphere(), []
    for _ in range(RUNS):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        start = time.perf_counter()
        build_object(bpy.context.scene, "Sphere", asset, Placement(), Provenance(), bpy.context.view_layer)
        seconds.append(time.perf_counter() - start)
    return seconds


def registration_seconds(package: str) -> float:
    """Install the package, then time what Blender does with it at every start: import and register."""
    bpy.ops.extensions.package_install_files(filepath=package, repo="user_default", enable_on_install=False)
    start = time.perf_counter()
    bpy.ops.preferences.addon_enable(module="bl_ext.user_default.espalier")
    seconds = time.perf_counter() - start
    if "bl_ext.user_default.espalier" not in bpy.context.preferences.addons:
        raise RuntimeError("The package could not be enabled.")
    return seconds


def main(arguments: list[str]) -> int:
    """Argument: the extension's zip. Wants BLENDER_USER_RESOURCES to be an empty folder."""
    figures = {"registration_s": registration_seconds(arguments[0]), "build_s": build_seconds()}
    print("\n" + json.dumps(figures))
    return 0
