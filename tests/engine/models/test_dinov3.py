# SPDX-License-Identifier: GPL-3.0-or-later
"""The image encoder: which variants it takes, and that a small one trains."""

import pytest
import torch
from espalier.engine.errors import EspalierError
from espalier.engine.models.dinov3 import DINOv3Config, DINOv3ViT


def test_other_variants_are_refused():
    with pytest.raises(EspalierError) as caught:
        DINOv3Config.from_published({"use_gated_mlp": True})
    assert caught.value.code == "bad_config"


def test_a_small_encoder_takes_any_size_and_trains():
    model = DINOv3ViT(DINOv3Config(32, 64, 2, 2, num_register_tokens=0, patch_size=8))
    features = model(torch.randn(2, 3, 24, 16))
    assert features.shape == (2, 1 + 6, 32)
    features.square().sum().backward()
    unused = {"embeddings.mask_token", "norm.weight", "norm.bias"}
    assert {name for name, weight in model.named_parameters() if weight.grad is None} == unused
