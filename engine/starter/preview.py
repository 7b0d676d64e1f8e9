# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of assets as a user would bring them: square, larger than the training views, with an alpha channel."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from .asset import Asset
from .camera import Camera, draw_camera, framed
from .materials import draw_materials
from .raster import rasterise, smooth_normals
from .shading import draw_lights, shade_pictures


def view_camera(asset: Asset, yaw: float, elevation: float, fov: float = 0.6) -> Camera:
    """Return a camera framed on an asset; angles in degrees, ``fov`` in radians."""
    return framed(Camera(np.radians(yaw), np.radians(elevation), fov, 0.65 / np.tan(fov / 2)), asset.vertices)


def render_picture(
    asset: Asset, camera: Camera | None = None, size: int = 512, seed: int = 0, materials: torch.Tensor | None = None
) -> Image.Image:
    """Shade an asset as an RGBA picture with straight alpha, ``size`` pixels a side, the object filling the frame.

    ``camera`` is drawn from ``seed`` when it is not given, like ``materials`` [12, 6] and the light. Alpha is coverage:
    glass counts as covered, as in a cut-out photograph, and shows black where nothing is behind it.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = draw_materials(1, generator)
    table = drawn if materials is None else materials[None]
    if camera is None:
        camera = draw_camera(np.random.default_rng(seed), asset.vertices)
    samples = rasterise(asset, smooth_normals(asset), camera, size)
    picture = shade_pictures(
        torch.from_numpy(samples.pixels),
        torch.from_numpy(samples.codes),
        torch.from_numpy(samples.normals),
        torch.zeros(len(samples.pixels), dtype=torch.int64),
        torch.from_numpy(camera.array())[None],
        table,
        size,
        draw_lights(1, generator, "cpu"),
    )[0].permute(1, 2, 0)
    straight = picture[..., :3] / picture[..., 3:].clamp(min=1e-6)
    rgba = torch.cat([straight.clamp(0, 1), picture[..., 3:]], dim=-1)
    return Image.fromarray((rgba * 255).round().to(torch.uint8).numpy())
