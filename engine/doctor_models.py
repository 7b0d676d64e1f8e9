# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor's look at the model sets: which are here, complete and verified, judged by sizes and receipts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .doctor_checks import GB, Finding
from .weights.models_folder import read_receipt
from .weights.registry import SETS, STARTER, STARTER_FOLDER, PublishedSet, places


def models(data: Path, trellis2: Path | None = None) -> Finding:
    """The sets in ``data``/models; ``trellis2`` is where the preferences say that TRELLIS.2-4B lies instead.

    A set that is not here is no fault, an incomplete or damaged one is.
    """
    starter = sum(file.stat().st_size for file in STARTER_FOLDER.rglob("*") if file.is_file())
    if not (STARTER_FOLDER / "pipeline.json").is_file():
        advice = "Install the extension again: its package is incomplete."
        return Finding("models", "broken", f"{STARTER}: not here", advice)
    lines, facts, faulty = [f"{STARTER}: here, {starter / 1e6:.0f} MB"], {STARTER: {"state": "here"}}, ""
    for entry in SETS:
        folder = data / "models" / entry.folder
        if trellis2 is not None and entry.name == "TRELLIS.2-4B":
            folder = trellis2
        state, text = state_of(entry, folder, data / "models")
        lines.append(f"{entry.name}: {text}")
        facts[entry.name] = {"state": state, "folder": str(folder)}
        if state in ("incomplete", "damaged") and not faulty:
            faulty = entry.name
    advice = (
        f"Run “blender --command espalier models download {faulty}”: it fetches only what is bad." if faulty else ""
    )
    return Finding("models", "broken" if faulty else "ok", "\n".join(lines), advice, facts)


def state_of(entry: PublishedSet, folder: Path, models_folder: Path) -> tuple[str, str]:
    """Return "missing", "incomplete", "damaged", "unverified" or "verified", and the same in words."""
    noted: dict[str, Any] = {}
    if folder.is_dir():
        receipt = read_receipt(folder)
        noted = receipt.get("files", {})
        if receipt.get("damaged"):
            return "damaged", f"damaged: {', '.join(map(str, receipt['damaged']))}"
    if not any(_size(folder / file.path) for file in entry.files):
        return "missing", f"not here. {entry.purpose}"
    sizes = {file: max(map(_size, places(folder, file.path, models_folder))) for file in entry.files}
    lost = [file.path for file, size in sizes.items() if file.required and not size]
    if lost:
        return "incomplete", f"{len(lost)} of {len(entry.files)} files are missing or empty, first {lost[0]}"
    noted_sizes = {file.path: noted.get(file.path, {}).get("size") for file in entry.files}
    wrong = [
        file.path for file, size in sizes.items() if size and (noted_sizes[file.path] or file.size or size) != size
    ]
    if wrong:
        return "damaged", f"another size than it should have: {', '.join(wrong)}"
    total = f"{sum(sizes.values()) / GB:.1f} GB"
    if all(noted_sizes[file.path] for file, size in sizes.items() if size):
        return "verified", f"here, {total}, verified"
    return "unverified", f"here, {total}, not verified yet"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
