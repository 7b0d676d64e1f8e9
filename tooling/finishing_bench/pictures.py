# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the documentation: an object through all steps of finishing, and the maps of its low-poly version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ..console import CommandError
from ..contact_sheet import CELL, GAP, INK, PAPER, layout
from .parts import Result
from .watch import run_task

COLUMNS = 6
CAPTION = 30
LIMIT = 1800.0


def make_picture(folder: Path, target: Path, request: Result) -> None:
    """Make the object of ``request`` (as for ``picture_task``) in ``folder``, render it and write the sheet ``target``.

    Raises CommandError when a process fails.
    """
    made = _must(run_task("picture_task", folder, LIMIT, **request), folder)
    modes = {f"{name}_alpha_mode": made[f"{name}_alpha_mode"] for name in ("full", "low")}
    _must(run_task("render_task", folder / "rendered", LIMIT, **modes), folder / "rendered")
    with np.load(folder / "low" / "finished.npz") as arrays:
        uv = arrays["uv"]
    base, orm, normal = (Image.open(folder / "low" / f"{name}.png") for name in ("base_color", "orm", "normal"))
    occlusion, roughness, metallic = orm.split()
    cells = [
        (f"Raw, {_count(made['raw'])} faces", "raw"),
        (f"Clean, {_count(made['clean'])} faces", "clean"),
        (f"Watertight, {_count(made['watertight'])} faces", "watertight"),
        (f"Finished, {_count(made['full'])} faces", "full"),
        (f"Low-poly, {_count(made['low'])} faces", "low"),
        ("Its wire", "wire"),
    ]
    rendered = [(caption, Image.open(folder / "rendered" / f"{name}.png")) for caption, name in cells]
    maps = [
        (f"Its UV layout, {made['low_charts']} charts", layout(uv)),
        ("Base colour", base.convert("RGB")),
        ("Roughness", roughness.convert("RGB")),
        ("Metallic", metallic.convert("RGB")),
        ("Normal", normal.convert("RGB")),
        ("Occlusion", occlusion.convert("RGB")),
    ]
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet([*rendered, *maps]).save(target, optimize=True)


def sheet(cells: list[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures with their captions above them, six in a row."""
    rows = -(-len(cells) // COLUMNS)
    picture = Image.new("RGB", (GAP + COLUMNS * (CELL + GAP), rows * (CAPTION + CELL) + GAP), PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=17)
    for index, (caption, cell) in enumerate(cells):
        left, top = GAP + index % COLUMNS * (CELL + GAP), index // COLUMNS * (CAPTION + CELL)
        draw.text((left, top + 6), caption, INK, font)
        fitted = ImageOps.fit(_on_white(cell), (CELL, CELL), Image.Resampling.LANCZOS)
        picture.paste(fitted, (left, top + CAPTION))
    return picture


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture.convert("RGB")
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    white.alpha_composite(picture)
    return white.convert("RGB")


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _must(run: Result, folder: Path) -> Result:
    if run["status"] != "finished":
        raise CommandError(f"The picture was not made: {run['status']}. Its log is {folder / 'log.txt'}.")
    return run["answer"]
