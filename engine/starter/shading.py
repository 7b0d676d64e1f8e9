# SPDX-License-Identifier: GPL-3.0-or-later
"""Shading of rasterised samples in torch: any number of new colourings and lights of one rasterised view.

Camera space throughout: x right, y up, z towards the viewer. Lambert and a GGX highlight of one key light near the
camera, a sky with bright patches mirrored according to roughness, so that metal and roughness leave visible evidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from .materials import GLASS_SLOT

if TYPE_CHECKING:
    from .dataset import Dataset

PATCHES = 3


@dataclass(frozen=True)
class Lights:
    """The light of B pictures, colours linear.

    ``key`` [B, 3] unit direction to the key light, ``key_colour`` [B, 3], ``patches`` [B, P, 3] unit directions in the
    world turned to the camera's yaw (x right, y away from the viewer, z up), ``patch_colour`` [B, P, 3], ``zenith`` and
    ``ground`` [B, 3] sky colours, ``exposure`` [B].
    """

    key: Tensor
    key_colour: Tensor
    patches: Tensor
    patch_colour: Tensor
    zenith: Tensor
    ground: Tensor
    exposure: Tensor


def draw_lights(count: int, generator: torch.Generator | None, device: torch.device | str) -> Lights:
    """Draw the light of ``count`` pictures; ``generator`` lives on ``device``."""

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator, device=device)

    def tinted(strength: Tensor, tint: float) -> Tensor:
        return strength[..., None] * (1 + tint * uniform(-1, 1, *strength.shape[1:], 3))

    key = F.normalize(torch.stack([uniform(-0.7, 0.7), uniform(0.1, 0.9), uniform(0.8, 1.2)], dim=-1), dim=-1)
    azimuth, height = uniform(-1.3, 1.3, PATCHES), uniform(0.05, 0.9, PATCHES)
    # Around the viewer: a patch is seen mirrored only in surfaces that face the camera's side.
    around = torch.stack([azimuth.sin(), -azimuth.cos(), height], dim=-1)
    zenith, ground = tinted(uniform(0.45, 0.7), 0.12), tinted(uniform(0.12, 0.3), 0.12)
    return Lights(
        key,
        tinted(uniform(0.75, 1.05), 0.05),
        F.normalize(around, dim=-1),
        tinted(uniform(2.0, 4.5, PATCHES), 0.08),
        zenith,
        ground,
        uniform(0.9, 1.12),
    )


def sky(direction: Tensor, roughness: Tensor, lights: Lights, of: Tensor) -> Tensor:
    """Return the linear light [S, 3] that arrives from world directions [S, 3], blurred for roughness [S].

    ``of`` [S] says which of the pictures a sample belongs to.
    """
    blend = torch.sigmoid(direction[:, 2] * (9.0 - 7.0 * roughness))[:, None]
    light = lights.ground[of] * (1 - blend) + lights.zenith[of] * blend
    sharp = 90.0
    blurred = 1.0 / (1.0 / sharp + 0.9 * roughness**2)
    # The lobe keeps its energy while it widens, so a rough surface shows a wide dim patch.
    cosine = (lights.patches[of] * direction[:, None]).sum(-1)
    lobe = torch.exp(blurred[:, None] * (cosine - 1)) * (blurred / sharp)[:, None] ** 0.75
    return light + (lobe[..., None] * lights.patch_colour[of]).sum(1)


def shade_samples(
    normals: Tensor, to_eye: Tensor, elevation: Tensor, material: Tensor, lights: Lights, of: Tensor
) -> Tensor:
    """Return sRGB colours [S, 3] in [0, 1] of surface samples.

    ``normals`` and ``to_eye`` [S, 3] unit vectors in camera space, ``elevation`` [B] of the camera in radians,
    ``material`` [S, >= 5]: sRGB, metallic, roughness.
    """
    albedo = srgb_to_linear(material[:, :3])
    metallic, roughness = material[:, 3:4], material[:, 4]
    cosine = (normals * to_eye).sum(-1).clamp(min=1e-3)
    key = lights.key[of]
    lit = (normals * key).sum(-1).clamp(min=0)
    half = F.normalize(key + to_eye, dim=-1)
    alpha2 = roughness.clamp(min=0.08) ** 4
    spread = (normals * half).sum(-1).clamp(min=0) ** 2 * (alpha2 - 1) + 1
    highlight = alpha2 / (torch.pi * spread**2) / (4 * torch.maximum(cosine, lit).clamp(min=0.1))
    facing = 0.04 * (1 - metallic) + albedo * metallic
    grazing = (1 - cosine)[:, None] ** 5
    fresnel = facing + ((1 - 0.8 * roughness[:, None]).maximum(facing) - facing) * grazing
    mirrored = to_world(2 * cosine[:, None] * normals - to_eye, elevation, of)
    up = to_world(normals, elevation, of)[:, 2:]
    ambient = 0.5 * (lights.zenith[of] * (1 + up) + lights.ground[of] * (1 - up))
    diffuse = albedo * (1 - metallic) * (ambient + lights.key_colour[of] * 0.75 * lit[:, None])
    glossy = fresnel * (
        sky(mirrored, roughness, lights, of) + lights.key_colour[of] * (highlight * lit)[:, None].clamp(max=8)
    )
    return linear_to_srgb((diffuse + glossy) * lights.exposure[of][:, None])


def to_world(direction: Tensor, elevation: Tensor, of: Tensor) -> Tensor:
    """Turn camera-space directions [S, 3] upright: x right, y away from the viewer, z up."""
    c, s = elevation.cos()[of], elevation.sin()[of]
    x, y, z = direction.unbind(-1)
    return torch.stack([x, y * s - z * c, y * c + z * s], dim=-1)


def shade_pictures(
    pixels: Tensor,
    codes: Tensor,
    normals: Tensor,
    of: Tensor,
    cameras: Tensor,
    materials: Tensor,
    size: int,
    lights: Lights,
) -> Tensor:
    """Shade the samples of B pictures: RGB and coverage [B, 4, size, size] in [0, 1], colours premultiplied on black.

    ``pixels``, ``codes`` [S] and ``normals`` [S, 3] as ``raster.Samples``; ``of`` [S] the picture of each sample;
    ``cameras`` [B, 7] in the order of ``camera.Camera``; ``materials`` [B, 12, 6].
    """
    codes = codes.long()
    pixels = pixels.long()
    label, rays, cover = codes & 15, (codes >> 4) & 3, codes >> 6
    material = materials[of, label]
    frame = cameras[of]
    x = ((pixels % size).float() + 0.5) / size * 2 - 1
    y = ((pixels // size).float() + 0.5) / size * 2 - 1
    ray = torch.stack([frame[:, 4] + x * frame[:, 6], frame[:, 5] - y * frame[:, 6], -torch.ones_like(x)], dim=-1)
    unit = F.normalize(normals.float(), dim=-1)
    colour = shade_samples(unit, -F.normalize(ray, dim=-1), cameras[:, 1], material, lights, of)
    through = 1 - materials[of, 2 * GLASS_SLOT + cover.clamp(min=1) - 1, 5]
    share = (rays + 1) / 4.0
    weight = share * material[:, 5] * torch.where(cover > 0, through, 1.0)
    covered = torch.where(cover > 0, 0.0, share)
    values = torch.cat([colour * weight[:, None], covered[:, None]], dim=1)
    picture = torch.zeros(len(cameras) * size * size, 4, device=codes.device)
    picture.index_add_(0, of * (size * size) + pixels, values)
    return picture.view(len(cameras), size, size, 4).permute(0, 3, 1, 2).clamp(0, 1)


def shade_views(
    data: Dataset, ids: Tensor, views: Tensor, materials: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Shade one view of every asset under new light: RGB [B, 3, S, S] in [0, 1] on black.

    ``ids`` [B] rows of the data set, ``views`` [B], ``materials`` [B, 12, 6] and ``generator`` on the data's device.
    """
    device = materials.device
    row = ids * data.views + views
    first, counts = data.sample_offsets[row], data.sample_offsets[row + 1] - data.sample_offsets[row]
    of = torch.arange(len(ids), device=device).repeat_interleave(counts)
    samples = torch.arange(len(of), device=device) + (first - (counts.cumsum(0) - counts))[of]
    lights = draw_lights(len(ids), generator, device)
    pixels, codes, normals = data.pixels[samples], data.codes[samples], data.normals[samples]
    cameras = data.cameras[ids, views]
    return shade_pictures(pixels, codes, normals, of, cameras, materials, data.image_size, lights)[:, :3]


def srgb_to_linear(value: Tensor) -> Tensor:
    """Decode sRGB values in [0, 1]."""
    return torch.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(value: Tensor) -> Tensor:
    """Encode linear light as sRGB, clipped to [0, 1]."""
    value = value.clamp(1e-6, 1)
    return torch.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)
