# SPDX-License-Identifier: GPL-3.0-or-later
"""How weights get from host memory to a card: out of page-locked memory, beside what the card computes.

A card fetches page-locked memory by itself, at the full speed of the bus; from other memory the host copies it through
a small buffer of the driver's. Weights do not change: a copy on the host stays good while a network is on the card, and
nothing is ever copied back.

All memory of the card is handed out, and given back, on the stream that computes. The stream of an ``Arrival`` only
writes to it: after what the card had been asked to do before the memory was handed out, and the stream that computes
waits for it before it uses the network or lets go of it. So the allocator needs to know of one stream only.
"""

from __future__ import annotations

import contextlib
import mmap
import weakref

import torch
from torch import Tensor, nn

_ALIGNED = 256
_FOR_EVERY_CARD = 1  # cudaHostRegisterPortable


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers by name, also those that no file holds."""
    return dict(network.named_parameters()) | dict(network.named_buffers())


class HostCopy:
    """The weights of one network in host memory, ``tensors`` by name.

    With ``lock`` they move to page-locked memory; where the system refuses that they stay where they are, and only the
    copying is slower. ``locked`` says what came of it. The memory is free after ``close``.
    """

    def __init__(self, tensors: dict[str, Tensor], lock: bool = False) -> None:
        self.tensors = tensors
        self._copied: list[torch.cuda.Event] = []
        self._unlock = _locked(tensors, self, self._copied) if lock else None

    @property
    def locked(self) -> bool:
        return self._unlock is not None

    def fill(self, network: nn.Module) -> None:
        """Ask the current stream to copy the weights to ``network``, which is on a card."""
        for name, place in tensors_of(network).items():
            place.copy_(self.tensors[name], non_blocking=True)
        if self.tensors:
            event = torch.cuda.Event()
            event.record()
            self._copied[:] = [event]

    def close(self) -> None:
        """Give the memory back as soon as the last ``fill`` is done with it."""
        if self._unlock is None:
            _wait_for(self._copied)
        else:
            self._unlock()
        self.tensors = {}


def _locked(tensors: dict[str, Tensor], owner: HostCopy, copied: list[torch.cuda.Event]) -> weakref.finalize | None:
    """Move the tensors, one by one, to page-locked memory; return how it is unlocked, None where it cannot be had.

    The memory is ours and not that of torch's allocator, which rounds up to powers of two and gives nothing back. To be
    called in a thread that starts no kernels: CUDA remembers a refusal, and the thread's next kernel would report it.
    """
    starts, size = {}, 0
    for name, tensor in tensors.items():
        starts[name] = size
        size += -(-tensor.nbytes // _ALIGNED) * _ALIGNED
    if size == 0:
        return None
    try:
        pages = torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)
    except (OSError, MemoryError):
        return None
    address = pages.data_ptr()
    if int(torch.cuda.cudart().cudaHostRegister(address, size, _FOR_EVERY_CARD)) != 0:
        return None
    for name, start in starts.items():
        tensor = tensors[name]
        place = pages[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
        tensors[name] = place.copy_(tensor)
    # Also where an owner is forgotten unclosed: locked pages whose addresses are gone would be lost to the system.
    unlock = weakref.finalize(owner, _unlock, address, copied)
    unlock.atexit = False
    return unlock


def _unlock(address: int, copied: list[torch.cuda.Event]) -> None:
    _wait_for(copied)
    torch.cuda.cudart().cudaHostUnregister(address)


def _wait_for(copied: list[torch.cuda.Event]) -> None:
    # A card that has failed copies no more, and tells so to whoever uses it next.
    with contextlib.suppress(RuntimeError):
        for event in copied:
            event.synchronize()


class Arrival:
    """A network on its way to a card while the card computes something else.

    ``network`` is on the card, its memory handed out on the current stream, without values yet. Any thread may
    ``copy``; the one that computes may ``land`` afterwards. started, done: whether a thread is to copy, and has;
    whole: whether it could.
    """

    def __init__(self, name: str, network: nn.Module, device: torch.device) -> None:
        self.name, self.network = name, network
        self.started = self.done = self.whole = False
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        self._stream = stream
        # Also where this is forgotten: memory given back while it is written to would hold something else by then.
        self._let_wait = weakref.finalize(self, lambda: torch.cuda.current_stream(device).wait_stream(stream))
        self._let_wait.atexit = False

    def copy(self, weights: HostCopy) -> None:
        """Ask the card to copy the weights; from memory that is not locked, wait until it has read them."""
        with torch.cuda.stream(self._stream):
            weights.fill(self.network)
        self.whole = True

    def land(self) -> None:
        """Let the current stream wait for all that was copied; then the network may be used, and let go of."""
        self._let_wait()
