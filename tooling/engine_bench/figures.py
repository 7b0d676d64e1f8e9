# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures that the engine is to reach on an H200, each computed from the parts of one full run."""

from __future__ import annotations

from typing import Any

from ..finishing_bench.figures import Figure

Results = dict[str, dict[str, Any]]

# Steps with and without guidance at the released settings (spec/models.md 7.3).
STRUCTURE, SHAPE, MATERIAL = (10, 2), (9, 3), (0, 12)
IMAGES = (("image-512", "image encoder"), ("image-1024", "image encoder"))
BEGIN = (("structure", STRUCTURE), ("structure-decoder", "structure decoder"))
LOW = (("shape-2k", SHAPE), ("decoders-knot-512", "shape decoder"))
DECODERS = (("decoders-knot-1024", "shape decoder"), ("decoders-knot-1024", "material decoder"))
RUNS: dict[str, tuple[tuple[tuple[str, Any], ...], float, str]] = {
    "1024 cascade, 17 000 tokens: sampling and decoding": (
        (*BEGIN, *LOW, ("shape-17k", SHAPE), ("material-17k", MATERIAL), *DECODERS),
        8.0,
        "",
    ),
    "512, 2200 tokens: sampling and decoding": (
        (*BEGIN, *LOW, ("shape-2k", MATERIAL), ("decoders-knot-512", "material decoder")),
        1.5,
        "its material flow taken as the shape flow",
    ),
    "1536 cascade, 22 000 tokens: sampling and decoding": (
        (*BEGIN, *LOW, ("shape-22k", SHAPE), ("shape-22k", MATERIAL), *DECODERS),
        14.0,
        "its material flow taken as the shape flow, decoding as at 1024",
    ),
}


def row_of(results: Results, part: str, name: str) -> dict[str, Any] | None:
    """The measured row of a part; None where there is none."""
    return results.get(part, {}).get("answer", {}).get("rows", {}).get(name)


def seconds_of(results: Results, part: str, what: str | tuple[int, int]) -> float | None:
    """Seconds of a row, or of a stage of so many guided and so many other steps; None where not measured."""
    if isinstance(what, str):
        row = row_of(results, part, what)
        return row["median"] if row else None
    guided, single = row_of(results, part, "guided step"), row_of(results, part, "conditional pass")
    return what[0] * guided["median"] + what[1] * single["median"] if guided and single else None


def figures_of(results: Results) -> list[Figure]:
    """All figures; without the parts of the full run their values are None."""
    row, answer = row_of(results, "shape-17k", "guided step"), results.get("shape-17k", {}).get("answer", {})
    share = 100 * row["flops"] / row["median"] / answer["ceiling"] if row else None
    figures = [Figure("Guided step at 17 000 tokens, share of the bf16 ceiling", share, " %", 65.0, True)]
    for name, (stages, limit, note) in RUNS.items():
        seconds = [seconds_of(results, part, what) for part, what in stages]
        total = None if None in seconds else sum(second for second in seconds if second is not None)
        figures.append(Figure(name, total, " s", limit, detail=note))
    finishing = results.get("finishing", {})
    about, steps = finishing.get("answer", {}), finishing.get("steps", {})
    full = about.get("resolution") == 1024
    geometry = results.get("geometry", {}).get("answer", {})
    rows = geometry.get("geometry", {}) if geometry.get("resolution") == 1024 else {}
    for name, call, limit in (
        ("Mesh to O-Voxels at 1024³", "mesh to O-Voxels", 0.1),
        ("O-Voxels to mesh at 1024³", "O-Voxels to mesh", 0.015),
    ):
        figures.append(Figure(name, rows[call]["median"] if rows else None, " s", limit))
    rest = [step["seconds"] for name, step in steps.items() if "→" not in name]
    finish = sum(rest) if full and rest else None
    return [*figures, Figure("Finishing: repair to gutter, 4096 texels, 1 million faces", finish, " s", 3.0)]
