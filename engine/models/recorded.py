# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeated calls of one function on tensors of fixed shapes, on CUDA as one launch of its recorded kernels."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Recorded:
    """``function`` of tensors, of which only the values change from call to call; it must not wait for the device.

    On CUDA the second call records the kernels as a graph, which is launched whole from then on: short kernels are
    otherwise done before the host has asked for the next one. Elsewhere the function is simply called. The graph keeps
    the memory of one call for as long as this object lives.
    """

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._function = function
        self._called = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: tuple[Tensor, ...] = ()
        self._output = torch.empty(0)

    def __call__(self, *inputs: Tensor) -> Tensor:
        if inputs[0].device.type != "cuda" or not self._called:
            # The first call lets libraries set themselves up, which must not happen while recording.
            self._called = True
            return self._function(*inputs)
        if self._graph is None:
            self._record(inputs)
        for place, given in zip(self._inputs, inputs, strict=True):
            place.copy_(given)
        self._graph.replay()
        return self._output.clone()

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = tuple(given.clone() for given in inputs)
        graph = torch.cuda.CUDAGraph()
        # Other threads of the engine ask for free memory meanwhile, which is no part of the recording.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            self._output = self._function(*self._inputs)
        self._graph = graph
