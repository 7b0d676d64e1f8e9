# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures that the engine is to reach on an H200, each computed from the parts of one full run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from ..finishing_bench.figures import Figure
from .plan import SAMPLING

Results = dict[str, dict[str, Any]]
Stages = tuple[tuple[str, str], ...]

EXACT, FAST = "sampling", "sampling, fast"
CELLS = "shape decoder to the cells of a cascade"
BEGIN: Stages = ((f"{SAMPLING}structure", EXACT), ("structure-decoder", "structure decoder"))
LOW: Stages = ((f"{SAMPLING}shape-2k", EXACT), ("decoders-knot-512", CELLS))


def _decoders(resolution: int) -> Stages:
    part = f"decoders-knot-{resolution}"
    return (part, "shape decoder"), (part, "material decoder")


def _flows(size: str) -> Stages:
    return (f"{SAMPLING}shape-{size}", EXACT), (f"{SAMPLING}material-{size}", EXACT)


def _faster(stages: Stages) -> Stages:
    return tuple((part, FAST if row == EXACT else row) for part, row in stages)


CASCADE: Stages = (*BEGIN, *LOW, *_flows("17k"), *_decoders(1024))
RUNS: dict[str, tuple[Stages, float]] = {
    "1024 cascade, 17 000 tokens: sampling and decoding": (CASCADE, 8.0),
    "The same, fast": (_faster(CASCADE), 4.0),
    "512, 2200 tokens: sampling and decoding": ((*BEGIN, *_flows("2k"), *_decoders(512)), 1.5),
    "1536 cascade, 22 000 tokens: sampling and decoding": ((*BEGIN, *LOW, *_flows("22k"), *_decoders(1536)), 14.0),
}
"""Parts and rows of each run, and the limit in seconds."""

SMALLER_CARDS = ((12, 16), (16, 24))
"""Cards in GB whose runs of the 1024 cascade are compared: each with the next larger one."""


def row_of(results: Results, part: str, name: str) -> dict[str, Any] | None:
    """The measured row of a part; None where there is none."""
    return results.get(part, {}).get("answer", {}).get("rows", {}).get(name)


def run_seconds(results: Results, part: str) -> list[float]:
    """Seconds of each of the whole runs of a part."""
    return [run["seconds"] for run in results.get(part, {}).get("answer", {}).get("runs", [])]


def later_seconds(results: Results, part: str) -> float | None:
    """The median of the whole runs of a part without the first; None where there are none."""
    later = run_seconds(results, part)[1:]
    return statistics.median(later) if later else None


def finishing_seconds(results: Results, part: str) -> dict[str, float]:
    """Seconds of each step of a finishing part, in the run with the median total; empty where not measured."""
    runs = results.get(part, {}).get("answer", {}).get("runs", [])
    return sorted(runs, key=lambda run: sum(run.values()))[len(runs) // 2] if runs else {}


def figures_of(results: Results) -> list[Figure]:
    """All figures; without the parts of the full run their values are None."""
    return [
        _share(results),
        *(_run(results, name, *run) for name, run in RUNS.items()),
        *_starts(results),
        _plans(results),
        *_geometry(results),
        *_finishing(results),
    ]


def _share(results: Results) -> Figure:
    part = f"{SAMPLING}shape-17k"
    row = row_of(results, part, EXACT)
    share = 100 * row["flops"] / row["median"] / results[part]["answer"]["ceiling"] if row else None
    return Figure("Sampling at 17 000 tokens, share of the bf16 ceiling", share, " %", 65.0, True, "the shape stage")


def _run(results: Results, name: str, stages: Stages, limit: float) -> Figure:
    rows = [row_of(results, part, row) for part, row in stages]
    total = None if None in rows else sum(row["median"] for row in rows if row is not None)
    return Figure(name, total, " s", limit, detail=_decoded(results, stages) if total is not None else "")


def _decoded(results: Results, stages: Stages) -> str:
    """What the decoders of a run decoded."""
    parts = dict.fromkeys(part for part, _ in stages if part.startswith("decoders-"))
    told = [f"{part} {results[part]['answer']['tokens']} tokens" for part in parts]
    return f"sum of the stages' whole samplers and decoders ({', '.join(told)})"


def _starts(results: Results) -> Iterator[Figure]:
    """How much slower a first run is, networks read from files."""
    name, limit = "First run of a process slower than the tenth by", 6.0
    ten, first = run_seconds(results, "run-ten"), run_seconds(results, "run-first-start")
    detail = "1024 cascade, files in the system's cache"
    yield Figure(name, ten[0] - ten[9] if len(ten) > 9 else None, " s", limit, detail=detail)
    value = first[0] - ten[9] if first and len(ten) > 9 else None
    yield Figure("The same, kernels compiled in it", value, " s", limit, detail="the first run ever on a machine")


def _plans(results: Results) -> Figure:
    slower = {}
    for small, large in SMALLER_CARDS:
        one, other = (later_seconds(results, f"run-card-{card}") for card in (small, large))
        if one is None or other is None:
            return Figure("Memory plans down to 12 GB slower than the next larger by", None, " %", 15.0)
        slower[f"{small} GB beside {large}"] = 100 * (one / other - 1)
    worst = max(slower, key=lambda pair: slower[pair])
    return Figure("Memory plans down to 12 GB slower than the next larger by", slower[worst], " %", 15.0, detail=worst)


def _geometry(results: Results) -> Iterator[Figure]:
    geometry = results.get("geometry", {}).get("answer", {})
    rows = geometry.get("geometry", {}) if geometry.get("resolution") == 1024 else {}
    for name, call, limit in (
        ("Mesh to O-Voxels at 1024³", "mesh to O-Voxels", 0.1),
        ("O-Voxels to mesh at 1024³", "O-Voxels to mesh", 0.015),
    ):
        yield Figure(name, rows[call]["median"] if rows else None, " s", limit)


def _finishing(results: Results) -> Iterator[Figure]:
    steps = finishing_seconds(results, "finishing")
    full = results.get("finishing", {}).get("answer", {}).get("resolution") == 1024
    total = sum(steps.values()) if full and steps else None
    yield Figure("Finishing: repair to gutter, 4096 texels, 1 million faces", total, " s", 3.0)
    found = results.get("agreement", {}).get("answer", {}).get("differences", {})
    worst = max(found, key=lambda step: found[step]["largest"]) if found else ""
    value = found[worst]["largest"] if found else None
    yield Figure("Finishing, largest difference of card and processor", value, "", 1e-5, detail=worst)
