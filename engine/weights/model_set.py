# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of networks in the released layout, ``pipeline.json`` and checkpoints, each loaded on first use."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import EspalierError
from ..models.dinov3 import DINOv3Config
from .checkpoint import describe_checkpoint, load_network, read_json, sketch_network
from .configuration import Configuration, read_configuration
from .precision import Precision
from .registry import checkpoint_stem, image_encoder_folder
from .residency import UNKNOWN, Budget, Residency, Use

IMAGE_ENCODER = "image_encoder"
"""The name under which ``ModelSet.plan`` and ``ModelSet.size`` know the image encoder."""


class ModelSet:
    """The networks of one model set on one device, in memory while they are needed (see ``residency``)."""

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
        self.residency = Residency(device, self._read, self._blank, self.size)
        self._sketches: dict[str, nn.Module] = {}
        self._sizes: dict[str, int] = {}

    def model(self, name: str) -> nn.Module:
        """The network ``name`` of pipeline.json, ready to run until the next one is asked for. Raises as
        ``load_checkpoint``."""
        self._check(name)
        return self.residency.get(name)

    def image_encoder(self) -> nn.Module:
        """The image encoder, from the set's own checkpoint or from a folder with the published files."""
        return self.residency.get(IMAGE_ENCODER)

    def sketch(self, name: str) -> nn.Module:
        """The network ``name`` without values: its configuration, shapes and precisions. Raises as ``model``."""
        if name not in self._sketches:
            kind, args, _ = self._described(name)
            self._sketches[name] = sketch_network(kind, args, self.device, self.precision)
        return self._sketches[name]

    def size(self, name: str) -> int:
        """Bytes of the weights of the network ``name`` in the precision in which they are kept. Raises as ``model``."""
        if name not in self._sizes:
            self._sizes[name] = sum(tensor.nbytes for tensor in self.sketch(name).state_dict().values())
        return self._sizes[name]

    def plan(self, uses: Sequence[Use], budget: Budget = UNKNOWN) -> None:
        """Say in which order a run will ask for networks, and what memory there is. Raises as ``model``."""
        self.residency.plan(uses, budget)

    def release(self) -> None:
        """Drop every loaded network and its memory."""
        self.residency.release()

    def _check(self, name: str) -> None:
        if name not in self.config.models:
            raise EspalierError("bad_config", f"The model set in “{self.folder}” has no {name}. Fetch it again.")

    def _described(self, name: str) -> tuple[str, dict[str, Any], Path]:
        """Class, arguments and weights file of the network ``name``."""
        encoder = self.config.image_encoder
        if name == IMAGE_ENCODER and encoder.name != "DINOv3ViT":
            folder = image_encoder_folder(self.folder, encoder.path, self.models_folder)
            args = dict(vars(DINOv3Config.from_published(read_json(folder / "config.json"))))
            return "DINOv3ViT", args, folder / "model.safetensors"
        if name != IMAGE_ENCODER:
            self._check(name)
        path = encoder.path if name == IMAGE_ENCODER else self.config.models[name]
        return describe_checkpoint(checkpoint_stem(self.folder, path, self.models_folder))

    def _read(self, name: str, place: torch.device) -> nn.Module:
        return load_network(*self._described(name), self.device, self.precision, place)

    def _blank(self, name: str) -> nn.Module:
        # Not as inference would have it: such tensors could not be filled by another thread.
        with torch.inference_mode(False):
            network = copy.deepcopy(self.sketch(name)).to_empty(device=self.device)
        return network.eval().requires_grad_(False)


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
