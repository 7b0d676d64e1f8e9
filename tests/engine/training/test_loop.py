# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: resuming changes nothing, budgets end a stage, torn checkpoints do not exist."""

import dataclasses
import json

import pytest
import torch
from espalier.engine.training.loop import Schedule, Trainer
from safetensors.torch import load_file
from torch import nn


class Regression:
    """A tiny stage: fit a line to noise drawn from the stage's generators."""

    name = "regression"

    def __init__(self):
        self.device = torch.device("cpu")
        self.generator = torch.Generator().manual_seed(0)
        self.order = torch.Generator().manual_seed(0)
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 1)

    def modules(self):
        return {"layer": self.layer}

    def loss(self, progress):
        x = torch.randn(16, 4, generator=self.generator) + torch.rand(1, generator=self.order)
        error = (self.layer(x) - x.sum(1, keepdim=True)).square().mean()
        return error, {"error": error}

    def validate(self):
        return {"weight": round(self.layer.weight.sum().item(), 6)}

    def finish(self, folder):
        (folder / "finished").write_text("yes")


SCHEDULE = Schedule(seconds=1e6, max_steps=20, learning_rate=0.1, warmup=2, log_every=5)


def _interrupted(folder, at):
    trainer = Trainer(Regression(), SCHEDULE, folder, report=lambda _: None)
    folder.mkdir(parents=True)
    while trainer.step < at:
        trainer._optimise()
        trainer.step += 1
    trainer._save()


def test_an_interrupted_run_ends_with_the_same_bytes(tmp_path):
    Trainer(Regression(), SCHEDULE, tmp_path / "whole", report=lambda _: None).run()
    _interrupted(tmp_path / "torn", at=7)
    Trainer(Regression(), SCHEDULE, tmp_path / "torn", report=lambda _: None).run()
    whole, torn = (load_file(tmp_path / name / "layer.safetensors") for name in ("whole", "torn"))
    assert all(torch.equal(whole[key], torn[key]) for key in whole)


def test_a_run_leaves_weights_measures_log_and_its_last_word(tmp_path):
    Trainer(Regression(), SCHEDULE, tmp_path, report=lambda _: None).run()
    measures = json.loads((tmp_path / "validation.json").read_text())
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert measures["step"] == 20 and [row["step"] for row in rows] == [5, 10, 15, 20]
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert (tmp_path / "finished").exists()
    assert not list(tmp_path.glob(".*.part"))


def test_the_time_budget_ends_a_stage(tmp_path):
    schedule = dataclasses.replace(SCHEDULE, seconds=0.05, max_steps=10**9)
    trainer = Trainer(Regression(), schedule, tmp_path, report=lambda _: None)
    trainer.run()
    assert 0 < trainer.step < 10**6


def test_a_loss_that_is_not_finite_is_refused(tmp_path):
    stage = Regression()
    stage.loss = lambda progress: (stage.layer.weight.sum() * float("nan"), {})
    with pytest.raises(FloatingPointError, match="regression"):
        Trainer(stage, SCHEDULE, tmp_path, report=lambda _: None).run()
