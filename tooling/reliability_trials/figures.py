# SPDX-License-Identifier: GPL-3.0-or-later
"""What a trial counted or measured, beside the most that it may be, and the table of all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One number that must not be above ``limit``. ``detail`` tells what it is a number of, or where the worst was."""

    name: str
    value: float
    limit: float
    unit: str = ""
    detail: str = ""

    @property
    def reached(self) -> bool:
        """Whether the limit is kept."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Outcome:
    """What one trial came to: its figures and, in ``notes``, what it did, for people."""

    figures: list[Figure]
    notes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether every limit is kept."""
        return all(figure.reached for figure in self.figures)

    @property
    def text(self) -> str:
        """All of it in lines."""
        return "\n".join([*(_line(figure) for figure in self.figures), *self.notes])

    def record(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Outcome:
        """Return the outcome that a ``record`` holds."""
        return cls([Figure(**figure) for figure in record["figures"]], record["notes"])


def table(outcomes: Iterable[Outcome]) -> str:
    """Return the figures as one Markdown table, and below it what was done."""
    kept = list(outcomes)
    lines = ["| figure | measured | limit |  | of |", "|---|---:|---:|---|---|"]
    for figure in (figure for outcome in kept for figure in outcome.figures):
        verdict = "reached" if figure.reached else "**missed**"
        value, limit = _number(figure.value, figure.unit), _number(figure.limit, figure.unit)
        lines.append(f"| {figure.name} | {value} | ≤ {limit} | {verdict} | {figure.detail} |")
    notes = [f"* {note}" for outcome in kept for note in outcome.notes]
    return "\n".join([*lines, "", *notes]) + "\n"


def _line(figure: Figure) -> str:
    mark = "  " if figure.reached else "X "
    of = f" ({figure.detail})" if figure.detail else ""
    return f"{mark}{figure.name}: {_number(figure.value, figure.unit)}{of}"


def _number(value: float, unit: str) -> str:
    if unit == "%":
        return f"{value:+.1f} %" if value else "0 %"
    return f"{value:.3g} {unit}".strip() if value != int(value) or unit else str(int(value))
