# SPDX-License-Identifier: GPL-3.0-or-later
"""Host arrays are computed with on the card where it serves and has room, else on the processor."""

import numpy as np
import pytest
import torch
from espalier.engine.kernels import choice, host_arrays
from espalier.engine.kernels.host_arrays import Kept, on_best_device, on_card, on_large_card
from espalier.tests.engine.pretended_card import pretended_card


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


def test_a_card_on_which_torch_fails_is_left_alone(monkeypatch):
    def broken():
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", broken)
    host_arrays._working_card.cache_clear()
    try:
        assert on_card(torch.sort, np.zeros(host_arrays.WORTHWHILE)) is None
        assert on_large_card(str, 0) is None
    finally:
        host_arrays._working_card.cache_clear()


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA of its own")
def test_a_card_that_was_full_once_is_asked_again():
    with pretended_card() as card:
        card.full_at = card.operations + 1
        assert host_arrays.card() is None
        assert host_arrays.card() == torch.device("cuda", 0)


@pytest.fixture
def processor_as_card(monkeypatch):
    monkeypatch.setattr(host_arrays, "card", lambda: None if choice.switched_off() else torch.device("cpu"))


def test_arrays_go_to_the_card_and_come_home_where_they_are_many(processor_as_card):
    many = np.arange(host_arrays.WORTHWHILE)[::-1]
    order, values = on_card(lambda rows: tuple(reversed(torch.sort(rows))), many)
    assert values.dtype == many.dtype and np.array_equal(values, many[order])
    assert on_card(torch.sort, many[1:]) is None
    with choice.plain_torch():
        assert on_card(torch.sort, many) is None


def test_what_is_kept_is_uploaded_once(processor_as_card, monkeypatch):
    uploaded, upload = [], host_arrays.upload
    monkeypatch.setattr(host_arrays, "upload", lambda *given: uploaded.append(given) or upload(*given))
    many, kept = np.zeros(host_arrays.WORTHWHILE), Kept(np.ones(3))
    for _ in range(2):
        assert on_card(lambda rows, more: rows[:3] + more, many, kept).tolist() == [1, 1, 1]
    assert len(uploaded) == 3 and len(kept) == 3


def test_the_processor_computes_what_finds_no_room_on_the_card(processor_as_card):
    def no_room(rows):
        raise torch.OutOfMemoryError("no room")

    assert on_card(no_room, np.zeros(host_arrays.WORTHWHILE)) is None
