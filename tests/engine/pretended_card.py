# SPDX-License-Identifier: GPL-3.0-or-later
"""A graphics card that is not there: its tensors say "cuda" and lie in the processor's memory.

What a real card refuses is refused (operands on two devices, numpy, pointers), and what makes the host wait for it is
counted. Its streams are in ``pretended_streams``. The values are torch's own, computed by the processor. So whole jobs
show here that every tensor is where it has to be; what only a chip can show (its kernels' rounding, speed and memory)
stays open.
"""

import contextlib
import ctypes
import functools
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
from espalier.engine.kernels import choice, host_arrays
from espalier.tests.engine.pretended_streams import Event, PinnedMemory, Streams
from torch.cuda._utils import _get_device_index
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

CARD = torch.device("cuda", 0)
HOST = torch.device("cpu")
_CUDA, _META = 1, 14  # c10::DeviceType

# The host has to know a number that the device computes: a size or a value.
_WAITS = {
    "_local_scalar_dense", "nonzero", "masked_select", "unique_dim", "_unique2", "_unique", "unique_consecutive",
    "unique_dim_consecutive", "equal", "is_nonzero", "bincount",
}  # fmt: skip
# A tensor of one device may be indexed by a host's, and filled with one of its numbers.
_TAKES_HOST_INDICES = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
_NOT_FILLED = {"empty", "empty_like", "empty_strided", "new_empty"}
_CHANGES_SHAPE = {"resize_", "squeeze_", "unsqueeze_", "t_", "transpose_", "as_strided_", "set_"}


class OnCard(torch.Tensor):
    """A tensor on the pretended card; ``held`` has its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held, born=0):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.size(), held.stride(), held.storage_offset(), dtype=held.dtype, device=CARD
        )

    def __init__(self, held, born=0):
        self.held, self.born = held, born

    def __repr__(self):
        return f"OnCard({self.held!r})"

    def tolist(self):
        return self.cpu().tolist()

    def numpy(self, **_):
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        raise RuntimeError(f"{operation} meets a tensor of a card that is switched off")


class Card:
    """What is known of the card.

    free: bytes of it that are said to be free. waits: by operation, how often the host waited. operations: how many
    there were that take memory. full_at: the number of the one that finds none left. pinned: the host's memory that it
    can fetch from by itself.
    """

    def __init__(self, free):
        self.free = free
        self.waits = Counter()
        self.operations = 0
        self.full_at = None
        self.recording = None
        self.pinned = PinnedMemory()
        self.streams = Streams(self.pinned)

    @contextlib.contextmanager
    def record(self, graph, **_):
        """``torch.cuda.graph``: the operations inside are kept by ``graph``, and nothing may wait."""
        self.recording = graph.record
        try:
            yield
        finally:
            self.recording = None

    def wait(self, name):
        """Note that the host waits for the device, which it must not do while a graph is recorded."""
        if self.recording is not None:
            raise RuntimeError(f"{name}: operation not permitted when stream is capturing")
        self.waits[name] += 1


class _Driver(TorchDispatchMode):
    """Makes "cuda" a device of torch in one thread."""

    def __init__(self, card):
        super().__init__()
        self._card = card

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        card, kwargs = self._card, dict(kwargs or {})
        name = operation.overloadpacket.__name__
        flat = tree_flatten((args, kwargs))[0]
        given = [each for each in flat if isinstance(each, torch.Tensor)]
        on_card = [each for each in given if isinstance(each, OnCard)]
        target = next((each for each in flat if isinstance(each, torch.device)), None)
        if name == "_to_copy" and target is not None and target.type == "meta":
            target = CARD  # the borrowed guard calls "cuda" without a number so
        if not on_card and (target is None or target.type != "cuda"):
            return operation(*args, **kwargs)
        # In inference mode compound operations arrive whole.
        with self:
            parts = operation.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
        if name == "_has_compatible_shallow_copy_type":
            return False
        assert name not in _CHANGES_SHAPE, f"the pretended card does not follow {name}"
        card.operations += name != "copy_"
        if card.operations == card.full_at and name != "copy_":
            raise torch.OutOfMemoryError("CUDA out of memory.")
        between = name in ("_to_copy", "copy_") and (target is not None or len(on_card) < len(given))
        if not between and on_card:
            _refuse_two_devices(name, given)
        if _waits_for(name, args, kwargs, between):
            card.wait("copy" if between else name)
        held_args, held_kwargs = tree_map(_held, (args, kwargs))
        if name == "copy_" and between and card.streams.current.is_beside:
            card.streams.current.copy_later(*args[:2])
            return args[0]
        assert not card.streams.current.is_beside, f"{name}: on a stream beside the first one only copies are pretended"
        results = operation(*held_args, **held_kwargs)
        if name in _NOT_FILLED and results.is_floating_point():
            results.fill_(torch.nan)
        if card.recording is not None:
            card.recording.append((operation, held_args, held_kwargs, results))
        if name == "copy_":
            return args[0]
        if target is not None and target.type != "cuda":
            return results
        known = {id(each.held): each for each in on_card}
        born = card.streams.tick()
        return tree_map(lambda each: known[id(each)] if id(each) in known else _on_card(each, born), results)


def _waits_for(name, args, kwargs, between):
    """Whether the host has to wait for the device; ``between``: it is a copy from one to the other."""
    if between:
        return not kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
    if name in _TAKES_HOST_INDICES:
        return any(isinstance(each, torch.Tensor) and each.dtype == torch.bool for each in args[1])
    return name in _WAITS


def _held(argument):
    if isinstance(argument, torch.device):
        return HOST
    return argument.held if isinstance(argument, OnCard) else argument


def _on_card(result, born):
    if not isinstance(result, torch.Tensor) or isinstance(result, OnCard):
        return result
    if result.is_inference() == torch.is_inference_mode_enabled():
        return OnCard(result, born)
    with torch.inference_mode(result.is_inference()):  # a view is of the kind that the viewed tensor is
        return OnCard(result, born)


def _refuse_two_devices(name, given):
    strangers = [each for each in given if not isinstance(each, OnCard) and each.dim() > 0]
    if strangers and not (name in _TAKES_HOST_INDICES and isinstance(given[0], OnCard)):
        raise RuntimeError(
            f"Expected all tensors to be on the same device: {name} got one of shape {tuple(strangers[0].shape)} on "
            f"{strangers[0].device} beside {CARD}"
        )


class Graph:
    """A CUDA graph: launched, it does its operations again, with the same memory."""

    def __init__(self):
        self.record = []

    def replay(self):
        """Compute all results anew, in their places."""
        for operation, args, kwargs, results in self.record:
            given = {each.untyped_storage().data_ptr() for each in _tensors((args, kwargs))}
            again = operation(*args, **kwargs)
            for place, value in zip(_tensors(results), _tensors(again), strict=True):
                if place.untyped_storage().data_ptr() not in given:
                    place.copy_(value)


def _tensors(tree):
    return [each for each in tree_flatten(tree)[0] if isinstance(each, torch.Tensor)]


def _let_devices_be_entered():
    """torch without CUDA cannot enter a CUDA device, as it does around indexing: there is no guard for it in the table
    of libc10. That of "meta" does nothing, which is what we need.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    guards = (ctypes.c_void_p * (_META + 1)).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    guards[_CUDA] = guards[_CUDA] or guards[_META]


def _limit_memory(fraction, device=None):
    """Refuses what torch refuses; there is nothing to limit."""
    if device is not None:
        _get_device_index(device)
    if not isinstance(fraction, float):
        raise TypeError("Invalid type for fraction argument, must be `float`")
    if not 0 <= fraction <= 1:
        raise ValueError(f"Invalid fraction value: {fraction}. Allowed range: 0~1")


@contextlib.contextmanager
def pretended_card(capability=(9, 0), memory=141 << 30):
    """Inside this there is a card; yields the ``Card``."""
    card = Card(memory)
    properties = SimpleNamespace(total_memory=memory, name="pretended", multi_processor_count=132)
    with contextlib.ExitStack() as stack:
        for name, value in {
            "is_available": lambda: True,
            "is_initialized": lambda: True,
            "_lazy_init": lambda: None,
            "current_device": lambda: 0,
            "device_count": lambda: 1,
            "get_device_capability": lambda *_: capability,
            "get_device_properties": lambda *_: properties,
            "mem_get_info": lambda *_: (card.free, memory),
            "memory_reserved": lambda *_: 0,
            "max_memory_reserved": lambda *_: 0,
            "memory_allocated": lambda *_: 0,
            "max_memory_allocated": lambda *_: 0,
            "reset_peak_memory_stats": lambda *_: None,
            "set_per_process_memory_fraction": _limit_memory,
            "empty_cache": lambda: None,
            "synchronize": lambda *_: card.streams.catch_up(),
            "Event": functools.partial(Event, card.streams),
            "Stream": card.streams.new,
            "stream": card.streams.enter,
            "current_stream": lambda *_: card.streams.current,
            "cudart": lambda: card.pinned,
            "CUDAGraph": Graph,
            "graph": card.record,
        }.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, value))
        stack.enter_context(mock.patch.object(choice, "why_not", lambda _: "Triton needs a real card."))
        stack.callback(host_arrays._working_card.cache_clear)
        host_arrays._working_card.cache_clear()
        _let_devices_be_entered()
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, False)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        stack.callback(torch._C._set_only_lift_cpu_tensors, before)
        run = threading.Thread.run

        def run_with_card(thread):
            with _Driver(card):
                run(thread)

        stack.enter_context(mock.patch.object(threading.Thread, "run", run_with_card))
        stack.enter_context(_Driver(card))
        yield card
