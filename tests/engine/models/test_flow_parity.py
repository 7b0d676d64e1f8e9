# SPDX-License-Identifier: GPL-3.0-or-later
"""The flow models agree with the reference (fixtures 01 and 02)."""

import pytest
import torch
from espalier.engine.models.registry import build_model
from espalier.engine.sparse import SparseTensor

SPARSE = ["02_slat_flow_shape", "02_slat_flow_tex"]


def load(case):
    model = build_model(case.case["class"], case.case["args"])
    model.load_state_dict(case.weights, strict=True)
    return model.eval()


def sparse_inputs(case):
    x = SparseTensor(case.io["x.feats"], case.io["x.coords"])
    extra = x.replace(case.io["concat_cond.feats"]) if "concat_cond.feats" in case.io else None
    return x, extra


def assert_casts_the_recorded_parameters(case, model):
    half = {name for name, weight in model.state_dict().items() if weight.dtype == torch.bfloat16}
    assert half == set(case.case["mixed_precision"]["cast_params"])


@torch.no_grad()
def test_dense_flow_agrees(golden):
    case = golden("01_sparse_structure_flow")
    model = load(case)
    inputs = [case.io[name] for name in ("x", "t", "cond")]
    case.assert_close("out", model(*inputs))
    phases = torch.view_as_real(model.rope_phases)
    case.assert_close("rope_phases_re_im", phases)
    model.convert_to(torch.bfloat16)
    assert_casts_the_recorded_parameters(case, model)
    torch.testing.assert_close(model(*inputs), case.io["lowp.bf16.out"], rtol=0, atol=0.05)


@pytest.mark.parametrize("name", SPARSE)
@torch.no_grad()
def test_sparse_flow_agrees(golden, name):
    case = golden(name)
    model = load(case)
    x, extra = sparse_inputs(case)
    t, cond = case.io["t"], case.io["cond"]
    case.assert_close("out.feats", model(x, t, cond, extra).feats)
    lengths = [case.io["cond_list.0"], case.io["cond_list.1"]]
    case.assert_close("out_varlen_cond.feats", model(x, t, lengths, extra).feats)
    model.convert_to(torch.bfloat16)
    assert_casts_the_recorded_parameters(case, model)
    torch.testing.assert_close(model(x, t, cond, extra).feats, case.io["lowp.bf16.out.feats"], rtol=0, atol=0.05)


@torch.no_grad()
def test_a_batch_gives_what_its_samples_give_alone(golden):
    case = golden("02_slat_flow_tex")
    model = load(case)
    x, extra = sparse_inputs(case)
    together = model(x, case.io["t"], case.io["cond"], extra)
    for index, rows in enumerate(x.layout):
        alone = model(x.sample(index), case.io["t"][[index]], case.io["cond"][[index]], extra.sample(index))
        case.assert_close(f"sample {index}", alone.feats, together.feats[rows])


@torch.no_grad()
def test_prepared_conditions_give_the_same_result(golden):
    case = golden("01_sparse_structure_flow")
    model = load(case)
    x, t, cond = (case.io[name] for name in ("x", "t", "cond"))
    assert torch.equal(model(x, t, model.condition(cond)), model(x, t, cond))
