# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks the files of a model set: against checksums where there are any, else by what they hold.

By what they hold means: the configuration can be used, every network it names can be built, and its checkpoint has
exactly the network's tensors, in their shapes, with finite values (spec/models.md 11). Networks are built without
memory, on torch's meta device, and one tensor is read at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import EspalierError, unusable_file
from ..models.dinov3 import DINOv3Config
from ..models.registry import build_model
from .checkpoint import describe_checkpoint, fill
from .configuration import read_configuration
from .dinov3_files import check_config
from .models_folder import ModelsFolder, Progress, Say, digest, read_receipt, write_receipt
from .registry import STARTER_FOLDER, WEIGHTS, PublishedFile, PublishedSet
from .safetensors_file import SafetensorsFile

Seen = Callable[[int], Any]


def _nobody(_count: int) -> None:
    """Nobody counts the bytes."""


class _Described(SafetensorsFile):
    """A checkpoint of which only the table of contents is read."""

    def read(self, name: str) -> Tensor:
        entry = self.entries[name]
        return torch.empty(entry.shape, dtype=entry.dtype, device="meta")


class _Read(SafetensorsFile):
    """A checkpoint that tells how many bytes of it were read."""

    def __init__(self, path: Path, seen: Seen) -> None:
        super().__init__(path)
        self._seen = seen

    def read(self, name: str) -> Tensor:
        tensor = super().read(name)
        self._seen(tensor.nbytes)
        return tensor


def check_presence(path: Path, size: int = 0) -> None:
    """Raise EspalierError("bad_weights") unless the file is there, has content, and ``size`` bytes if that is known."""
    if not path.is_file():
        raise unusable_file(path, "is missing.")
    found = path.stat().st_size
    if found == 0:
        raise unusable_file(path, "is empty.")
    if size and found != size:
        raise unusable_file(
            path, "is truncated." if found < size else "is another file than the published one.", f"{found} of {size} B"
        )


def check_checksum(path: Path, expected: str, seen: Seen = _nobody) -> str:
    """Compare a file with its SHA-256 or git checksum and return the former. Raises EspalierError("bad_weights")."""
    found = digest(path, "sha256", seen)
    git = len(expected) == 40
    if expected and (digest(path, "git") if git else found) != expected:
        raise unusable_file(path, "is damaged, or another one than the published.", f"SHA-256: {found}")
    return found


def check_content(entry: PublishedSet, folder: Path, known: Collection[str], seen: Seen = _nobody) -> None:
    """Check by what its files hold that ``folder`` has the set ``entry``.

    ``known``: paths whose checksum was right; of these the values are not read again. Raises EspalierError
    ("bad_weights" or "bad_config") with the name of the file at fault.
    """
    if entry.check == "networks":
        check_networks(folder, [file.path for file in entry.files], known, seen)
    elif entry.check == "image_encoder":
        check_config(folder, entry.encoder or {})
        args = dict(vars(DINOv3Config.from_published(dict(entry.encoder or {}))))
        check_network("DINOv3ViT", args, folder / WEIGHTS, WEIGHTS not in known, seen)


def check_networks(
    folder: Path, paths: Collection[str] = (), known: Collection[str] = (), seen: Seen = _nobody
) -> None:
    """Check every network that the configuration in ``folder`` names, and the checkpoints among ``paths``."""
    config = read_configuration(folder)
    stems = {path.removesuffix(".safetensors") for path in paths if path.endswith(".safetensors")}
    stems |= set(config.models.values())
    if config.image_encoder.name == "DINOv3ViT":
        stems.add(config.image_encoder.path)
    for stem in sorted(stems):
        name, args, weights = describe_checkpoint(folder / stem)
        check_network(name, args, weights, f"{stem}.safetensors" not in known, seen)


def check_network(name: str, args: dict[str, Any], weights: Path, values: bool, seen: Seen = _nobody) -> None:
    """Check that the file ``weights`` fills the network ``name`` exactly, and with ``values`` that all are finite."""
    with torch.device("meta"):
        model = build_model(name, args)
    fill(model, _Read(weights, seen) if values else _Described(weights), torch.device("meta"))


def verify_set(entry: PublishedSet, models: ModelsFolder, say: Say) -> None:
    """Check a set of the models folder whole, against its receipt and what was published, and note the outcome.

    Raises EspalierError("missing_model"), or "bad_weights" naming every file at fault.
    """
    folder = models.place(entry)
    if not folder.is_dir():
        raise EspalierError("missing_model", f"{entry.name} is not in {models.path}. Download or import it first.")
    receipt = read_receipt(folder)
    noted = receipt.get("files", {})
    total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    progress = Progress(say, entry.name, "verifying", total)
    files: dict[str, Any] = {}
    known: list[str] = []
    problems: list[str] = []
    for file in entry.files:
        path = folder / file.path
        if not file.required and not path.exists() and file.path not in noted:
            continue
        progress.file = file.path
        size, sha256 = expected(file, noted)
        try:
            check_presence(path, size)
            found = check_checksum(path, sha256, progress)
        except EspalierError as error:
            problems.append(error.sentence)
            say("damaged", f"{entry.name}: {error.sentence}", set=entry.name, file=file.path, hint=error.hint)
            continue
        files[file.path] = {**noted.get(file.path, {}), "size": path.stat().st_size, "sha256": found}
        if sha256:
            known.append(file.path)
    if not problems:
        try:
            check_content(entry, folder, known)
        except EspalierError as error:
            problems.append(error.sentence)
    if receipt or not problems:
        write_receipt(folder, {**receipt, "set": entry.name, "files": {**noted, **files}, "damaged": problems})
    if problems:
        raise EspalierError(
            "bad_weights",
            f"{entry.name}: {problems[0]}",
            " ".join([f"“models download {entry.name}” fetches only what is bad.", *problems[1:]]),
        )
    say("verified", f"{entry.name}: all files are as they should be.", set=entry.name, files=len(files))


def verify_starter(say: Say) -> None:
    """Check the model that came with the extension. Raises EspalierError with the name of the file at fault."""
    check_networks(STARTER_FOLDER)
    say("verified", "starter: all files are as they should be.", set="starter")


def expected(file: PublishedFile, noted: dict[str, Any]) -> tuple[int, str]:
    """Size and SHA-256 that a file of a set in place must have: those of its receipt, else those published."""
    note = noted.get(file.path)
    if isinstance(note, dict) and isinstance(note.get("size"), int) and isinstance(note.get("sha256"), str):
        return note["size"], note["sha256"]
    return file.size, file.sha256
