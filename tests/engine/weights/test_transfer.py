# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights come to a card while it computes, whole and in time, from memory that is locked within bounds and freed."""

import gc
import random
import threading

import pytest
import torch
from espalier.engine.models.quantised import QuantisedLinear
from espalier.engine.weights.residency import LOCKED, Budget, Residency, Use
from espalier.engine.weights.transfer import Arrival, HostCopy, tensors_of
from torch import nn

WIDTHS = {"a": 16, "b": 24, "c": 16, "d": 32, "e": 8}
EVERYTHING = sum(4 * width * (width + 1) for width in WIDTHS.values())


class Shelf:
    """Small networks of values known by their names; reading ``gated`` ones waits, and ``full`` blanks find no room."""

    def __init__(self, gated=(), full=0):
        self.names, self.full = [], full
        self.entered = {name: threading.Event() for name in gated}
        self.gates = {name: threading.Event() for name in gated}

    def read(self, name, place):
        if name in self.gates:
            self.entered[name].set()
            assert self.gates[name].wait(20)
        self.names.append(name)
        return self.made(name).to(place)

    def made(self, name):
        network = nn.Linear(WIDTHS[name], WIDTHS[name]).requires_grad_(False)
        drawn = torch.Generator().manual_seed(ord(name))
        for tensor in network.parameters():
            tensor.data = torch.randn(tensor.shape, generator=drawn)
        return network

    def blank(self, name):
        if self.full:
            self.full -= 1
            raise torch.OutOfMemoryError("CUDA out of memory.")
        with torch.inference_mode(False):
            network = self.made(name).to_empty(device="cuda")
            for tensor in network.parameters():
                tensor.detach().fill_(torch.nan)
        return network

    def size(self, name):
        return 4 * WIDTHS[name] * (WIDTHS[name] + 1)

    def residency(self):
        return Residency(torch.device("cuda"), self.read, self.blank, self.size)


def settle(residency):
    """Wait until nothing is being read or copied."""
    with residency._changed:
        assert residency._changed.wait_for(lambda: residency._reading is None and not copying(residency), 20)


def copying(residency):
    arrival = residency._arriving
    return arrival is not None and arrival.started and not arrival.done


def assert_ready(shelf, name, network):
    """What the card computes with it at once is what the network computes."""
    x = torch.ones(1, WIDTHS[name])
    torch.testing.assert_close(network(x.to("cuda")).cpu(), shelf.made(name)(x), rtol=0, atol=1e-5)


def plan(residency, uses, device=None, host=None):
    residency.plan([Use(use) if isinstance(use, str) else Use(*use) for use in uses], Budget(device, host))


@pytest.fixture
def pretended(card):
    if card is None:
        pytest.skip("needs the pretended card")
    return card


@pytest.fixture(params=[False, True], ids=["recorded", "inference"])
def inference(request):
    with torch.inference_mode(request.param):
        yield


def test_the_next_network_comes_while_the_card_computes(card, inference):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "abcde")
    for name in "abcde":
        assert_ready(shelf, name, residency.get(name))
        settle(residency)
        assert residency.loaded[-1] == name
    assert residency.counts.copied_early == 4 and shelf.names == list("abcde")
    residency.release()


def test_it_does_not_where_that_is_switched_off(card):
    shelf = Shelf()
    residency = shelf.residency()
    residency.copies_early = False
    plan(residency, "abc")
    for name in "abc":
        assert_ready(shelf, name, residency.get(name))
        settle(residency)
    assert residency.counts.copied_early == 0
    residency.release()


def test_it_does_not_where_the_intermediate_values_of_either_step_leave_no_room(card):
    shelf = Shelf()
    both = shelf.size("a") + shelf.size("b")
    for values, early in (((0, 0), 1), ((1, 0), 0), ((0, 1), 0)):
        residency = shelf.residency()
        plan(residency, [("a", values[0]), ("b", values[1])], both)
        residency.get("a")
        assert residency.bytes[0] == (both if early else shelf.size("a"))
        settle(residency)
        assert_ready(shelf, "b", residency.get("b"))
        assert residency.counts.copied_early == early and residency.peak_bytes[0] <= both
        residency.release()


def test_what_the_next_step_would_send_away_leaves_before_it(card):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "eabab", shelf.size("a") + shelf.size("b"))
    for name in "ea":
        residency.get(name)
    settle(residency)
    assert residency.loaded == ["a"] and residency.bytes[0] == shelf.size("a") + shelf.size("b")
    assert_ready(shelf, "b", residency.get("b"))
    residency.release()


def test_what_leaves_the_card_is_neither_copied_back_nor_read_again(pretended):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "abcd" * 3, shelf.size("d") + shelf.size("b"), 10 * EVERYTHING)
    before = pretended.waits.total()
    for name in "abcd" * 3:
        network = residency.get(name)
        settle(residency)
        assert pretended.waits.total() == before
        assert_ready(shelf, name, network)
        before = pretended.waits.total()
    assert sorted(shelf.names) == list("abcd") and residency.counts.releases > 3
    assert residency.counts.copied_early > 3
    residency.release()


def trace(uses, device, host, hurry):
    """(networks on the card, bytes reserved there, the most so far) after each step."""
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, uses, device, host)
    states = []
    for name, _ in uses:
        if not hurry():
            settle(residency)
        assert_ready(shelf, name, residency.get(name))
        states.append((sorted(residency.loaded), residency.bytes[0], residency.peak_bytes[0]))
    settle(residency)
    assert residency.bytes[1] <= (host or EVERYTHING)
    residency.release()
    assert residency.bytes == (0, 0)
    return states


@pytest.mark.parametrize("seed", range(12))
def test_what_is_on_the_card_does_not_depend_on_time(card, seed):
    draw = random.Random(seed)
    uses = [(draw.choice("abcde"), draw.choice((0, 500, 2000))) for _ in range(draw.randint(2, 12))]
    device, host = draw.choice((6300, 8000, 10_000, None)), draw.choice((2000, 6000, 20_000, None))
    waiting = trace(uses, device, host, lambda: False)
    assert waiting == trace(uses, device, host, lambda: True)
    assert waiting == trace(uses, device, host, lambda: draw.random() < 0.5)
    fitting = [state for state, (name, values) in zip(waiting, uses, strict=True) if device and values + 4224 <= device]
    assert all(held <= device for _, held, _ in fitting)


def test_copies_that_will_be_used_again_are_locked_within_bounds(pretended):
    shelf = Shelf()
    residency = shelf.residency()
    host = 2 * EVERYTHING
    plan(residency, "abcde" * 2, shelf.size("d") + shelf.size("b"), host)
    for name in "abcde" * 2:
        assert_ready(shelf, name, residency.get(name))
    assert len(pretended.pinned.ranges) == 5
    residency.release()
    assert pretended.pinned.ranges == {}

    host = EVERYTHING
    plan(residency, "abcde" * 2, shelf.size("d") + shelf.size("b"), host)
    for name in "abcde" * 2:
        assert_ready(shelf, name, residency.get(name))
        settle(residency)
        # Every tensor begins at a multiple of 256 bytes.
        assert sum(pretended.pinned.ranges.values()) <= LOCKED * host + 2 * 5 * 256
    assert 0 < len(pretended.pinned.ranges) < 5
    residency.release()


@pytest.mark.parametrize("refused", ["by the system", "by choice", "for want of a known amount"])
def test_where_nothing_can_be_locked_the_networks_come_all_the_same(pretended, refused):
    shelf = Shelf()
    residency = shelf.residency()
    if refused == "by the system":
        pretended.pinned.most = 0
    residency.locks = refused != "by choice"
    host = None if refused == "for want of a known amount" else 10 * EVERYTHING
    plan(residency, "abcd" * 2, shelf.size("d") + shelf.size("b"), host)
    for name in "abcd" * 2:
        assert_ready(shelf, name, residency.get(name))
        assert pretended.pinned.ranges == {}
    assert residency.counts.copied_early > 0 and sorted(shelf.names) == list("abcd")
    residency.release()


def test_a_small_host_rather_reads_ahead_than_keeps_what_is_on_the_card(card):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "adadb", shelf.size("a") + shelf.size("d"), shelf.size("d"))
    for name in "ad":
        residency.get(name)
        settle(residency)
    assert shelf.names == ["a", "d", "b"]
    for name in "adb":
        assert_ready(shelf, name, residency.get(name))
    assert shelf.names == ["a", "d", "b"]
    residency.release()


def test_the_host_forgets_what_stays_on_the_card(pretended):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "abcd" * 2, EVERYTHING, 10 * EVERYTHING)
    for name in "abcd" * 2:
        assert_ready(shelf, name, residency.get(name))
        assert pretended.pinned.ranges == {}
    assert residency.bytes == (sum(map(shelf.size, "abcd")), 0)
    assert sorted(shelf.names) == list("abcd")


def test_it_forgets_also_when_a_later_run_has_more_room(pretended):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "ab", shelf.size("b"), 10 * EVERYTHING)
    for name in "ab":
        residency.get(name)
    residency.rest()
    assert len(pretended.pinned.ranges) == 2
    plan(residency, "ab", EVERYTHING, 10 * EVERYTHING)
    assert len(pretended.pinned.ranges) == 1
    assert_ready(shelf, "a", residency.get("a"))
    assert pretended.pinned.ranges == {} and sorted(shelf.names) == ["a", "b"]


def test_what_has_not_come_when_a_run_ends_takes_no_memory(card):
    shelf = Shelf(gated="b")
    residency = shelf.residency()
    plan(residency, "ab", EVERYTHING, 10 * EVERYTHING)
    residency.get("a")
    assert shelf.entered["b"].wait(20) and residency.bytes[0] == shelf.size("a") + shelf.size("b")
    residency.rest()
    assert residency.bytes[0] == shelf.size("a") and residency.loaded == ["a"]
    shelf.gates["b"].set()
    settle(residency)
    plan(residency, "ab")
    for name in "ab":
        assert_ready(shelf, name, residency.get(name))
    residency.release()


def test_release_waits_for_what_is_under_way_and_frees_everything(pretended):
    shelf = Shelf(gated="c")
    residency = shelf.residency()
    plan(residency, "abc", shelf.size("a") + shelf.size("b"), 10 * EVERYTHING)
    residency.get("a")
    settle_copy = lambda: residency._arriving is not None and residency._arriving.done  # noqa: E731
    with residency._changed:
        assert residency._changed.wait_for(settle_copy, 20)
    assert shelf.entered["c"].wait(20)
    residency.release()
    # What was copied to memory that is given back, or from memory that is unlocked, would be refused here.
    torch.cuda.synchronize()
    assert residency.bytes == (0, 0) and residency.loaded == []
    shelf.gates["c"].set()
    settle(residency)
    assert residency.bytes == (0, 0) and pretended.pinned.ranges == {}
    assert_ready(shelf, "b", residency.get("b"))


def test_locked_memory_of_a_forgotten_set_is_unlocked(pretended):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "ab", shelf.size("b"), 10 * EVERYTHING)
    residency.get("a")
    settle(residency)
    assert pretended.pinned.ranges
    del residency
    gc.collect()
    assert pretended.pinned.ranges == {}


def test_a_set_forgotten_while_a_network_is_on_its_way_gives_no_memory_back_too_early(pretended):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "ab", shelf.size("a") + shelf.size("b"), 10 * EVERYTHING)
    residency.get("a")
    settle(residency)
    assert residency._arriving.done
    del residency
    gc.collect()
    torch.cuda.synchronize()


def test_a_network_that_finds_the_card_full_early_comes_at_its_step(card):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "ab")
    residency.get("a")
    residency.release()
    plan(residency, "ab")
    settle(residency)
    get = residency._send_next
    residency._send_next = lambda: (setattr(shelf, "full", 1), get())[1]
    residency.get("a")
    settle(residency)
    assert shelf.full == 0 and residency.bytes[0] == shelf.size("a")
    residency._send_next = get
    assert_ready(shelf, "b", residency.get("b"))
    assert residency.bytes[0] == shelf.size("a") + shelf.size("b")
    residency.release()


def test_a_failure_of_an_early_copy_is_met_by_the_step(card, monkeypatch):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "ab", shelf.size("a") + shelf.size("b"), 10 * EVERYTHING)
    fill, failing = HostCopy.fill, []

    def failing_fill(weights, network):
        if threading.current_thread().name == "weights to device":
            failing.append(network)
            raise RuntimeError("CUDA error")
        fill(weights, network)

    monkeypatch.setattr(HostCopy, "fill", failing_fill)
    residency.get("a")
    settle(residency)
    assert_ready(shelf, "b", residency.get("b"))
    assert failing and residency.counts.copied_early == 0
    assert residency.bytes[0] == shelf.size("a") + shelf.size("b")
    residency.release()


def test_a_network_nobody_planned_comes_beside_one_that_is_on_its_way(card):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "abc")
    residency.get("a")
    assert_ready(shelf, "e", residency.get("e"))
    for name in "bac":
        assert_ready(shelf, name, residency.get(name))
    settle(residency)
    assert sorted(residency.loaded) == list("abce") and residency.bytes[0] == sum(map(shelf.size, "abce"))
    residency.release()


def test_a_copy_under_way_makes_no_room_for_another_network(card, monkeypatch):
    shelf = Shelf()
    residency = shelf.residency()
    plan(residency, "c")
    residency.get("c")
    fill, entered, gate = HostCopy.fill, threading.Event(), threading.Event()

    def slow_fill(weights, network):
        if threading.current_thread().name == "weights to device":
            entered.set()
            assert gate.wait(20)
        fill(weights, network)

    monkeypatch.setattr(HostCopy, "fill", slow_fill)
    plan(residency, "abce", None, shelf.size("b"))
    residency.get("a")
    assert entered.wait(20)
    residency.get("c")  # the step of b is left out: the host would have e instead
    gate.set()
    assert_ready(shelf, "b", residency.get("b"))
    assert residency.counts.copied_early == 1
    residency.release()


def test_memory_on_the_host_outlives_what_is_copied_from_it(card):
    shelf = Shelf()
    weights = HostCopy(tensors_of(shelf.made("d")), lock=True)
    arrival = Arrival("d", shelf.blank("d"), torch.device("cuda"))
    arrival.copy(weights)
    weights.close()
    arrival.land()
    assert_ready(shelf, "d", arrival.network)


@pytest.mark.parametrize("lock", [True, False])
def test_a_copy_on_the_host_keeps_every_bit_of_every_kind(card, lock):
    network = nn.Sequential(nn.Linear(5, 7).bfloat16(), QuantisedLinear(nn.Linear(9, 3)), nn.Linear(3, 1).half())
    network.register_buffer("phases", torch.randn(4, 3, dtype=torch.complex64), persistent=False)
    network.register_buffer("scaled", torch.randn(4, 4).to(torch.float8_e4m3fn))
    network.register_buffer("number", torch.tensor(3.5))
    network.register_buffer("nothing", torch.empty(0, 3))
    network.requires_grad_(False)
    expected = {name: tensor.clone() for name, tensor in tensors_of(network).items()}
    weights = HostCopy(tensors_of(network), lock)
    assert weights.locked == lock
    if card is None:
        assert all(tensor.is_pinned() == lock for tensor in weights.tensors.values() if tensor.numel())
    there = nn.Module()
    for name, tensor in expected.items():
        there.register_buffer(name.replace(".", "_"), torch.empty_like(tensor, device="cuda"))
    weights.tensors = {name.replace(".", "_"): tensor for name, tensor in weights.tensors.items()}
    weights.fill(there)
    for name, tensor in expected.items():
        found = getattr(there, name.replace(".", "_")).cpu()
        assert found.dtype == tensor.dtype and found.shape == tensor.shape, name
        assert found.flatten().view(torch.uint8).equal(tensor.flatten().view(torch.uint8)), name
    weights.close()
    assert weights.tensors == {}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_without_cuda_nothing_is_locked_or_copied_early(device):
    if torch.cuda.is_available() and device == "cuda":
        pytest.skip("there is CUDA")
    residency = Residency(torch.device(device), Shelf().read, Shelf().blank, Shelf().size)
    assert not residency.locks and not residency.copies_early
