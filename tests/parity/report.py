# SPDX-License-Identifier: GPL-3.0-or-later
"""A pytest plugin: prints what the golden cases compared, one JSON object a line, and what it adds up to."""

from __future__ import annotations

import json
from typing import Any


class GoldenReport:
    """Collects the accounts of the cases. ``lines``: also print one line a tensor, not the sum alone."""

    def __init__(self, lines: bool) -> None:
        self.lines = lines
        self.accounts: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report) -> None:
        if report.when == "call":
            self.accounts += [value for name, value in report.user_properties if name == "golden"]

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if not self.accounts:
            return
        terminalreporter.section("agreement with the reference")
        rows = [row for account in self.accounts for row in account["rows"]]
        for row in rows if self.lines else ():
            terminalreporter.write_line(json.dumps(row))
        terminalreporter.write_line(json.dumps(self._sum(rows)))

    def _sum(self, rows: list[dict[str, Any]]) -> dict[str, int]:
        """Every tensor of every case is in one of the counts from ``compared`` on; a tensor may be compared twice."""
        counts = [account["counts"] for account in self.accounts]
        return {
            "cases": len(self.accounts),
            "comparisons": sum("pass" in row for row in rows),
            "failed": sum(row.get("pass") is False for row in rows),
            "tensors": sum(sum(count.values()) for count in counts),
            **{name: sum(count[name] for count in counts) for name in counts[0]},
        }
