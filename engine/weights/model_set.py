# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of networks in the released layout, ``pipeline.json`` and checkpoints, each loaded on first use."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ..errors import EspalierError
from ..models.dinov3 import DINOv3Config
from .checkpoint import load_checkpoint, load_network, read_json
from .configuration import Configuration, read_configuration
from .precision import Precision
from .registry import image_encoder_folder


class ModelSet:
    """The networks of one model set on one device."""

    def __init__(
        self,
        folder: Path,
        config: Configuration,
        device: torch.device,
        precision: Precision,
        models_folder: Path | None = None,
    ) -> None:
        self.folder = folder
        self.models_folder = models_folder
        self.config = config
        self.device = device
        self.precision = precision
        self._loaded: dict[str, nn.Module] = {}

    def model(self, name: str) -> nn.Module:
        """The network ``name`` of pipeline.json, loaded on first use. Raises as ``load_checkpoint``."""
        if name not in self._loaded:
            if name not in self.config.models:
                raise EspalierError("bad_config", f"The model set in “{self.folder}” has no {name}. Fetch it again.")
            self._loaded[name] = load_checkpoint(self.folder / self.config.models[name], self.device, self.precision)
        return self._loaded[name]

    def image_encoder(self) -> nn.Module:
        """The image encoder, from the set's own checkpoint or from a folder with the published files."""
        if "image_encoder" not in self._loaded:
            encoder = self.config.image_encoder
            if encoder.name == "DINOv3ViT":
                path = self.folder / encoder.path
                self._loaded["image_encoder"] = load_checkpoint(path, self.device, self.precision)
            else:
                path = image_encoder_folder(self.folder, encoder.path, self.models_folder)
                args = dict(vars(DINOv3Config.from_published(read_json(path / "config.json"))))
                weights = path / "model.safetensors"
                self._loaded["image_encoder"] = load_network("DINOv3ViT", args, weights, self.device, self.precision)
        return self._loaded["image_encoder"]

    def release(self) -> None:
        """Drop every loaded network and its memory."""
        self._loaded.clear()


def load_model_set(
    folder: str | Path,
    device: torch.device | str = "cpu",
    precision: Precision = "auto",
    models_folder: Path | None = None,
) -> ModelSet:
    """Open the model set in ``folder``; an image encoder that it does not hold itself may lie in ``models_folder``.

    Raises EspalierError("bad_config") without a usable configuration.
    """
    folder = Path(folder)
    return ModelSet(folder, read_configuration(folder), torch.device(device), precision, models_folder)
