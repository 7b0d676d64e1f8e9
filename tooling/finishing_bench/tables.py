# SPDX-License-Identifier: GPL-3.0-or-later
"""The run as Markdown: figures beside their limits, then the tables they come from."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from .damages import DAMAGES
from .figures import Figure, Results, watertight_rows


def markdown(machine: str, figures: list[Figure], results: Results) -> str:
    """All tables; those without rows are left out."""
    sections = [
        f"Machine: {machine}",
        table(("figure", "measured", "limit", "", "where"), map(figure_row, figures)),
        titled("Objects: faces, edges, distances", _geometry(results)),
        titled("Objects: UV layout and maps", _layouts(results)),
        titled("Objects: seconds and peak memory of each step", _steps(results)),
        titled("Simplify and unwrap beside other tools", _tools(results)),
        titled("Levels of detail, all with the maps of the finished mesh", _lods(results)),
        titled("Watertight", _watertight(results)),
        titled("Codec", _codec(results)),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def titled(title: str, text: str) -> str:
    """The table under a heading; nothing where it has no rows."""
    return f"### {title}\n\n{text}" if text else ""


def table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    """Rows below their heads, all but the first column to the right; "" without rows."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join(["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|", *lines])


def number(value: float | None) -> str:
    """Three significant digits; thousands set apart."""
    if value is None:
        return "–"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def figure_row(figure: Figure) -> tuple[str, ...]:
    """A figure beside its limit, and whether it keeps that."""
    verdict = {True: "reached", False: "**missed**", None: "not measured"}[figure.reached]
    bound = "≥" if figure.at_least else "≤"
    measured = "–" if figure.value is None else number(figure.value) + figure.unit
    return figure.name, measured, f"{bound} {number(figure.limit)}{figure.unit}", verdict, figure.detail


def _objects(results: Results) -> Iterable[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name, result in results.items():
        if "finish" in result:
            yield name, result["finish"], result.get("measure", {}).get("answer", {})


def _geometry(results: Results) -> str:
    head = ("object", "raw faces", "faces", "components", "open edges", "non-manifold", "flipped", "inside out")
    head += ("Chamfer ‰", "farthest ‰", "normals °")
    rows = []
    for name, run, measured in _objects(results):
        if not measured:
            rows.append((name, run["status"], *[""] * 9))
            continue
        mesh, distance = measured["finished"], measured["distance"]
        counts = [mesh[key] for key in ("faces", "components", "boundary_edges", "non_manifold_edges", "flipped_edges")]
        figures = [distance[key] for key in ("chamfer", "farthest", "normal_degrees")]
        rows.append((name, *map(number, [measured["raw"]["faces"], *counts, measured["inside_out"], *figures])))
    return table(head, rows)


def _layouts(results: Results) -> str:
    head = ("object", "charts", "thin %", "overlap", "gap", "use %", "texels/unit", "spread %")
    head += ("colour dB", "roughness dB", "metallic dB", "alpha dB", "shading °", "with normal map °")
    rows = []
    for name, _, measured in _objects(results):
        if measured:
            rows.append(
                (name, *_layout(measured["atlas"]), *_decibels(measured["fidelity"]), *_shading(measured["shading"]))
            )
    return table(head, rows)


def _layout(atlas: dict[str, float]) -> list[str]:
    figures = [atlas["charts"], 100 * atlas["thin_share"], atlas["overlap_texels"], atlas["gap"], 100 * atlas["use"]]
    return [number(value) for value in [*figures, atlas["density"], 100 * atlas["density_spread"]]]


def _decibels(fidelity: dict[str, float]) -> list[str]:
    return [number(fidelity.get(name)) for name in ("base_color", "roughness", "metallic", "alpha")]


def _shading(angles: dict[str, float]) -> list[str]:
    return [number(angles.get(name)) for name in ("without_map", "with_map")]


def _steps(results: Results) -> str:
    names: list[str] = []
    for _, run, _ in _objects(results):
        names += [step for step in run["steps"] if step not in names]
    rows = []
    for name, run, _ in _objects(results):
        cells = [run["steps"].get(step) for step in names]
        shown = [f"{cell['seconds']:.2f} s, {cell['peak_gb']:.2f} GB" if cell else "" for cell in cells]
        total = sum(cell["seconds"] for cell in cells if cell)
        ended = f"{total:.1f} s, {run['peak_gb']:.2f} GB" if run["status"] == "finished" else run["status"]
        rows.append((name, *shown, ended))
    return table(("object", *names, "all"), rows)


def _tools(results: Results) -> str:
    head = ("object", "tool", "simplify", "error (mean) ‰", "error (r.m.s.) ‰", "unwrap", "charts", "thin %", "overlap")
    head += ("gap", "use %", "texels/unit", "spread %", "memory")
    rows = []
    for name, result in results.items():
        compared = result.get("compared", {}).get("answer", {})
        for tool, label in (("engine", "Espalier"), ("xatlas", "plain xatlas"), ("blender", "Blender")):
            run = result.get(tool)
            if run is None:
                continue
            error, atlas = compared.get(f"{tool}_simplify", {}), compared.get(f"{tool}_atlas")
            rows.append(
                (
                    name,
                    label,
                    "" if tool == "xatlas" else _seconds(run, "simplify"),
                    number(error["chamfer"]) if "chamfer" in error else "",
                    number(error["root_mean_square"]) if "root_mean_square" in error else "",
                    _seconds(run, "unwrap"),
                    *(_layout(atlas) if atlas else [""] * 7),
                    f"{run['peak_gb']:.2f} GB",
                )
            )
    return table(head, rows)


def _seconds(run: dict[str, Any], step: str) -> str:
    return f"{run['steps'][step]['seconds']:.2f} s" if step in run["steps"] else run["status"]


def _lods(results: Results) -> str:
    rows = []
    for name, _, measured in _objects(results):
        for level in measured.get("lods", []):
            counts = [level[key] for key in ("faces", "non_manifold_edges", "flipped_edges", "chamfer", "farthest")]
            rows.append((name, *map(number, [*counts, level["normal_degrees"], level["base_color"]])))
    head = ("object", "faces", "non-manifold", "flipped", "Chamfer ‰", "farthest ‰", "normals °", "colour dB")
    return table(head, rows)


def _watertight(results: Results) -> str:
    rows = []
    every = watertight_rows(results)
    for damage in (*DAMAGES, "all"):
        some = [row for row in every if damage in (row["damage"], "all")]
        measured = [row for row in some if "chamfer" in row]
        if not measured:
            continue
        chamfer = sorted(row["chamfer"] for row in measured)
        rows.append(
            (
                damage,
                f"{sum(row['closed'] for row in some)} of {len(some)}",
                *(number(value) for value in (statistics.median(chamfer), chamfer[-1])),
                number(statistics.mean(row["solid_to_surface"] for row in measured)),
                number(statistics.mean(row["normal_degrees"] for row in measured)),
                f"{sum(row['parts_lost'] for row in measured)} of {sum(row['parts'] for row in measured)}",
            )
        )
    head = ("assets", "closed", "Chamfer ‰, median", "worst", "solid to surface ‰, mean", "normals °", "parts lost")
    problems = [
        f"Seed {row['seed']} ({row['family']}, {row['damage']}): {row['problem']}" for row in every if row["problem"]
    ]
    return "\n\n".join(filter(None, [table(head, rows), "\n".join(f"* {problem}" for problem in problems)]))


def _codec(results: Results) -> str:
    rows = []
    for name, result in results.items():
        run = result.get("codec")
        if run and run["answer"]:
            about, steps = run["answer"], run["steps"]
            rows.append(
                (
                    name,
                    *(number(about[key]) for key in ("input_faces", "voxels", "faces")),
                    *(f"{step['seconds']:.2f} s" for step in steps.values()),
                    f"{run['peak_gb']:.2f} GB",
                    "yes" if about["same_for_any_threads"] else "**no**",
                )
            )
    head = (
        "case",
        "faces",
        "voxels",
        "faces again",
        "mesh → grid",
        "grid → mesh",
        "one thread",
        "one thread",
        "memory",
    )
    return table((*head, "same bytes"), rows)
