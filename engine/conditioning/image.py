# SPDX-License-Identifier: GPL-3.0-or-later
"""Image preparation: limit the size, find the subject, crop it square, premultiply onto black (spec/models.md 6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import EspalierError
from .keyer import Matte, key_plain_background
from .reader import open_image

OWN_TRANSPARENCY = "The subject was found by the image's own transparency."
LONGEST_SIDE = 1024
SUBJECT_ALPHA = 204
"""Pixels whose alpha is above this (0.8 of full) outline the subject."""

SMALLEST_SUBJECT = 8
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Matting = Literal["auto", "alpha", "birefnet", "keyer", "none"]
"""How the subject is found. auto: by the alpha channel, else by looking; alpha: by the alpha channel only; birefnet and
keyer: by these even if there is alpha; none: the whole picture is the subject."""

MATTINGS: tuple[str, ...] = get_args(Matting)


@dataclass(frozen=True)
class Prepared:
    """The picture as the image encoder sees it.

    image: mode RGB, square, the subject filling it, colours multiplied by alpha (black where nothing is).
    mask: mode L, same size, the alpha that was used.
    notes: sentences for the report; they say how the subject was found.
    """

    image: Image.Image
    mask: Image.Image
    notes: tuple[str, ...] = ()


def prepare_image(
    source: str | Path | Image.Image,
    matting: Matting = "auto",
    matte: Callable[[Image.Image], Matte] = key_plain_background,
) -> Prepared:
    """Prepare a picture for conditioning; ``matte`` finds the subject of an opaque one (``matting.matte_for``).

    Raises EspalierError("bad_input") for anything that cannot be read or shows nothing.
    """
    image = source if isinstance(source, Image.Image) else open_image(source)
    if min(image.size) < 1:
        raise EspalierError("bad_input", "The image has no pixels (its width or height is zero). Choose another image.")
    has_alpha = image.mode == "RGBA" and image.getextrema()[3][0] < 255
    if matting == "alpha" and not has_alpha:
        raise EspalierError(
            "bad_input",
            "The image has no transparent background to find its subject by. Use one that has, or choose another way.",
        )
    image = _limit_size(image)
    if has_alpha and matting in ("auto", "alpha"):
        notes: tuple[str, ...] = (OWN_TRANSPARENCY,)
    elif matting == "none":
        image, notes = image.convert("RGB"), ("The whole image was taken as the subject.",)
        image.putalpha(255)
    else:
        found = matte(image.convert("RGB"))
        image, notes = found.image, found.notes
    cropped, crop_notes = _crop_square(image)
    pixels = np.asarray(cropped).astype(np.float32) / 255
    premultiplied = (pixels[..., :3] * pixels[..., 3:] * 255).astype(np.uint8)
    return Prepared(Image.fromarray(premultiplied), cropped.getchannel("A"), notes + crop_notes)


def image_tensor(image: Image.Image, size: int) -> Tensor:
    """Return the ImageNet-normalised tensor [1, 3, size, size] float32 of a square picture (LANCZOS)."""
    resized = image.resize((size, size), Image.Resampling.LANCZOS).convert("RGB")
    values = torch.from_numpy(np.array(resized)).float().permute(2, 0, 1) / 255
    mean, std = (torch.tensor(c).view(3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_STD))
    return ((values - mean) / std)[None]


def _limit_size(image: Image.Image) -> Image.Image:
    """Scale down to 1024 on the longest side. ``int`` truncates: some sizes end at 1023, as in the reference."""
    scale = min(1, LONGEST_SIDE / max(image.size))
    if scale == 1:
        return image
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
    return image.resize(size, Image.Resampling.LANCZOS)


def _crop_square(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Cut a square around the subject of an RGBA picture; outside the picture it is transparent black.

    The square's side is the larger difference of the subject's first and last index (which leaves out the last row or
    column), halved in integers, around a centre that may lie between pixels: exactly the released preparation.
    """
    alpha = np.asarray(image.getchannel("A"))
    threshold, notes = SUBJECT_ALPHA, ()
    if alpha.max() <= threshold:
        if alpha.max() < 8:
            raise EspalierError(
                "bad_input",
                "The image is fully transparent, so there is nothing to build. Choose an image that shows a subject.",
            )
        threshold, notes = int(0.8 * alpha.max()), ("The whole subject is partly transparent.",)
    rows, columns = np.nonzero(alpha > threshold)
    left, top, right, bottom = columns.min(), rows.min(), columns.max(), rows.max()
    half = int(max(right - left, bottom - top)) // 2
    if 2 * half < SMALLEST_SUBJECT:
        raise EspalierError(
            "bad_input",
            f"The subject is less than {SMALLEST_SUBJECT} pixels large. Choose an image that shows it larger.",
        )
    x, y = (left + right) / 2, (top + bottom) / 2
    return image.crop((x - half, y - half, x + half, y + half)), notes
