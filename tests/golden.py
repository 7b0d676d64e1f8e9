# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the reference fixtures: one folder a case, with case.json, io.safetensors and weights.safetensors."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file


@dataclass(frozen=True)
class GoldenCase:
    """One recorded case. ``io`` and ``weights`` are dictionaries of tensors (empty when the case has no such file)."""

    name: str
    folder: Path
    case: dict
    io: dict
    weights: dict

    @property
    def atol(self) -> float:
        """The recorded tolerance: ``strict_atol`` where given, else ``atol``."""
        tolerance = self.case.get("tolerance", {})
        return tolerance.get("strict_atol", tolerance.get("atol", 1e-5))

    def assert_close(self, name: str, actual: torch.Tensor, expected: torch.Tensor | None = None) -> None:
        """Compare with ``io[name]`` (or ``expected``) at the recorded absolute tolerance; the message names it."""
        expected = self.io[name] if expected is None else expected
        assert actual.shape == expected.shape, f"{self.name}: {name} has shape {tuple(actual.shape)}"
        if expected.numel() == 0:
            return
        error = (actual.double() - expected.double()).abs().max().item()
        assert np.isfinite(error) and error <= self.atol, (
            f"{self.name}: {name} differs by {error:.3g} > {self.atol:.3g}"
        )


class GoldenFolder:
    """Callable loader: ``golden("07_samplers")``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, name: str) -> GoldenCase:
        folder = self.root / name
        if not (folder / "case.json").exists():
            pytest.skip(f"reference case {name} is not in {self.root}")
        tensors = {
            part: load_file(folder / f"{part}.safetensors") if (folder / f"{part}.safetensors").exists() else {}
            for part in ("io", "weights")
        }
        case = json.loads((folder / "case.json").read_text(encoding="utf-8"))
        return GoldenCase(name, folder, case, **tensors)
