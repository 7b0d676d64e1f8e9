# SPDX-License-Identifier: GPL-3.0-or-later
"""Flow models in low precision.

With 8-bit weights, and with 8-bit products, they stay close. In bfloat16 the blocks round where the reference rounds;
only attention is more exact than it there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
import torch.nn.functional as F
from espalier.engine.models import attention
from espalier.engine.models.float8 import Float8Linear
from espalier.engine.models.quantised import QuantisedLinear, quantise_torso
from espalier.engine.models.transformer import FlowTransformer
from torch import Tensor, nn

from .case import Case
from .networks import build, cast

Run = Callable[[], Tensor]

SAME_MAX, SAME_MEDIAN = 1e-2, 1e-5
"""With the reference's attention and modulation all bits agree. A processor that sums in another order rounds a few
values to the neighbouring bfloat16, which moves the tokens they belong to and no others: most places stay the same to
float32. Another attention moves every place, the median by 2e-3."""


EIGHT_BITS: dict[str, tuple[type[QuantisedLinear], float]] = {
    "weights of 8 bits": (QuantisedLinear, 0.02),
    "products of float8": (Float8Linear, 0.1),
}
"""With the share of the norm: far above what rounding to 8 bits costs, far below a wrong scale."""


def fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The attention kernel of the recorded dense case: fused, in bfloat16."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def explicit(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """The attention kernel of the recorded sparse cases: an explicit softmax, every step rounded to bfloat16."""
    q, k, v = (tensor.transpose(1, 2) for tensor in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


@contextmanager
def recorded_modulation(case: Case, model: FlowTransformer) -> Iterator[None]:
    """Give the blocks the recorded modulation: processors differ in the last bits of the time's cosines, and a value
    of the modulation that is rounded the other way moves every token.
    """

    def replace(module: nn.Module, given: tuple[Tensor, ...], modulation: Tensor) -> Tensor:
        recorded = case.recorded("mid.adaLN").reshape(modulation.shape)
        torch.testing.assert_close(modulation, recorded, rtol=1e-5, atol=1e-5)
        return recorded

    handle = model.adaLN_modulation.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


def compare_bfloat16(case: Case, model: FlowTransformer, run: Run, output: str, kernel: Callable[..., Tensor]) -> None:
    """Compare ``lowp.bf16.<output>``: as it runs, with the attention it was recorded with, and how far it is from
    float32, with and without bfloat16 arithmetic, in comparison with the reference.
    """
    name = f"lowp.bf16.{output}"
    exact, recorded = case.recorded(output), case.recorded(name)
    cast(case, model)
    ours = run()
    case.loosely(name, ours)
    with patch.object(attention, "attend", kernel), recorded_modulation(case, model):
        distance = (run() - recorded).abs()
    close = distance.median().item() < SAME_MEDIAN < (ours - recorded).abs().median().item() / 100
    case.record(f"{name}, with its attention", distance.max().item(), SAME_MAX, "it differs in most places", close)
    theirs = mean_square(recorded - exact)
    case.record(f"{name}, mean square from float32", mean_square(ours - exact), 1.5 * theirs)
    model.convert_to(torch.bfloat16, compute=torch.float32)
    case.record(f"{name}, weights alone, mean square from float32", mean_square(run() - exact), 0.7 * theirs)


def compare_8_bits(case: Case, run: Callable[[FlowTransformer], Tensor], output: str) -> None:
    """How far float32 arithmetic with 8-bit layers is from the recorded output, as a share of its norm."""
    exact = case.recorded(output)
    for name, (kind, most) in EIGHT_BITS.items():
        model = build(case)
        quantise_torso(model, kind)
        share = ((run(model) - exact).norm() / exact.norm()).item()
        case.record(f"{output}, {name}, share of the norm", share, most)


def mean_square(difference: Tensor) -> float:
    return difference.square().mean().item()
