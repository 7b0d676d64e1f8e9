# SPDX-License-Identifier: GPL-3.0-or-later
"""The run as Markdown: figures beside their limits, the networks, the switches, attention, finishing."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from ..finishing_bench.figures import Figure
from ..finishing_bench.tables import figure_row, number, table, titled
from .figures import Results, finishing_seconds


def markdown(machine: str, kind: str, figures: list[Figure], results: Results) -> str:
    """All tables; those without rows are left out. ``kind`` says what the times are."""
    sections = [
        f"Machine: {machine}\n\n{kind}",
        table(("figure", "measured", "limit", "", "how"), map(figure_row, figures)),
        titled("Networks", table(_NETWORKS, _networks(results))),
        titled("Each saving turned over: with and without", table(_SWITCHES, _switches(results))),
        titled(
            "Attention: a guided step with each kernel", table(("part", "kernel", "time", "spread"), _kernels(results))
        ),
        titled("Whole runs, networks read from files", table(_WHOLE, _whole(results))),
        titled("Geometry, with and without the Triton kernels", table(_GEOMETRY, _geometry(results))),
        titled("Finishing", table(_FINISHING, _finishing(results))),
        titled("Finishing, card beside processor", table(_AGREEMENT, _agreement(results))),
        _problems(results),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


_NETWORKS = ("part", "what", "tokens", "blocks", "precision", "time", "spread", "GFLOP", "GFLOP/s", "of the ceiling")
_NETWORKS += ("bytes", "peak memory", "planned")
_GEOMETRY = ("what", "time", "spread", "peak memory", "without")
_FINISHING = ("step", "time", "processor time", "peak memory", "without Triton", "without the card")
_AGREEMENT = ("step", "largest difference", "values that differ")
_SWITCHES = ("part", "saving", "of", "shipped", "with", "without", "saved")
_WHOLE = ("part", "kind", "tokens", "memory", "plan", "first run", "later runs", "spread", "peak memory", "planned")
_WHOLE += ("copied early",)


STEP = "guided step"


def _answers(results: Results) -> Iterator[tuple[str, dict[str, Any]]]:
    for part, result in results.items():
        if result.get("answer", {}).get("rows"):
            yield part, result["answer"]


def _networks(results: Results) -> Iterator[tuple[str, ...]]:
    for part, about in _answers(results):
        for name, row in about["rows"].items():
            rate = row["flops"] / row["median"]
            tokens = number(about["tokens"]) + (f" ({number(about['voxels'])} voxels)" if "voxels" in about else "")
            blocks = f"{about['blocks']} of {about['of_blocks']}" if "blocks" in about else "all"
            yield (
                *(part, name, tokens, blocks, about["dtype"], time_of(row), spread_of(row)),
                *(number(row["flops"] / 1e9), number(rate / 1e9), f"{100 * rate / about['ceiling']:.0f} %"),
                *(f"{row['bytes'] / 1e9:.2f} GB", f"{row['peak'] / 1e9:.2f} GB", _planned(row)),
            )


def _planned(row: dict[str, Any]) -> str:
    """What the memory plan counts on, on a GPU, and whether that was enough."""
    if "planned" not in row:
        return ""
    return f"{row['planned'] / 1e9:.2f} GB{'' if row['within'] else ', **not enough**'}"


def _switches(results: Results) -> Iterator[tuple[str, ...]]:
    for part, about in _answers(results):
        for name, turned in about.get("switches", {}).items():
            # "row: saving", or the saving alone where it is one of a guided step.
            row, _, saving = name.partition(": ") if name.partition(": ")[0] in about["rows"] else (STEP, "", name)
            shipped = about["rows"][row]
            on, off = (shipped, turned) if turned["shipped"] else (turned, shipped)
            saved = f"{100 * (1 - on['median'] / off['median']):.1f} %"
            yield part, saving, row, "on" if turned["shipped"] else "off", time_of(on), time_of(off), saved


def _kernels(results: Results) -> Iterator[tuple[str, ...]]:
    for part, about in _answers(results):
        for name, row in about.get("attention", {}).items():
            yield part, name, row.get("problem") or time_of(row), "" if "problem" in row else spread_of(row)


def _whole(results: Results) -> Iterator[tuple[str, ...]]:
    for part, result in results.items():
        about = result.get("answer", {})
        if "request" not in about:
            continue
        asked = about["request"]
        kind = asked["kind"] + ", fast" * asked["fast"] + f", {asked['precision']}" * (asked["precision"] != "auto")
        what = (
            part,
            kind,
            " and ".join(map(number, asked["tokens"])),
            f"{asked['card']} GB" if asked["card"] else "all",
        )
        if "problem" in about:
            yield *what, about["problem"], *[""] * (len(_WHOLE) - len(what) - 1)
            continue
        first, *later = (run["seconds"] for run in about["runs"])
        row = {"median": statistics.median(later), "least": min(later), "most": max(later), "count": len(later)}
        peak = max(run["peak"] for run in about["runs"])
        times = f"{first:.3g} s", time_of(row), spread_of(row)
        sizes = f"{peak / 1e9:.2f} GB", f"{about['planned'] / 1e9:.2f} GB", number(about["counts"]["copied_early"])
        yield *what, about["mode"], *times, *sizes


def _agreement(results: Results) -> Iterator[tuple[str, ...]]:
    for step, found in results.get("agreement", {}).get("answer", {}).get("differences", {}).items():
        yield step, f"{found['largest']:.1e}", f"{100 * found['share']:.2g} %"


def _geometry(results: Results) -> Iterator[tuple[str, ...]]:
    for name, row in results.get("geometry", {}).get("answer", {}).get("geometry", {}).items():
        without = time_of(row["without"]) if "without" in row else "–"
        yield name, time_of(row), spread_of(row), f"{row['peak'] / 1e9:.2f} GB", without


def _finishing(results: Results) -> Iterator[tuple[str, ...]]:
    others = [finishing_seconds(results, part) for part in ("finishing-without-triton", "finishing-on-processor")]
    own = finishing_seconds(results, "finishing")
    for name, step in results.get("finishing", {}).get("steps", {}).items():
        beside = (f"{other[name]:.2f} s" if name in other else "–" for other in others)
        seconds = own.get(name, step["seconds"])
        yield name, f"{seconds:.2f} s", f"{step['processor']:.2f} s", f"{step['peak_gb']:.2f} GB", *beside


def _problems(results: Results) -> str:
    lines = [f"* {part} {result['status']}" for part, result in results.items() if result["status"] != "finished"]
    return "\n".join(lines)


def time_of(row: dict[str, Any]) -> str:
    """The median in milliseconds or seconds."""
    return f"{row['median']:.3g} s" if row["median"] >= 1 else f"{1000 * row['median']:.3g} ms"


def spread_of(row: dict[str, Any]) -> str:
    """How far the slowest repetition is above the fastest, as a share of the median; nothing of a single one."""
    if row["count"] < 2:
        return "–"
    return f"{100 * (row['most'] - row['least']) / row['median']:.0f} %"
