# SPDX-License-Identifier: GPL-3.0-or-later
"""Which networks are in memory: those needed soon, within what device and host can hold.

The order in which a job needs its networks is known. So under a budget the network that is needed furthest ahead
leaves first (Belady's rule, which no other rule beats), and while one network computes a thread reads the next ones. On
a CPU device and host share one memory. Elsewhere the thread reads into host memory, from where the device takes a
network when it is needed, and a network that leaves the device stays on the host if there is room.

A network's numbers do not depend on when it was read: results are the same under every budget.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

HOST = torch.device("cpu")


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
    """So far: networks read from disk, those of them that were read ahead, networks that had to leave the device."""

    reads: int = 0
    read_ahead: int = 0
    releases: int = 0


@dataclass
class _Pool:
    """Networks in one memory, the one used last at the end; ``bytes`` of them and of those on their way."""

    networks: dict[str, nn.Module] = field(default_factory=dict)
    bytes: int = 0
    peak: int = 0

    def reserve(self, size: int) -> None:
        self.bytes += size
        self.peak = max(self.peak, self.bytes)

    def take(self, name: str, size: int) -> nn.Module:
        self.bytes -= size
        return self.networks.pop(name)

    def clear(self) -> None:
        self.networks.clear()
        self.bytes = 0


class Residency:
    """Holds the networks of one model set.

    ``read(name, place)`` builds a network and puts its weights on the device ``place``; ``size(name)`` is the bytes of
    its weights on ``device``, the same each time. Called from one thread; it reads ahead in another.
    """

    def __init__(
        self,
        device: torch.device,
        read: Callable[[str, torch.device], nn.Module],
        size: Callable[[str], int],
    ) -> None:
        self.device = device
        self.counts = Counts()
        self._read, self._size = read, size
        self._shared = device.type == HOST.type
        self._on_device = _Pool()
        self._on_host = self._on_device if self._shared else _Pool()
        self._budget = UNKNOWN
        self._uses: Sequence[Use] = ()
        self._position = -1
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
            self._uses, self._budget, self._position = tuple(uses), budget, -1
            self._start_reading()

    def rest(self) -> None:
        """Read no more ahead: the run has ended. What is loaded stays for the next one."""
        with self._changed:
            self._position = len(self._uses)

    def get(self, name: str) -> nn.Module:
        """The network ``name`` on the device. Raises what reading it raises, also where reading it ahead failed."""
        with self._changed:
            if name != self._current:
                self._position = self._next_use(name, self._position, self._position)
            size = self._size(name)
            self._wanted = True
            while self._reading is not None and not self._at_hand(name, size):
                self._changed.wait()
            self._wanted = False
            if name not in self._on_device.networks:
                self._bring(name, size)
            else:
                self._make_room(0, name)
                self._on_device.networks[name] = self._on_device.networks.pop(name)
            self._start_reading()
            return self._on_device.networks[name]

    def release(self) -> None:
        """Forget every network, also one that is being read at the moment."""
        with self._changed:
            self._discard = self._discard or self._reading is not None
            self._position = len(self._uses)
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
                network = self._on_host.take(name, size).to(self.device)
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
        size = self._size(name)
        network = self._on_device.take(name, size)
        self.counts.releases += 1
        if not self._shared and self._clear_host(size, self._distance(name, self._position)):
            self._on_host.reserve(size)
            self._on_host.networks[name] = network.to(HOST)

    def _clear_host(self, size: int, distance: float) -> bool:
        """Drop networks that are needed later than in ``distance`` steps from the host until ``size`` bytes fit, if
        that is enough."""
        now, limit = self._position, _limit(self._budget.host)
        leaving = self._leaving(self._on_host, size, limit, now, lambda name: self._distance(name, now) > distance)
        for name in leaving or ():
            self._on_host.take(name, self._size(name))
        return leaving is not None

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
                self._clear_shared(size, name, step) if self._shared else self._clear_host(size, step - self._position)
            ):
                return None
            self._on_host.reserve(size)
            return name
        return None

    def _clear_shared(self, size: int, name: str, step: int) -> bool:
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
                network = self._read(name, HOST)
            except Exception:
                # The step that needs the network reads it itself, and meets the failure where it can be told.
                network = None
            with self._changed:
                self._reading = None
                if self._discard:
                    self._discard = False
                elif network is None:
                    self._on_host.bytes -= self._size(name)
                else:
                    self._on_host.networks[name] = network
                    self.counts.reads += 1
                    self.counts.read_ahead += 1
                    # A step that waits for its network comes before those that are read ahead.
                    self._reading = None if self._wanted else self._choose()
                self._changed.notify_all()
                if self._reading is None:
                    return


def _limit(budget: int | None) -> float:
    return math.inf if budget is None else budget
