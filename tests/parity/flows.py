# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow models (cases 01 and 02)."""

import torch

from .case import Case
from .low_precision import compare_8_bits, compare_bfloat16, explicit, fused
from .networks import build, sparse
from .runners import compares


@compares("SparseStructureFlowModel", "model(x, t, cond)")
def dense_flow(case: Case) -> None:
    model = build(case)
    inputs = [case.input(name) for name in ("x", "t", "cond")]
    case.close("out", model(*inputs))
    case.close("rope_phases_re_im", torch.view_as_real(model.rope_phases))
    compare_8_bits(case, lambda model: model(*inputs), "out")
    compare_bfloat16(case, model, lambda: model(*inputs), "out", fused)


@compares("SLatFlowModel", "model(SparseTensor(")
def sparse_flow(case: Case) -> None:
    model = build(case)
    x = sparse(case, "x.feats", "x.coords")
    extra = x.replace(case.input("concat_cond.feats")) if "concat_cond=" in case.about["call"] else None
    t, cond = case.input("t"), case.input("cond")
    case.close("out.feats", model(x, t, cond, extra).feats)
    if "out_varlen_cond.feats" in case:
        lengths = [case.input(name) for name in case.numbered("cond_list.{}")]
        case.close("out_varlen_cond.feats", model(x, t, lengths, extra).feats)
    compare_8_bits(case, lambda model: model(x, t, cond, extra).feats, "out.feats")
    compare_bfloat16(case, model, lambda: model(x, t, cond, extra).feats, "out.feats", explicit)
