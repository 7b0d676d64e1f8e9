# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures that finishing is to reach, each computed from the results of one run, beside its limit."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .objects import ORGANIC
from .parts import TWO_MILLION

Results = dict[str, dict[str, Any]]

# Finished meshes with at least this share of the faces asked for count as being of that size.
FULL_SIZE = 0.9


@dataclass(frozen=True)
class Figure:
    """A figure with its limit; ``value`` None where the run has not measured it. ``detail`` says where the worst is."""

    name: str
    value: float | None
    unit: str
    limit: float
    at_least: bool = False
    detail: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the limit is kept; None when not measured."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


# The tasks that are ours; other tools may fail.
OURS = ("codec", "finish", "measure", "engine", "compared", "watertight")


def ended_early(result: dict[str, Any]) -> list[str]:
    """What of a part's own tasks did not finish, in words."""
    return [
        f"{task} {result[task]['status']}"
        for task in OURS
        if result.get(task, {}).get("status") not in (None, "finished")
    ]


def figures_of(results: Results) -> list[Figure]:
    """All figures, in the order of the table."""
    early = [f"{name} {', '.join(ended)}" for name, result in results.items() if (ended := ended_early(result))]
    return [
        Figure("Parts that ended early", float(len(early)), "", 0.0, False, "; ".join(early)),
        *_codec(results),
        *_clean(results),
        *_watertight(results),
        *_large(results),
        *_simplify(results),
        *_atlas(results),
        _worst("Re-render of base colour, lowest", " dB", 38.0, True, _fidelity(results)),
        _worst("Unwrap of a mesh of the set", " s", 15.0, False, _unwrap_seconds(results)),
    ]


def _worst(name: str, unit: str, limit: float, at_least: bool, values: Iterator[tuple[str, float]]) -> Figure:
    """The figure of the worst of ``values``, (where, value)."""
    found = sorted(values, key=lambda pair: pair[1], reverse=not at_least)
    if not found:
        return Figure(name, None, unit, limit, at_least)
    return Figure(name, found[0][1], unit, limit, at_least, found[0][0])


def _finished(results: Results) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and answers of the measured objects."""
    for name, result in results.items():
        if result.get("measure", {}).get("answer"):
            yield name, result["measure"]["answer"]


def _large_enough(results: Results) -> Iterator[tuple[str, dict[str, Any]]]:
    """The measured objects that have the number of faces asked for."""
    for name, answer in _finished(results):
        wanted = results[name]["request_target"]
        if wanted and answer["finished"]["faces"] >= FULL_SIZE * wanted:
            yield name, answer


def _codec(results: Results) -> list[Figure]:
    runs = [(n, r["codec"]) for n, r in results.items() if r.get("codec", {}).get("answer")]
    there = ((name, run["steps"]["mesh → grid"]["seconds"]) for name, run in runs)
    back = ((name, run["steps"]["grid → mesh"]["seconds"]) for name, run in runs)
    memory = ((name, run["peak_gb"]) for name, run in runs)
    differ = ((name, 0.0 if run["answer"]["same_for_any_threads"] else 1.0) for name, run in runs)
    return [
        _worst("Mesh of 1 million faces to dual grid at 1024³", " s", 6.0, False, there),
        _worst("Memory of that", " GB", 3.0, False, memory),
        _worst("Dual grid to mesh at 1024³", " s", 2.0, False, back),
        _worst("Results that differ with the number of threads", "", 0.0, False, differ),
    ]


def _clean(results: Results) -> list[Figure]:
    def of(key: str) -> Iterator[tuple[str, float]]:
        for name, answer in _finished(results):
            yield name, float(answer["finished"][key])
            for number, level in enumerate(answer.get("lods", []), 1):
                yield f"{name}, level {number}", float(level[key])

    return [
        _worst("Clean: non-manifold edges", "", 0.0, False, of("non_manifold_edges")),
        _worst("Clean: edges with inconsistent winding", "", 0.0, False, of("flipped_edges")),
    ]


def watertight_rows(results: Results) -> list[dict[str, Any]]:
    """The rows of all batches of watertight assets."""
    batches = [r["watertight"] for r in results.values() if r.get("watertight", {}).get("answer")]
    return [row for batch in batches for row in batch["answer"]["rows"]]


def _watertight(results: Results) -> list[Figure]:
    rows = watertight_rows(results)
    closed = [row for row in rows if row["closed"]]
    share = 100.0 * len(closed) / len(rows) if rows else None
    measured = [(f"seed {row['seed']} ({row['family']}, {row['damage']})", row) for row in rows if "chamfer" in row]
    typical = statistics.median(row["chamfer"] for _, row in measured) if measured else None
    return [
        Figure("Watertight: closed by manifold3d's judgement", share, " %", 98.0, True, f"of {len(rows)} assets"),
        Figure("Watertight: Chamfer to the surface, ‰ of the size, median", typical, " ‰", 1.0),
        _worst("Watertight: the same, worst asset", " ‰", 1.0, False, ((at, row["chamfer"]) for at, row in measured)),
        Figure(
            "Watertight: parts lost",
            float(sum(row["parts_lost"] for _, row in measured)) if measured else None,
            "",
            0.0,
        ),
    ]


def _large(results: Results) -> list[Figure]:
    run = results.get(TWO_MILLION, {}).get("finish", {})
    steps = {name: step["seconds"] for name, step in run.get("steps", {}).items() if "→" not in name}
    seconds = sum(steps.values()) if run.get("status") == "finished" else None
    peak = run.get("peak_gb") if seconds is not None else None
    said = ", ".join(f"{name} {value:.1f}" for name, value in steps.items())
    return [
        Figure("2 million faces to a finished asset of 200 000", seconds, " s", 60.0, False, said),
        Figure("Peak memory of that", peak, " GB", 6.0),
    ]


def _simplify(results: Results) -> list[Figure]:
    speed, error = [], []
    for name, result in results.items():
        ours, theirs = (result.get(tool, {}).get("steps", {}).get("simplify") for tool in ("engine", "blender"))
        compared = result.get("compared", {}).get("answer", {})
        measured = [compared.get(f"{tool}_simplify", {}).get("root_mean_square") for tool in ("engine", "blender")]
        if ours and theirs and all(measured):
            speed.append((name, theirs["seconds"] / ours["seconds"]))
            error.append((name, measured[0] / measured[1]))
    return [
        _worst("Simplify: times as fast as Blender's Decimate", " ×", 10.0, True, iter(speed)),
        _worst("Simplify: error relative to Decimate's (root mean square)", " ×", 1.0, False, iter(error)),
    ]


def _atlas(results: Results) -> list[Figure]:
    def of(key: str, scale: float = 1.0, only: Callable[[str], bool] = lambda name: True) -> Iterator:
        return ((name, scale * a["atlas"][key]) for name, a in _large_enough(results) if only(name))

    def is_organic(name: str) -> bool:
        return name.partition("-")[0] in ORGANIC

    overlap = ((name, float(answer["atlas"]["overlap_texels"])) for name, answer in _finished(results))
    return [
        _worst("Charts at 200 000 faces, organic objects", "", 800.0, False, of("charts", 1.0, is_organic)),
        _worst("Thin charts at 200 000 faces", " %", 6.0, False, of("thin_share", 100.0)),
        _worst("Overlapping texels", "", 0.0, False, overlap),
        _worst("Atlas use at 200 000 faces", " %", 60.0, True, of("use", 100.0)),
    ]


def _fidelity(results: Results) -> Iterator[tuple[str, float]]:
    return ((name, answer["fidelity"]["base_color"]) for name, answer in _finished(results))


def _unwrap_seconds(results: Results) -> Iterator[tuple[str, float]]:
    for name, result in results.items():
        step = result.get("finish", {}).get("steps", {}).get("unwrap")
        if step and result["finish"]["status"] == "finished":
            yield name, step["seconds"]
