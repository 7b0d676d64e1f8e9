# SPDX-License-Identifier: GPL-3.0-or-later
"""A job on a GPU notes why plain torch computes there; where the kernels do, there is nothing to say."""

import pytest
import torch
from espalier.engine.pipelines import job as job_module
from espalier.tests.engine.pipelines.helpers import Report, make_job

REASON = "The Triton kernels fail on this device (a convolution that is 1.0e-01 apart): plain torch computes."


@pytest.mark.parametrize("reason", [REASON, ""], ids=["fails", "serves"])
def test_a_job_on_a_gpu_notes_why_plain_torch_computes(tmp_path, monkeypatch, reason):
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(job_module, "why_not", lambda device: asked.append(device) or reason)
    job, report = make_job(tmp_path, tmp_path), Report()
    job_module.prepare(job, job.request(), report)
    assert asked == [torch.device("cuda", 0)]
    assert (REASON in report.logs) == bool(reason)


def test_a_job_on_a_processor_asks_for_no_kernels(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(job_module, "why_not", lambda device: pytest.fail("asked for kernels"))
    job = make_job(tmp_path, tmp_path)
    job_module.prepare(job, job.request(), Report())
