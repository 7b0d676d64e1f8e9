# SPDX-License-Identifier: GPL-3.0-or-later
"""The pretended card refuses what a real one refuses, and counts what the host waits for."""

import threading

import pytest
import torch
from espalier.tests.engine.pretended_card import pretended_card

pytestmark = pytest.mark.skipif(torch.version.cuda is not None, reason="this torch has CUDA of its own")


@pytest.fixture(params=[False, True], ids=["recorded", "inference"])
def card(request):
    with pretended_card() as card, torch.inference_mode(request.param):
        yield card


def test_tensors_of_two_devices_do_not_meet(card):
    here, there = torch.arange(6.0).view(2, 3), torch.arange(6.0, device="cuda").view(2, 3)
    for meeting in (
        lambda: here + there,
        lambda: torch.cat([there, here]),
        lambda: there @ here.T,
        lambda: there.index_add_(0, torch.tensor([1]), there[:1]),
        lambda: torch.where(there > 1, there, here),
        lambda: here[torch.zeros(1, dtype=torch.long, device="cuda")],
    ):
        with pytest.raises(RuntimeError, match="same device"):
            meeting()
    assert (there + torch.tensor(1.0)).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert there[torch.tensor([1])].tolist() == [[3, 4, 5]]


def test_values_leave_it_only_by_a_copy(card):
    there = torch.arange(3, device="cuda")
    with pytest.raises(TypeError, match="cpu"):
        there.numpy()
    assert there.cpu().numpy().tolist() == [0, 1, 2] and there.device.type == "cuda"


def test_what_the_host_waits_for_is_counted(card):
    there = torch.tensor([3.0, 0.0, 2.0], device="cuda")
    before = card.waits.total()
    result = (there * 2)[1:].sum().clamp(0, 3)
    there[1:] = 7
    assert card.waits.total() == before
    for waiting in (result.item, there.nonzero, lambda: there[there > 1], there.cpu, lambda: bool(result > 1)):
        before = card.waits.total()
        waiting()
        assert card.waits.total() == before + 1


def test_parts_of_a_tensor_are_views_of_it(card):
    there = torch.zeros(4, device="cuda")
    there[1:3] += 5
    there.view(2, 2)[1] = torch.ones(2, device="cuda")
    assert there.tolist() == [0, 5, 1, 1]


def test_a_recorded_graph_computes_anew_and_must_not_wait(card):
    given, sums = torch.tensor([1.0, 2.0], device="cuda"), torch.zeros(2, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = (given * 3).flip(0)
        sums += result
    given.copy_(torch.tensor([5.0, 6.0]))
    assert result.tolist() == [6, 3]
    graph.replay()
    assert result.tolist() == [18, 15] and sums.tolist() == [24, 18]
    with pytest.raises(RuntimeError, match="capturing"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        given.sum().item()


def test_memory_is_limited_only_of_a_card_with_a_number(card):
    torch.cuda.set_per_process_memory_fraction(0.5, torch.device("cuda", torch.cuda.current_device()))
    with pytest.raises(ValueError, match="specified index"):
        torch.cuda.set_per_process_memory_fraction(0.5, torch.device("cuda"))
    for wrong in (1.5, -0.1):
        with pytest.raises(ValueError, match="Allowed range"):
            torch.cuda.set_per_process_memory_fraction(wrong, 0)


def test_networks_move_there_and_back(card):
    layer = torch.nn.Linear(3, 2)
    here = layer(torch.ones(3)).detach()
    there = layer.cuda()(torch.ones(3, device="cuda"))
    assert {each.device.type for each in layer.parameters()} == {"cuda"}
    assert torch.equal(there.cpu().detach(), here) and layer.cpu().weight.device.type == "cpu"


def test_it_is_there_for_every_thread(card):
    found = []
    thread = threading.Thread(target=lambda: found.append(torch.ones(2).to("cuda").sum().item()))
    thread.start()
    thread.join()
    assert found == [2]


def test_afterwards_it_is_gone():
    with pretended_card():
        there = torch.ones(2, device="cuda")
    assert not torch.cuda.is_available()
    with pytest.raises(RuntimeError, match="switched off"):
        there + 1
