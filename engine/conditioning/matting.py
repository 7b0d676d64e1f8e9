# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the subject of an opaque picture: BiRefNet where its file is present, else the plain-background keyer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import EspalierError, unusable_file
from ..weights.registry import BIREFNET, find
from .image import IMAGENET_MEAN, IMAGENET_STD, MATTINGS
from .keyer import Matte, key_plain_background
from .onnx_file import FLOAT32, OnnxInterface, read_interface

SIDE = 1024
OLDEST_OPSET = 11
SUBJECT = 128
"""A matte that stays below this (of 255) everywhere shows no subject."""


class BiRefNet:
    """The matting network in one ONNX file: float32 [1, 3, 1024, 1024] in, one logit map [1, 1, 1024, 1024] out.

    Opening reads what the file says about itself and raises EspalierError("bad_weights") for another interface, and
    EspalierError("engine_incomplete") where ONNX Runtime is missing. The network itself is loaded for one picture and
    dropped, so that its memory is free for the generator.
    """

    def __init__(self, path: Path) -> None:
        _check_interface(path, read_interface(path))
        self.path = path
        self._runtime = _onnx_runtime()

    def __call__(self, image: Image.Image) -> Matte:
        """Give an RGB picture the alpha that the network finds (spec/models.md 6.1). Raises EspalierError
        ("bad_weights", "out_of_memory", or "bad_input" when there is no subject)."""
        logits = self._run(_network_input(image))
        coverage = (torch.from_numpy(logits).sigmoid().numpy() * 255).astype(np.uint8)
        mask = Image.fromarray(coverage).resize(image.size, Image.Resampling.BICUBIC)
        if mask.getextrema()[1] < SUBJECT:
            raise EspalierError(
                "bad_input",
                "BiRefNet found no subject in the image. Use an image with a transparent background, or choose to keep "
                "the whole image.",
            )
        matted = image.convert("RGB")
        matted.putalpha(mask)
        return Matte(matted, ("The background was removed by BiRefNet.",))

    def _run(self, pixels: np.ndarray) -> np.ndarray:
        """Return the logits [1024, 1024] float32 of ``pixels`` [1, 3, 1024, 1024]."""
        runtime = self._runtime
        options = runtime.SessionOptions()
        # The arena would keep the peak of every layer; one picture is run once, so memory goes back at once instead.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.disable_prepacking", "1")
        # Waiting threads that spin take the processor from Blender.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            session = runtime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
            (logits,) = session.run(None, {session.get_inputs()[0].name: pixels})
        except MemoryError as error:
            raise _no_memory(str(error)) from None
        except Exception as error:  # ONNX Runtime's exceptions have no common class
            text = str(error).strip().split("\n")[0][:300]
            if "alloc" in text.lower():
                raise _no_memory(text) from None
            raise unusable_file(self.path, "cannot be run.", text) from None
        if logits.shape != (1, 1, SIDE, SIDE) or not np.isfinite(logits).all():
            raise unusable_file(self.path, "gave no usable mask.", f"shape {list(logits.shape)}")
        return logits[0, 0].astype(np.float32, copy=False)


def matte_for(matting: Any, models_folder: Any) -> Callable[[Image.Image], Matte]:
    """Return what finds the subject of an opaque picture under the setting ``matting``.

    Both are as a request has them; ``models_folder`` is where the models lie, None when there is no such folder. Raises
    EspalierError("bad_request") for a setting that is none of ``MATTINGS`` and a folder that is no path,
    "missing_model" where BiRefNet was asked for and is not there.
    """
    if matting not in MATTINGS:
        raise EspalierError("bad_request", f"There is no matting {matting!r}. Choose one of: {', '.join(MATTINGS)}.")
    if not isinstance(models_folder, str | Path | None):
        raise EspalierError("bad_request", "The job names no usable folder of models. Start the job again.")
    path = find(BIREFNET.name, Path(models_folder)) if models_folder else None
    if matting == "birefnet":
        if path is None:
            raise EspalierError(
                "missing_model",
                f"{BIREFNET.name} is not on this computer. Run “blender --online-mode --command espalier models "
                f"download {BIREFNET.name}”, or choose another way to find the subject.",
            )
        return BiRefNet(path)
    if matting == "auto" and path is not None:
        return partial(_birefnet_or_keyer, path)
    return key_plain_background


def _birefnet_or_keyer(path: Path, image: Image.Image) -> Matte:
    """BiRefNet; where it cannot be used or sees nothing, the keyer with a note that says why."""
    try:
        return BiRefNet(path)(image)
    except EspalierError as error:
        why = f"BiRefNet was not used: {error.sentence}"
    try:
        found = key_plain_background(image)
    except EspalierError as error:
        raise EspalierError(error.code, error.sentence, why) from None
    return Matte(found.image, (*found.notes, why))


def _network_input(image: Image.Image) -> np.ndarray:
    """ImageNet-normalised float32 [1, 3, 1024, 1024] of a picture, squeezed to a square (BILINEAR)."""
    square = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    values = np.asarray(square, np.float32) / 255
    values = (values - np.float32(IMAGENET_MEAN)) / np.float32(IMAGENET_STD)
    return np.ascontiguousarray(values.transpose(2, 0, 1))[None]


def _check_interface(path: Path, interface: OnnxInterface) -> None:
    if interface.opset < OLDEST_OPSET:
        raise unusable_file(path, "is made for an ONNX that is too old.", f"operator set {interface.opset}")
    for side, ports, wanted in (
        ("input", interface.inputs, (1, 3, SIDE, SIDE)),
        ("output", interface.outputs, (1, 1, SIDE, SIDE)),
    ):
        fits = len(ports) == 1 and ports[0].element == FLOAT32
        if fits and ports[0].shape is not None:
            shape = ports[0].shape
            fits = len(shape) == 4 and all(have in (None, want) for have, want in zip(shape, wanted))
        if not fits:
            told = ", ".join(f"{port.name} {port.shape}" for port in ports[:4]) or "none"
            raise unusable_file(path, "is not BiRefNet: its inputs and outputs differ.", f"{side}s: {told}")


def _onnx_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EspalierError(
            "engine_incomplete",
            "BiRefNet needs ONNX Runtime, which the engine's Python lacks. Press Install Engine to repair it.",
            str(error),
        ) from None
    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _no_memory(text: str) -> EspalierError:
    return EspalierError(
        "out_of_memory",
        "There is not enough memory for BiRefNet. Close other programs, or use an image with a transparent background.",
        text,
    )
