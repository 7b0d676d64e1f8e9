# SPDX-License-Identifier: GPL-3.0-or-later
"""Which networks are in memory: those needed soon, within what device and host can hold.

The order in which a job needs its networks is known. So under a budget the network that is needed furthest ahead
leaves first (Belady's rule, which no other rule beats), and while one network computes a thread reads the next ones.

On a CPU device and host share one memory. Elsewhere the thread reads into host memory, and the next network that is not
on the device is copied there while the one before it computes, where both have room beside their intermediate values.
Where the networks of a run do not all have room on the device, the host keeps its copies, and what leaves the device is
simply forgotten there; where they have, the host forgets.

A network's numbers do not depend on when it was read. Which networks are on the device at a step depends on the plan
and the budget alone, and memory for one is taken when a step asks for a network: no result and no peak depends on time.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from .transfer import Arrival, HostCopy, tensors_of

HOST = torch.device("cpu")
LOCKED = 0.5
"""Share of the host's budget that is page-locked at most: no other program can have such memory, not even for a while.
"""


@dataclass(frozen=True)
class Use:
    """One step of a job: the network it needs, and the bytes that its intermediate values take beside the weights."""

    name: str
    activations: int = 0


@dataclass(frozen=True)
class Budget:
    """Bytes that device and host offer, free or already taken by networks of ours; None where that is not known.

    On a CPU only ``device`` counts.
    """

    device: int | None = None
    host: int | None = None


UNKNOWN = Budget()


@dataclass
class Counts:
    """So far: networks read from disk, those of them that were read ahead, networks that had to leave the device, those
    that were copied to it early."""

    reads: int = 0
    read_ahead: int = 0
    releases: int = 0
    copied_early: int = 0


@dataclass
class _Pool:
    """Networks in one memory, the one used last at the end; ``bytes`` of them and of those on their way.

    The host of a device with memory of its own has a ``HostCopy`` of each.
    """

    networks: dict[str, Any] = field(default_factory=dict)
    bytes: int = 0
    peak: int = 0

    def reserve(self, size: int) -> None:
        self.bytes += size
        self.peak = max(self.peak, self.bytes)

    def take(self, name: str, size: int) -> Any:
        self.bytes -= size
        return self.networks.pop(name)

    def clear(self) -> None:
        self.networks.clear()
        self.bytes = 0


class Residency:
    """Holds the networks of one model set.

    ``read(name, place)`` builds a network and puts its weights on the device ``place``; ``blank(name)`` builds it on
    ``device``, its weights of any value; ``size(name)`` is the bytes of its weights on ``device``, the same each time.
    Called from one thread; it reads ahead in another.

    ``copies_early`` and ``locks`` (page-locked copies on the host) can be switched off before ``plan``, to measure what
    each is worth; without CUDA there is neither.
    """

    def __init__(
        self,
        device: torch.device,
        read: Callable[[str, torch.device], nn.Module],
        blank: Callable[[str], nn.Module],
        size: Callable[[str], int],
    ) -> None:
        self.device = device
        self.counts = Counts()
        self.copies_early = self.locks = device.type == "cuda" and torch.cuda.is_available()
        self._read, self._blank, self._size = read, blank, size
        self._shared = device.type == HOST.type
        self._on_device = _Pool()
        self._on_host = self._on_device if self._shared else _Pool()
        self._budget = UNKNOWN
        self._uses: Sequence[Use] = ()
        self._position = -1
        self._takes_turns = False
        self._arriving: Arrival | None = None
        self._reading: str | None = None
        self._discard = False
        self._wanted = False
        self._changed = threading.Condition()

    def plan(self, uses: Sequence[Use], budget: Budget = UNKNOWN) -> None:
        """Take note of the order in which a run will ask for networks, and read the first ones ahead.

        Raises what ``size`` raises on a name that it does not know.
        """
        for use in uses:
            self._size(use.name)
        with self._changed:
            self._position = len(self._uses)
            while self._reading is not None:
                self._changed.wait()
            self._land()
            self._uses, self._budget, self._position = tuple(uses), budget, -1
            together = sum(self._size(name) for name in {use.name for use in uses})
            self._takes_turns = together > self._device_limit(0, len(self._uses))
            self._forget_on_host(self._on_device.networks)
            self._start_reading()

    def rest(self) -> None:
        """Read no more ahead: the run has ended. What is loaded stays for the next one."""
        with self._changed:
            self._position = len(self._uses)
            if self._arriving is not None and not self._arriving.started:
                self._land()

    def get(self, name: str) -> nn.Module:
        """The network ``name`` on the device. Raises what reading it raises, also where reading it ahead failed."""
        with self._changed:
            if name != self._current:
                self._position = self._next_use(name, self._position, self._position)
            size = self._size(name)
            self._wanted = True
            if name not in self._on_device.networks:
                self._land(name)
            while self._reading is not None and not self._at_hand(name, size):
                self._changed.wait()
            self._wanted = False
            if name not in self._on_device.networks:
                self._bring(name, size)
            else:
                self._make_room(0, name)
                self._on_device.networks[name] = self._on_device.networks.pop(name)
            self._forget_on_host([name])
            self._send_next()
            self._start_reading()
            return self._on_device.networks[name]

    def release(self) -> None:
        """Forget every network, also one that is being read or copied at the moment."""
        with self._changed:
            self._discard = self._discard or self._reading is not None
            self._position = len(self._uses)
            try:
                self._land()
            finally:
                if not self._shared:
                    for weights in self._on_host.networks.values():
                        weights.close()
                self._on_device.clear()
                self._on_host.clear()

    @property
    def loaded(self) -> list[str]:
        """Names of the networks on the device, the one used last at the end."""
        with self._changed:
            return list(self._on_device.networks)

    @property
    def bytes(self) -> tuple[int, int]:
        """Bytes of weights now on the device, and on the host; on a CPU these are the same."""
        with self._changed:
            return self._on_device.bytes, self._on_host.bytes

    @property
    def peak_bytes(self) -> tuple[int, int]:
        """The most bytes of weights so far on the device, and on the host; those being read count."""
        with self._changed:
            return self._on_device.peak, self._on_host.peak

    # ---------------------------------------------------------------------------------------------------- this thread

    @property
    def _current(self) -> str:
        """The network of the step that runs, "" before the first and after the last one."""
        return self._uses[self._position].name if 0 <= self._position < len(self._uses) else ""

    def _at_hand(self, name: str, size: int) -> bool:
        """Whether ``name`` need not be read, and fits beside what is being read."""
        if name in self._on_device.networks:
            size = 0
        elif name not in self._on_host.networks:
            return False
        return self._room_for(size, name, self._position) is not None

    def _bring(self, name: str, size: int) -> None:
        """Bring the network from the host or from disk, after others made room for it."""
        self._make_room(size, name)
        self._on_device.reserve(size)
        try:
            if name in self._on_host.networks:
                network = self._blank(name)
                self._on_host.networks[name].fill(network)
            else:
                network = self._read(name, self.device)
                self.counts.reads += 1
        except BaseException:
            self._on_device.bytes -= size
            raise
        self._on_device.networks[name] = network

    def _room_for(self, size: int, name: str, step: int) -> list[str] | None:
        """Networks other than ``name`` that leave the device at ``step`` for ``size`` more bytes of weights."""
        return self._leaving(self._on_device, size, self._device_limit(step, step), step, lambda other: other != name)

    def _make_room(self, size: int, name: str) -> None:
        leaving = self._room_for(size, name, self._position)
        if leaving is None:
            leaving = [other for other in self._on_device.networks if other != name]
        for other in leaving:
            self._leave_device(other)

    def _leave_device(self, name: str) -> None:
        self._on_device.take(name, self._size(name))
        self.counts.releases += 1

    def _next_use(self, name: str, after: int, otherwise: int) -> int:
        """Step of the plan that needs ``name`` next, from the one after ``after`` on."""
        steps = (step for step in range(after + 1, len(self._uses)) if self._uses[step].name == name)
        return next(steps, otherwise)

    def _distance(self, name: str, now: int) -> float:
        """Steps from ``now`` until ``name`` is needed; a run is likely to be followed by one of the same kind."""
        step = self._next_use(name, now, -1)
        if step < 0:
            again = self._next_use(name, -1, -1)
            step = again if again < 0 else again + len(self._uses)
        return math.inf if step < 0 else step - now

    def _leaving(
        self, pool: _Pool, size: int, limit: float, now: int, may_leave: Callable[[str], bool]
    ) -> list[str] | None:
        """Networks to take from ``pool`` at step ``now`` so that ``size`` more bytes fit into ``limit``; None when all
        that may leave are not enough.

        Furthest ahead first; among networks that no plan names, the one used longest ago.
        """
        leaving, taken = [], pool.bytes + size
        for name in sorted(pool.networks, key=lambda name: self._distance(name, now), reverse=True):
            if taken <= limit:
                break
            if may_leave(name):
                leaving.append(name)
                taken -= self._size(name)
        return leaving if taken <= limit else None

    def _device_limit(self, first: int, last: int) -> float:
        """Bytes of weights that fit on the device beside the intermediate values of the steps ``first`` to ``last``."""
        values = max((use.activations for use in self._uses[max(first, 0) : last + 1]), default=0)
        return _limit(self._budget.device) - values

    # ---------------------------------------------------------------------------------------------------- host's copies

    def _forget_on_host(self, names: Iterable[str]) -> None:
        """Close the host's copies of networks that are on the device, where that has room for all."""
        if not self._shared and not self._takes_turns:
            for name in names:
                self._drop_on_host(name)

    def _drop_on_host(self, name: str) -> None:
        if name in self._on_host.networks:
            self._on_host.take(name, self._size(name)).close()

    def _clear_host(self, size: int, distance: float) -> bool:
        """Drop copies that are needed later than in ``distance`` steps, or are on the device, from the host until
        ``size`` bytes fit, if that is enough."""
        now, limit = self._position, _limit(self._budget.host)
        arriving = self._arriving.name if self._arriving is not None else ""

        def may_leave(name: str) -> bool:
            return name != arriving and (name in self._on_device.networks or self._distance(name, now) > distance)

        leaving = self._leaving(self._on_host, size, limit, now, may_leave)
        for name in leaving or ():
            self._drop_on_host(name)
        return leaving is not None

    def _may_lock(self, size: int) -> bool:
        """Whether a copy of that size is worth locking, for it will be used again, and is not too much. Of an unknown
        amount of memory nothing is locked."""
        locked = sum(self._size(name) for name, weights in self._on_host.networks.items() if weights.locked)
        return self.locks and self._takes_turns and locked + size <= LOCKED * (self._budget.host or 0)

    # ---------------------------------------------------------------------------------------------------- copy early

    def _send_next(self) -> None:
        """Take memory on the device for the next network that is not there, if it has room from now on, and have the
        network copied as soon as the host has it."""
        if not self.copies_early or self._arriving is not None:
            return
        for step in range(self._position + 1, len(self._uses)):
            name = self._uses[step].name
            if name not in self._on_device.networks:
                break
        else:
            return
        size = self._size(name)
        if not self._clear_early(size, name, step):
            return
        try:
            self._arriving = Arrival(name, self._blank(name), self.device)
        except torch.OutOfMemoryError:
            return  # the step itself will find out whether there is enough
        self._on_device.reserve(size)
        self._start_copying()

    def _start_copying(self) -> None:
        arrival = self._arriving
        if arrival is not None and not arrival.started and arrival.name in self._on_host.networks:
            arrival.started = True
            arguments = arrival, self._on_host.networks[arrival.name]
            threading.Thread(target=self._copy, args=arguments, name="weights to device", daemon=True).start()

    def _copy(self, arrival: Arrival, weights: HostCopy) -> None:
        try:
            arrival.copy(weights)
        except Exception:
            # The step that needs the network copies it itself, and meets the failure where it can be told.
            arrival.whole = False
        with self._changed:
            arrival.done = True
            self._changed.notify_all()

    def _land(self, wanted: str = "") -> None:
        """Add what is arriving to the networks on the device, once it is there; give it up where it is not ``wanted``
        and the host does not have it yet."""
        arrival = self._arriving
        if arrival is None:
            return
        while not arrival.done and (arrival.started or arrival.name == wanted == self._reading):
            self._changed.wait()
        self._arriving = None
        if arrival.whole:
            self._on_device.networks[arrival.name] = arrival.network
            self.counts.copied_early += 1
        else:
            self._on_device.bytes -= self._size(arrival.name)
        if arrival.started:
            arrival.land()

    # ---------------------------------------------------------------------------------------------------- read ahead

    def _start_reading(self) -> None:
        if self._reading is None:
            self._reading = self._choose()
            if self._reading is not None:
                threading.Thread(target=self._read_ahead, name="weights", daemon=True).start()

    def _choose(self) -> str | None:
        """The next network of the plan that is nowhere in memory, where there is room for it; makes that room."""
        for step in range(self._position + 1, len(self._uses)):
            name = self._uses[step].name
            if name in self._on_device.networks or name in self._on_host.networks:
                continue
            size = self._size(name)
            if not (
                self._clear_early(size, name, step) if self._shared else self._clear_host(size, step - self._position)
            ):
                return None
            self._on_host.reserve(size)
            return name
        return None

    def _clear_early(self, size: int, name: str, step: int) -> bool:
        """Let networks leave early that would have to leave at ``step`` anyway and are not needed until then, until
        ``size`` bytes fit, if that is enough."""
        anyway = self._room_for(size, name, step) or ()
        limit = self._device_limit(self._position, step)

        def may_leave(other: str) -> bool:
            return other in anyway and other != self._current and self._next_use(other, self._position, step) >= step

        leaving = self._leaving(self._on_device, size, limit, step, may_leave)
        for other in leaving or ():
            self._leave_device(other)
        return leaving is not None

    def _read_ahead(self) -> None:
        """Read one network after the other until nothing fits, or nothing is left to read."""
        while True:
            name = self._reading
            try:
                network = self._read(name, HOST) if self._shared else self._read_to_host(name)
            except Exception:
                # The step that needs the network reads it itself, and meets the failure where it can be told.
                network = None
            with self._changed:
                self._reading = None
                if self._discard:
                    self._discard = False
                    if isinstance(network, HostCopy):
                        network.close()
                elif network is None:
                    self._on_host.bytes -= self._size(name)
                else:
                    self._on_host.networks[name] = network
                    self.counts.reads += 1
                    self.counts.read_ahead += 1
                    # A step that waits for its network comes before those that are read ahead.
                    self._reading = None if self._wanted else self._choose()
                    self._start_copying()
                self._changed.notify_all()
                if self._reading is None:
                    return

    def _read_to_host(self, name: str) -> HostCopy:
        with self._changed:
            lock = self._may_lock(self._size(name))
        return HostCopy(tensors_of(self._read(name, HOST)), lock)


def _limit(budget: int | None) -> float:
    return math.inf if budget is None else budget
