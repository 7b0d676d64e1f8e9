# SPDX-License-Identifier: GPL-3.0-or-later
"""Finishing on a graphics card, however small the object."""

import pytest
from espalier.engine.kernels import host_arrays


@pytest.fixture
def card(card, monkeypatch):
    """Arrays of any size go to the card. Inside ``choice.plain_torch()`` they stay, as they do without a card."""
    monkeypatch.setattr(host_arrays, "WORTHWHILE", 1)
    return card
