# SPDX-License-Identifier: GPL-3.0-or-later
"""The streams of the pretended card, and host memory that is page-locked for it.

The first stream does everything at once. On a stream beside it a copy is done as late as it may be: when somebody waits
for it. So whoever forgets to wait reads what was there before. A copy must not go to memory that the first stream may
still be using for something else, nor outlive what it reads and writes: each of these is refused.
"""

import contextlib
import threading
import weakref


class Streams:
    """The streams of one card; ``current`` is that of the thread which asks."""

    def __init__(self, pinned):
        self.pinned = pinned
        self.first = Stream(self, beside=False)
        self.beside = []
        self._time = 0
        self._thread = threading.local()

    @property
    def current(self):
        return getattr(self._thread, "stream", self.first)

    def new(self, *_, **__):
        """``torch.cuda.Stream``."""
        self.beside.append(Stream(self, beside=True))
        return self.beside[-1]

    @contextlib.contextmanager
    def enter(self, stream):
        """``torch.cuda.stream``."""
        before, self._thread.stream = self.current, stream
        try:
            yield
        finally:
            self._thread.stream = before

    def tick(self):
        """The time of something that the first stream does."""
        self._time += 1
        return self._time

    def catch_up(self):
        """Do all that was put off."""
        for stream in self.beside:
            stream.do(stream.ordered)


class Stream:
    """One stream; those beside the first have done ``done`` of ``ordered`` copies, and know of memory handed out until
    ``since``."""

    def __init__(self, streams, beside):
        self.is_beside, self.ordered, self.done, self.since = beside, 0, 0, -1
        self._streams, self._copies = streams, []

    def copy_later(self, target, source):
        """Copy from the host's ``source`` when somebody waits for it."""
        if target.born > self.since:
            raise AssertionError("a copy to memory that earlier work on the card may still be using")
        pinned = self._streams.pinned
        lock = pinned.around(source)
        target, held = weakref.ref(target), target.held

        def copy():
            assert target() is not None, "memory of the card was given back while a copy to it was under way"
            assert lock is None or lock in pinned.ranges, "host memory was unlocked while a copy from it was under way"
            held.copy_(source)

        self._copies.append(copy)
        self.ordered += 1

    def do(self, until):
        """Do the first ``until`` of what was ordered."""
        while self.done < until:
            self._copies[self.done]()
            self._copies[self.done] = None
            self.done += 1

    def record_event(self, event=None):
        event = event or Event(self._streams)
        event.record(self)
        return event

    def wait_event(self, event):
        if self.is_beside and not event.stream.is_beside:
            self.since = max(self.since, event.time)
        event.synchronize()

    def wait_stream(self, other):
        self.wait_event(other.record_event())

    def synchronize(self):
        self.do(self.ordered)


class Event:
    """What a stream had been asked to do until ``record``."""

    def __init__(self, streams, **_):
        self._streams, self.stream = streams, None

    def record(self, stream=None):
        self.stream = stream or self._streams.current
        self.time, self._until = self._streams.tick(), self.stream.ordered

    def synchronize(self):
        if self.stream is not None:
            self.stream.do(self._until)


class PinnedMemory:
    """The CUDA runtime's functions that lock the host's memory. ranges: {address: bytes} of what is locked.

    most: how many bytes can be locked at a time.
    """

    def __init__(self):
        self.ranges, self.most = {}, 1 << 62

    def cudaHostRegister(self, address, size, flags):
        assert not any(start < address + size and address < start + other for start, other in self.ranges.items())
        if sum(self.ranges.values()) + size > self.most:
            return 2
        self.ranges[address] = size
        return 0

    def cudaHostUnregister(self, address):
        del self.ranges[address]
        return 0

    def around(self, tensor):
        """The start of the locked range that holds the tensor's values, None where there is none."""
        address = tensor.data_ptr()
        return next((start for start, size in self.ranges.items() if start <= address < start + size), None)
