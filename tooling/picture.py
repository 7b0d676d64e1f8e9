# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's picture: the input image as a card on the left, the rendered object beside it."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

MARGIN = 40
CARD = (255, 255, 255)
RADIUS = 18


def _card(image: Image.Image, size: int) -> Image.Image:
    """``image`` fitted into a white square with round corners; RGBA."""
    image = image.convert("RGBA")
    image = ImageOps.contain(image, (size - 2 * RADIUS, size - 2 * RADIUS), Image.Resampling.LANCZOS)
    card = Image.new("RGBA", (size, size), (*CARD, 255))
    card.alpha_composite(image, ((size - image.width) // 2, (size - image.height) // 2))
    mask = Image.new("L", (4 * size, 4 * size), 0)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 4 * size - 1, 4 * size - 1), 4 * RADIUS, fill=255)
    card.putalpha(mask.resize((size, size), Image.Resampling.LANCZOS))
    return card


def compose(prepared: Path, original: Path, views: Path, target: Path) -> Path:
    """Write ``target`` from the image (as prepared where Pillow cannot read the original) and the render; return it."""
    with Image.open(views) as rendered:
        right = rendered.convert("RGB")
    size = right.height - 2 * MARGIN
    backdrop = right.resize((1, right.height), Image.Resampling.BOX, (0, 0, 8, right.height))
    canvas = Image.new("RGB", (size + 2 * MARGIN + right.width, right.height))
    canvas.paste(backdrop.resize((size + 2 * MARGIN, right.height)), (0, 0))
    canvas.paste(right, (size + 2 * MARGIN, 0))
    try:
        with Image.open(original) as image:
            image.load()
            card = _card(image, size)
    except OSError:
        with Image.open(prepared) as image:
            card = _card(image, size)
    canvas.paste(card, (MARGIN, MARGIN), card)
    canvas.save(target, optimize=True)
    return target
