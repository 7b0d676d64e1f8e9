# SPDX-License-Identifier: GPL-3.0-or-later
"""The image encoder, layer by layer, and its feature wrapper on files (case 08)."""

import re

import torch
from espalier.engine.conditioning.image import IMAGENET_MEAN, IMAGENET_STD, image_tensor
from espalier.engine.models.dinov3 import DINOv3Config, DINOv3ViT, patch_rotations
from PIL import Image

from .case import Case
from .runners import compares


def compare_image(case: Case, model: DINOv3ViT, name: str) -> None:
    config = model.config
    image = case.input(f"{name}.image")
    mean, std = (torch.tensor(c).view(3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_STD))
    case.close(f"{name}.normalized", (image - mean) / std)
    rows, columns = (side // config.patch_size for side in image.shape[2:])
    head_dim = config.hidden_size // config.num_attention_heads
    cosine, sine = patch_rotations(rows, columns, head_dim, config.rope_theta, image.device)
    case.close(f"{name}.rope_cos", cosine)
    case.close(f"{name}.rope_sin", sine)
    # The embeddings and the layers are modules of their own: read what they return on the way.
    seen = {}
    parts = {"embeddings": model.embeddings, **{f"layer{i}": layer for i, layer in enumerate(model.layer)}}
    hooks = [
        module.register_forward_hook(lambda module, inputs, out, part=part: seen.update({part: out}))
        for part, module in parts.items()
    ]
    case.close(f"{name}.features", model(case.recorded(f"{name}.normalized")))
    for hook in hooks:
        hook.remove()
    for part, value in seen.items():
        if f"{name}.mid.{part}" in case:
            case.close(f"{name}.mid.{part}", value)
    case.skip(f"{name}.hf_last_hidden_state", "the model's own last norm, which the feature wrapper replaces")


@compares("transformers.DINOv3ViTModel", "wrapper(image)")
def image_encoder(case: Case) -> None:
    model = DINOv3ViT(DINOv3Config.from_published(case.about["config"])).eval()
    case.agree("names of the published file", sorted(model.state_dict()), sorted(case.about["hub_file_keys"]))
    model.load_state_dict({name.removeprefix("model."): weight for name, weight in case.weights.items()})
    for name in case.numbered("img{}.image"):
        compare_image(case, model, name.removesuffix(".image"))
    call = case.about["call"]
    size = int(re.search(r"image_size=(\d+)", call)[1])
    files = re.search(r"wrapper\(\[(.*?)\]\)", call)[1].split(", ")
    batch = torch.cat([image_tensor(Image.open(case.folder / file), size) for file in files])
    case.close("pil.features", model(batch))
