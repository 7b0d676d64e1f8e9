# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the user guide's pictures of those that test_story.py has left: ``guide_pictures.py [FOLDER]``; needs Pillow.

The folder is ``build/screenshots/story-5.2`` unless another is named. Look at every picture before it is committed.
"""

import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
# Pictures side by side, each a screenshot and the part of it that is shown: left, top, right, bottom.
PANEL = (1028, 84, 1316, 812)
OBJECT = (560, 330, 800, 640)
PICTURES = {
    "walk-install": [("01-install", (210, 470, 760, 720))],
    "walk-first-open": [("02-first-open", PANEL), ("03-installing", PANEL), ("08-made", PANEL)],
    "walk-drop": [("04-drop", (200, 640, 720, 800))],
    "walk-previews": [(name, OBJECT) for name in ("05-voxels", "06-clay", "07-materials", "08-made")],
    "walk-cancelled": [("09-cancelled", (480, 320, 1316, 720))],
    "walk-queue": [("10-queue", (440, 300, 1316, 900))],
    "walk-row": [("11-row", (440, 300, 1316, 840))],
    "walk-texture": [("12-drop-on-mesh", (250, 430, 640, 640)), ("13-textured", (250, 430, 640, 640))],
    "walk-finish": [("14-finish", (440, 440, 1316, 1060))],
    "walk-advanced": [("21-advanced", (1028, 545, 1316, 1012))],
    "walk-results": [("19-results", (760, 660, 1316, 1092))],
}
GAP, COLOURS = 8, 200


def compose(folder, parts):
    """One picture of parts of screenshots, side by side on white."""
    cut = [Image.open(folder / f"story-{name}.png").convert("RGB").crop(box) for name, box in parts]
    width = sum(part.width for part in cut) + GAP * (len(cut) - 1)
    sheet = Image.new("RGB", (width, max(part.height for part in cut)), "white")
    left = 0
    for part in cut:
        sheet.paste(part, (left, 0))
        left += part.width + GAP
    return sheet.quantize(COLOURS, dither=Image.Dither.NONE)


def main(folder):
    for name, parts in PICTURES.items():
        path = ROOT / "docs" / "images" / f"{name}.png"
        missing = [part for part, _ in parts if not (folder / f"story-{part}.png").is_file()]
        if missing:
            # On a busy machine a preview may be over before it is seen.
            print(path.name, "stays as it is: the story has left no", ", ".join(missing))
            continue
        compose(folder, parts).save(path, optimize=True)
        print(path.name, path.stat().st_size // 1024, "KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "screenshots" / "story-5.2")
