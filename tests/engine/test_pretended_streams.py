# SPDX-License-Identifier: GPL-3.0-or-later
"""On the pretended card a copy that nobody waits for has not been done, and what would break it is refused."""

import gc

import pytest
import torch
from espalier.tests.engine.pretended_card import pretended_card

pytestmark = pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA of its own")


@pytest.fixture
def card():
    with pretended_card() as card:
        yield card


def copying(target, source, after=True):
    """Copy on a stream beside the first one, which waited for the first ``after`` the target was there."""
    stream = torch.cuda.Stream()
    if after:
        stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        target.copy_(source, non_blocking=True)
    return stream


@pytest.mark.parametrize(
    "wait",
    [
        lambda stream: torch.cuda.current_stream().wait_stream(stream),
        lambda stream: torch.cuda.current_stream().wait_event(stream.record_event()),
        lambda stream: stream.record_event().synchronize(),
        lambda stream: torch.cuda.synchronize(),
    ],
)
def test_a_copy_is_there_once_it_was_waited_for(card, wait):
    target = torch.empty(3, device="cuda")
    stream = copying(target, torch.ones(3))
    assert target.isnan().all()
    wait(stream)
    assert target.tolist() == [1, 1, 1]


def test_an_event_stands_for_what_was_asked_before_it(card):
    first, second = torch.empty(2, device="cuda"), torch.empty(2, device="cuda")
    stream = copying(first, torch.ones(2))
    event = stream.record_event()
    with torch.cuda.stream(stream):
        second.copy_(torch.ones(2), non_blocking=True)
    torch.cuda.current_stream().wait_event(event)
    assert first.tolist() == [1, 1] and second.isnan().all()


def test_memory_that_may_still_be_in_use_is_not_copied_to(card):
    with pytest.raises(AssertionError, match="still be using"):
        copying(torch.empty(3, device="cuda"), torch.ones(3), after=False)


def test_memory_given_back_too_early_is_noticed(card):
    target = torch.empty(3, device="cuda")
    stream = copying(target, torch.ones(3))
    del target
    gc.collect()
    with pytest.raises(AssertionError, match="given back"):
        stream.synchronize()


def test_host_memory_unlocked_too_early_is_noticed(card):
    source, target = torch.ones(3), torch.empty(3, device="cuda")
    assert torch.cuda.cudart().cudaHostRegister(source.data_ptr(), source.nbytes, 0) == 0
    stream = copying(target, source)
    torch.cuda.cudart().cudaHostUnregister(source.data_ptr())
    with pytest.raises(AssertionError, match="unlocked"):
        stream.synchronize()


def test_no_more_is_locked_than_can_be(card):
    card.pinned.most = 20
    sources = torch.ones(4), torch.ones(4)
    answers = [int(torch.cuda.cudart().cudaHostRegister(each.data_ptr(), each.nbytes, 0)) for each in sources]
    assert answers[0] == 0 and answers[1] != 0


def test_only_copies_run_beside_the_first_stream(card):
    there = torch.ones(3, device="cuda")
    with torch.cuda.stream(torch.cuda.Stream()), pytest.raises(AssertionError, match="only copies"):
        there + 1
