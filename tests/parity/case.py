# SPDX-License-Identifier: GPL-3.0-or-later
"""One recorded case of the reference, and the account of what was done with each of its tensors.

A runner reads inputs with ``input``, compares outputs with ``close`` or ``equal`` and names with ``skip`` what it does
not compare and why. ``close_account`` turns every tensor that nobody spoke of into a failure, so nothing is left out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

LOW_PRECISION_ATOL = 5e-2
"""Allowed for ``lowp.*``: the fixtures' README asks for a loose comparison, 2e-2 .. 5e-2 absolute."""

STRICT_SHARE = 0.99
"""How many of the values have to be within ``strict_atol``. It is five times the largest change between builds of the
reference on the same data, so of many values a few may pass it by rounding alone; a slip in a formula moves most."""


class Case:
    """A folder with ``case.json`` and, mostly, ``io.safetensors`` and ``weights.safetensors``.

    about: the contents of case.json, after ``load``. scratch: an empty folder for files that a runner has to write.
    rows: one dictionary a tensor (case, name, then error, tolerance and pass, or the reason why it was skipped), in the
    order of comparison.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder, self.scratch, self.name = folder, scratch, folder.name
        self.about: dict[str, Any] = {}
        self.weights: dict[str, torch.Tensor] = {}
        self.rows: list[dict[str, Any]] = []
        self._io: dict[str, torch.Tensor] = {}
        self._known: set[str] = set()
        self._inputs: set[str] = set()

    def load(self) -> None:
        """Read the files. Raises what reading a missing or damaged file raises."""
        self.about = json.loads((self.folder / "case.json").read_text(encoding="utf-8"))
        self.weights, self._io = self._tensors("weights"), self._tensors("io")

    def _tensors(self, part: str) -> dict[str, torch.Tensor]:
        path = self.folder / f"{part}.safetensors"
        return load_file(path) if path.exists() else {}

    @property
    def names(self) -> list[str]:
        """Every tensor of the case: those of its table and those of its file."""
        return sorted(self._io.keys() | self.about.get("tensors", {}).keys())

    def __contains__(self, name: str) -> bool:
        return name in self._io

    def numbered(self, pattern: str) -> list[str]:
        """The tensors that ``pattern`` with 0, 1, 2, .. in place of ``{}`` names, as far as they go."""
        found = []
        while pattern.format(len(found)) in self:
            found.append(pattern.format(len(found)))
        return found

    @property
    def account(self) -> dict[str, Any]:
        """The rows, and how many of the case's tensors were compared, skipped, used as inputs only, or left out."""
        rows = {row["name"]: row for row in self.rows}
        counts = dict.fromkeys(("compared", "skipped", "inputs", "left_out"), 0)
        for name in self.names:
            if name in self._known:
                counts["skipped" if "skipped" in rows[name] else "compared"] += 1
            else:
                counts["inputs" if name in self._inputs else "left_out"] += 1
        return {"rows": self.rows, "counts": counts}

    def input(self, name: str) -> torch.Tensor:
        """A recorded tensor that a call is given."""
        self._inputs.add(name)
        return self._io[name]

    def recorded(self, name: str) -> torch.Tensor:
        """A recorded tensor that a result is compared with by hand."""
        return self._io[name]

    def record(self, name: str, error: float, tolerance: float, reason: str = "", also: bool = True) -> None:
        """Enter a comparison. It fails when the error is no number or too large, or when ``also`` does not hold."""
        passed = bool(np.isfinite(error) and error <= tolerance and also)
        row = {"case": self.name, "name": name, "error": error if np.isfinite(error) else None, "tolerance": tolerance}
        self.rows.append({**row, "pass": passed, **({"reason": reason} if reason and not passed else {})})
        self._known.add(name)

    def close(
        self,
        name: str,
        actual: torch.Tensor,
        expected: torch.Tensor | None = None,
        atol: float | torch.Tensor | None = None,
        rtol: float = 0.0,
    ) -> None:
        """Compare within ``atol`` + ``rtol`` |expected| (one number, or one for each element).

        Without them the tolerance is that of case.json, and nearly all values also have to be within its
        ``strict_atol``. Error and tolerance are entered where the one comes closest to the other.
        """
        expected = self._io[name] if expected is None else expected
        strict = None
        if atol is None:
            given = self.about["tolerance"]
            atol, rtol, strict = given["atol"], given.get("rtol", 0.0), given.get("strict_atol")
        allowed = torch.as_tensor(atol, dtype=torch.float64)
        if actual.shape != expected.shape:
            shapes = f"its shape is {tuple(actual.shape)}, recorded is {tuple(expected.shape)}"
            self.record(name, float("nan"), allowed.max().item(), shapes)
            return
        if expected.numel() == 0:
            self.record(name, 0.0, allowed.max().item())
            return
        expected = expected.double()
        difference = (actual.double() - expected).abs().flatten()
        allowed = (allowed + rtol * expected.abs()).expand(expected.shape).flatten()
        worst = int((difference / allowed.clamp_min(1e-300)).nan_to_num(torch.inf).argmax())
        error, tolerance = difference[worst].item(), allowed[worst].item()
        if strict is None:
            self.record(name, error, tolerance)
            return
        share = (difference <= strict).double().mean().item()
        reason = f"only {share:.2%} of its values are within strict_atol {strict:.3g}" if error <= tolerance else ""
        self.record(name, error, tolerance, reason, share >= STRICT_SHARE)

    def loosely(self, name: str, actual: torch.Tensor) -> None:
        """Compare a low precision output."""
        self.close(name, actual, atol=LOW_PRECISION_ATOL)

    def equal(self, name: str, actual: torch.Tensor, expected: torch.Tensor | None = None) -> None:
        """Compare exactly: whole numbers, flags, or floats bit for bit."""
        self.close(name, actual, expected, atol=0.0)

    def agree(self, name: str, actual: Any, expected: Any) -> None:
        """Compare something that is not a tensor: the error is 0 or 1."""
        same = actual == expected
        self.record(name, 0.0 if same else 1.0, 0.0, f"it is {actual!r}, recorded is {expected!r}"[:2000])

    def skip(self, name: str, reason: str) -> None:
        """Name a tensor that is not compared, with the reason."""
        self.rows.append({"case": self.name, "name": name, "skipped": reason})
        self._known.add(name)

    def fail(self, reason: str) -> None:
        """Enter that the case as a whole could not be compared."""
        self.rows.append({"case": self.name, "name": "", "pass": False, "reason": reason})

    def close_account(self) -> None:
        """Enter what nobody spoke of: intermediate values and tensors that the file lacks are skipped, others fail."""
        for name in self.names:
            if name in self._known or name in self._inputs:
                continue
            if name not in self._io:
                self.skip(name, "this folder's io.safetensors does not hold it")
            elif "mid" in name.split("."):
                self.skip(name, "intermediate value")
            else:
                self.rows.append({"case": self.name, "name": name, "pass": False, "reason": "it was not compared"})

    @property
    def failures(self) -> list[str]:
        """One sentence for each comparison that failed."""
        sentences = []
        for row in self.rows:
            if row.get("pass", True):
                continue
            detail = row.get("reason") or f"it differs by {row['error']} (allowed: {row['tolerance']:.3g})"
            sentences.append(f"{self.name}: {row['name'] or 'the case'}: {detail}")
        return sentences
