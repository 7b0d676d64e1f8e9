# SPDX-License-Identifier: GPL-3.0-or-later
"""Host arrays are computed with on the card where it serves and has room, else on the processor."""

import pytest
import torch
from espalier.engine.kernels import choice
from espalier.engine.kernels.host_arrays import on_best_device


@pytest.fixture
def card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(choice, "serve", lambda device: device.type == "cuda")


def test_the_card_computes_where_its_kernels_serve(card):
    assert on_best_device(str) == "cuda:1"


def test_the_processor_computes_where_the_kernels_do_not_serve(card, monkeypatch):
    monkeypatch.setattr(choice, "serve", lambda device: False)
    assert on_best_device(str) == "cpu"


def test_the_processor_computes_where_the_card_has_too_little_memory(card):
    tried = []

    def compute(device):
        tried.append(device.type)
        if device.type == "cuda":
            raise torch.OutOfMemoryError("no room")
        return "done"

    assert on_best_device(compute) == "done" and tried == ["cuda", "cpu"]


def test_other_failures_are_not_hidden(card):
    def compute(device):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        on_best_device(compute)
