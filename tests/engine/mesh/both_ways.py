# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of a graphics card have in common: going there, and comparing with the processor."""

import numpy as np
import torch

CARD = torch.device("cuda")


def there(*arrays):
    """Host arrays as tensors on the card."""
    return [torch.from_numpy(np.ascontiguousarray(array)).to(CARD) for array in arrays]


def no_room(*arguments):
    """What a full card answers."""
    raise torch.OutOfMemoryError("no room")


def assert_same(found, expected):
    """Two lists of arrays are the same to the last bit, types included."""
    for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, number
        assert np.array_equal(ours, theirs), number
