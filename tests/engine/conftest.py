# SPDX-License-Identifier: GPL-3.0-or-later
"""A graphics card for tests: the real one where there is one, and everywhere a pretended one."""

import pytest
import torch
from espalier.tests.engine.pretended_card import pretended_card


@pytest.fixture(params=["pretended", pytest.param("gpu", marks=pytest.mark.gpu)])
def card(request):
    """Inside the test "cuda" is a device; the ``Card`` where it is pretended, None where it is real."""
    if request.param == "pretended":
        if torch.version.cuda:
            pytest.skip("this torch has CUDA of its own")
        with pretended_card() as card:
            yield card
    elif torch.cuda.is_available():
        yield None
    else:
        pytest.skip("needs a CUDA device")
