# SPDX-License-Identifier: GPL-3.0-or-later
"""The run as Markdown: figures beside their limits, the networks, the switches, attention, finishing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..finishing_bench.figures import Figure
from ..finishing_bench.tables import figure_row, number, table, titled
from .figures import Results


def markdown(machine: str, kind: str, figures: list[Figure], results: Results) -> str:
    """All tables; those without rows are left out. ``kind`` says what the times are."""
    sections = [
        f"Machine: {machine}\n\n{kind}",
        table(("figure", "measured", "limit", "", "how"), map(figure_row, figures)),
        titled("Networks", table(_NETWORKS, _networks(results))),
        titled("Each saving turned over: a guided step with and without", table(_SWITCHES, _switches(results))),
        titled(
            "Attention: a guided step with each kernel", table(("part", "kernel", "time", "spread"), _kernels(results))
        ),
        titled("Geometry, with and without the Triton kernels", table(_GEOMETRY, _geometry(results))),
        titled("Finishing", table(_FINISHING, _finishing(results))),
        _problems(results),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


_NETWORKS = ("part", "what", "tokens", "blocks", "precision", "time", "spread", "GFLOP", "GFLOP/s", "of the ceiling")
_NETWORKS += ("bytes", "peak memory", "planned")
_GEOMETRY = ("what", "time", "spread", "peak memory", "without")
_FINISHING = ("step", "time", "processor time", "peak memory", "without the card")
_SWITCHES = ("part", "saving", "shipped", "with", "without", "saved")


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
            shipped = about["rows"].get("guided step") or about["rows"][name.split(":")[0]]
            on, off = (shipped, turned) if turned["shipped"] else (turned, shipped)
            saved = f"{100 * (1 - on['median'] / off['median']):.1f} %"
            yield part, name, "on" if turned["shipped"] else "off", time_of(on), time_of(off), saved


def _kernels(results: Results) -> Iterator[tuple[str, ...]]:
    for part, about in _answers(results):
        for name, row in about.get("attention", {}).items():
            yield part, name, row.get("problem") or time_of(row), "" if "problem" in row else spread_of(row)


def _geometry(results: Results) -> Iterator[tuple[str, ...]]:
    for name, row in results.get("geometry", {}).get("answer", {}).get("geometry", {}).items():
        without = time_of(row["without"]) if "without" in row else "–"
        yield name, time_of(row), spread_of(row), f"{row['peak'] / 1e9:.2f} GB", without


def _finishing(results: Results) -> Iterator[tuple[str, ...]]:
    without = results.get("finishing-on-processor", {}).get("steps", {})
    for name, step in results.get("finishing", {}).get("steps", {}).items():
        beside = f"{without[name]['seconds']:.2f} s" if name in without else "–"
        yield name, f"{step['seconds']:.2f} s", f"{step['processor']:.2f} s", f"{step['peak_gb']:.2f} GB", beside


def _problems(results: Results) -> str:
    lines = [f"* {part} {result['status']}" for part, result in results.items() if result["status"] != "finished"]
    return "\n".join(lines)


def time_of(row: dict[str, Any]) -> str:
    """The median in milliseconds or seconds."""
    return f"{row['median']:.3g} s" if row["median"] >= 1 else f"{1000 * row['median']:.3g} ms"


def spread_of(row: dict[str, Any]) -> str:
    """How far the slowest repetition is above the fastest, as a share of the median."""
    return f"{100 * (row['most'] - row['least']) / row['median']:.0f} %"
