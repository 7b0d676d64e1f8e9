# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: one stage, one wall-clock budget, a checkpoint that is complete or absent."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class Schedule:
    """Budget and optimiser of a stage. The learning rate falls by a cosine over the spent share of the budget.

    The share is the larger of seconds / ``seconds`` and steps / ``max_steps``, so a stage ends in time on a slow
    machine and is the same length everywhere on a fast one.
    """

    seconds: float
    max_steps: int
    learning_rate: float
    warmup: int = 100
    final_fraction: float = 0.02
    weight_decay: float = 0.0
    ema_decay: float = 0.999
    clip: float = 1.0
    log_every: int = 50
    save_every_seconds: float = 60.0


class Stage(Protocol):
    """What the loop needs to know of a stage."""

    name: str
    device: torch.device
    generator: torch.Generator
    order: torch.Generator

    def modules(self) -> dict[str, nn.Module]:
        """The networks that are trained and saved, by file name."""

    def loss(self, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """One batch: the scalar to minimise and what to log. ``progress`` is the spent share of the budget."""

    def validate(self) -> dict[str, float]:
        """Measures on held-out assets, with the averaged weights in place."""

    def finish(self, folder: Path) -> None:
        """Leave in ``folder`` what later stages need beside the weights."""


class Trainer:
    """Runs a stage in ``folder``; running it again continues where the last run stopped, random state included."""

    def __init__(self, stage: Stage, schedule: Schedule, folder: Path, report: Callable[[str], None] = print) -> None:
        self.stage = stage
        self.schedule = schedule
        self.folder = folder
        self.report = report
        self.modules = stage.modules()
        self.names = [f"{m}.{n}" for m, module in self.modules.items() for n, _ in module.named_parameters()]
        self.parameters = [p for module in self.modules.values() for p in module.parameters()]
        self.optimizer = torch.optim.AdamW(
            self.parameters,
            lr=schedule.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=schedule.weight_decay,
            fused=stage.device.type == "cuda",
        )
        self.average = [p.detach().clone() for p in self.parameters]
        self.step = 0
        self.seconds = 0.0

    @property
    def progress(self) -> float:
        """Spent share of the budget in [0, 1]."""
        return min(1.0, max(self.seconds / self.schedule.seconds, self.step / self.schedule.max_steps))

    def run(self) -> None:
        """Train until the budget is spent, then validate and write the averaged weights."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        started, spent_before, saved = time.monotonic(), self.seconds, time.monotonic()
        while self.progress < 1.0:
            values = self._optimise()
            self.step += 1
            self.seconds = spent_before + time.monotonic() - started
            if self.step % self.schedule.log_every == 0 or self.progress >= 1.0:
                self._log(values)
            if time.monotonic() - saved > self.schedule.save_every_seconds:
                self._save()
                saved = time.monotonic()
        self._save()
        self.export()

    def export(self) -> None:
        """Write the averaged weights, what later stages need of them, and last the validation measures."""
        own = [p.detach().clone() for p in self.parameters]
        self._assign(self.average)
        for name, module in self.modules.items():
            module.eval()
            _write(self.folder / f"{name}.safetensors", module.state_dict())
        with torch.no_grad():
            measures = self.stage.validate()
        for module in self.modules.values():
            module.train()
        self._assign(own)
        self.stage.finish(self.folder)
        self._write_json("validation.json", {"step": self.step, "seconds": round(self.seconds, 1), **measures})
        self.report(f"{self.stage.name}: validation {json.dumps(measures)}")

    def _optimise(self) -> dict[str, Tensor]:
        warm = min(1.0, (self.step + 1) / self.schedule.warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress))
        floor = self.schedule.final_fraction
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate * warm * (floor + (1 - floor) * cosine)
        loss, values = self.stage.loss(self.progress)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip)
        self.optimizer.step()
        decay = min(self.schedule.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, [p.detach() for p in self.parameters], 1 - decay)
        return {"loss": loss.detach(), "grad_norm": norm, **values}

    def _log(self, values: dict[str, Tensor]) -> None:
        row = {name: round(float(value.detach()), 6) for name, value in values.items()}
        if not math.isfinite(row["loss"]):
            raise FloatingPointError(f"The loss of {self.stage.name} is not finite at step {self.step}.")
        row = {"step": self.step, "seconds": round(self.seconds, 1), **row}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self.step % (10 * self.schedule.log_every) == 0:
            self.report(f"{self.stage.name}: {json.dumps(row)}")

    def _assign(self, values: list[Tensor]) -> None:
        with torch.no_grad():
            torch._foreach_copy_([p.detach() for p in self.parameters], values)

    def _save(self) -> None:
        tensors: dict[str, Tensor] = {
            "generator": self.stage.generator.get_state(),
            "order": self.stage.order.get_state(),
        }
        for name, parameter, average in zip(self.names, self.parameters, self.average, strict=True):
            tensors[f"weight.{name}"] = parameter.detach()
            tensors[f"average.{name}"] = average
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"{key}.{name}"] = value
        progress = {"step": str(self.step), "seconds": str(self.seconds)}
        _write(self.folder / "checkpoint.safetensors", tensors, progress)

    def _resume(self) -> None:
        path = self.folder / "checkpoint.safetensors"
        if not path.exists():
            return
        tensors = load_file(path)
        self.step, self.seconds = _read_progress(path)
        self.stage.generator.set_state(tensors["generator"])
        self.stage.order.set_state(tensors["order"])
        device = self.stage.device
        for index, (name, parameter) in enumerate(zip(self.names, self.parameters, strict=True)):
            with torch.no_grad():
                parameter.copy_(tensors[f"weight.{name}"])
            self.average[index] = tensors[f"average.{name}"].to(device)
            state = {k: tensors[f"{k}.{name}"] for k in ("step", "exp_avg", "exp_avg_sq") if f"{k}.{name}" in tensors}
            if state:
                on_device = device if device.type == "cuda" else torch.device("cpu")
                self.optimizer.state[parameter] = {k: v.to(on_device) for k, v in state.items()}
        self.report(f"{self.stage.name}: continuing at step {self.step} after {self.seconds:.0f} s")

    def _write_json(self, name: str, content: dict) -> None:
        temporary = self.folder / f".{name}.part"
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        os.replace(temporary, self.folder / name)


def _read_progress(path: Path) -> tuple[int, float]:
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    metadata = header["__metadata__"]
    return int(metadata["step"]), float(metadata["seconds"])


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    temporary = path.with_name(f".{path.name}.part")
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, temporary, metadata=metadata)
    os.replace(temporary, path)
