# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures for people: every subject beside what was generated from its image, the worst ones marked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageDraw

from ..starter.camera import Camera, framed, to_camera
from ..starter.preview import render_picture, view_camera
from ..starter.raster import first_faces
from ..starter.shading import draw_lights, shade_samples

if TYPE_CHECKING:
    from .evaluate import Answer, Subject

TILE = 128
PER_ROW = 2
WORST = 4
BACKGROUND = (46, 46, 48)
OTHER_SIDE = -70.0
"""Degrees the second view is turned from the first."""


def mask(vertices: np.ndarray, faces: np.ndarray, camera: Camera, size: int = TILE) -> np.ndarray:
    """Return which pixels of the camera's frame the mesh covers, bool [size, size]."""
    return first_faces(vertices, faces, camera, size) >= 0


def portrait(answer: Answer, camera: Camera, size: int = TILE) -> Image.Image:
    """Shade a generated surface with its materials, face by face, RGBA."""
    fine = 2 * size
    hit = first_faces(answer.vertices, answer.faces, camera, fine)
    row, column = np.nonzero(hit >= 0)
    faces = answer.faces[hit[row, column]]
    points = to_camera(answer.vertices.astype(np.float64), camera)
    a, b, c = (points[faces[:, i]] for i in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    eye = -(a + b + c) / 3
    eye /= np.linalg.norm(eye, axis=1, keepdims=True)
    normal *= np.sign((normal * eye).sum(1, keepdims=True))
    material = torch.from_numpy(answer.attributes[faces].mean(1)).float()
    lights = draw_lights(1, torch.Generator().manual_seed(0), "cpu")
    of = torch.zeros(len(faces), dtype=torch.long)
    elevation = torch.tensor([camera.elevation], dtype=torch.float32)
    tensors = (torch.from_numpy(normal).float(), torch.from_numpy(eye).float())
    colour = shade_samples(*tensors, elevation, material, lights, of)
    canvas = np.zeros((fine, fine, 4), dtype=np.uint8)
    canvas[row, column, :3] = (colour * 255).round().numpy()
    canvas[row, column, 3] = 255
    return Image.fromarray(canvas).resize((size, size), Image.Resampling.BOX)


def write(path: Path, subjects: list[Subject], answers: list[Answer | None], scores: list[float]) -> None:
    """Write the sheet. A group of four pictures: image, generated, generated from another side, truth from there."""
    worst = set(np.argsort(scores)[:WORST].tolist())
    rows = -(-len(subjects) // PER_ROW)
    width, height = 4 * TILE + 16, TILE + 24
    sheet = Image.new("RGB", (PER_ROW * width, rows * height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for index, (subject, answer) in enumerate(zip(subjects, answers, strict=True)):
        left, top = (index % PER_ROW) * width + 8, (index // PER_ROW) * height + 20
        seen = subject.camera
        other = view_camera(subject.asset, np.degrees(seen.yaw) + OTHER_SIDE, 25.0)
        tiles = [subject.picture.resize((TILE, TILE))]
        tiles += [_framed(answer, seen), _framed(answer, other)] if answer else []
        tiles += [Image.new("RGBA", (TILE, TILE))] * (3 - len(tiles))
        tiles += [render_picture(subject.asset, other, TILE, subject.asset.seed, subject.materials)]
        for position, tile in enumerate(tiles):
            sheet.paste(tile, (left + position * TILE, top), tile)
        label = f"{subject.asset.family}  F {scores[index]:.2f}"
        draw.text((left, top - 16), label + ("   (among the worst four)" if index in worst else ""), fill=(230,) * 3)
        if index in worst:
            draw.rectangle((left - 4, top - 18, left + 4 * TILE + 3, top + TILE + 1), outline=(220, 70, 50), width=2)
    sheet.save(path)


def _framed(answer: Answer, camera: Camera) -> Image.Image:
    return portrait(answer, framed(camera, answer.vertices))
