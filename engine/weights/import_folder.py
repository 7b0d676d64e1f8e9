# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes model sets from folders that came from elsewhere: another computer's models, clones of the repositories.

The folders stay as they are: files are hard-linked where the file system can, else copied, and checked before they take
the place of anything.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import EspalierError
from .download import finish
from .models_folder import RECEIPT, ModelsFolder, Progress, Say, link_or_copy
from .registry import SETS, Part, PublishedFile, PublishedSet
from .safetensors_file import SafetensorsFile
from .verify import check_checksum, check_presence


def recognise(folders: Sequence[Path], sets: Sequence[PublishedSet] = SETS) -> list[PublishedSet]:
    """The sets of which the folders hold something. Raises EspalierError("bad_input") when there is none."""
    for folder in folders:
        if not folder.is_dir():
            raise EspalierError("bad_input", f"{folder} is not a folder. Name the folder that holds the model's files.")
    found = [entry for entry in sets if _sources(entry, folders, marks_only=True)]
    if not found:
        names = "; ".join(f"{entry.name}: {entry.files[0].path}, ..." for entry in sets)
        raise EspalierError(
            "bad_input",
            f"{', '.join(map(str, folders))}: no model set was recognised here. Name the folder that holds its files.",
            names,
        )
    return found


def import_set(entry: PublishedSet, folders: Sequence[Path], models: ModelsFolder, say: Say) -> None:
    """Bring a set from ``folders`` into the models folder.

    Raises EspalierError ("bad_weights", "bad_config", "no_space") naming the file at fault, with the set that was in
    place untouched.
    """
    if entry.check == "image_encoder":
        entry = _any_source(entry)
    sources = _sources(entry, folders)
    for file in entry.files:
        if file.path in sources:
            check_presence(sources[file.path], file.size)
            if file.path.endswith(".safetensors"):
                SafetensorsFile(sources[file.path])
        elif file.required:
            raise EspalierError(
                "bad_weights",
                f"{entry.name} is not complete: the file “{file.path}” is missing. Copy it too, or name its folder as "
                "well.",
                f"looked in {', '.join(map(str, folders))}",
            )
    total = sum(path.stat().st_size for path in sources.values())
    with models.locked(f"the import of {entry.name}", say):
        place = models.place(entry)
        if any(path.resolve().is_relative_to(place.resolve()) for path in sources.values()):
            raise EspalierError("bad_input", f"{place} is where {entry.name} lies already. “models verify” checks it.")
        models.check_space(total, entry.name)
        staged = models.staging(entry, "import")
        try:
            _import(entry, sources, staged, models, Progress(say, entry.name, "importing", 2 * total))
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    say("imported", f"{entry.name} was imported and verified.", set=entry.name, folder=str(models.place(entry)))


def _import(
    entry: PublishedSet, sources: dict[str, Path], staged: Path, models: ModelsFolder, progress: Progress
) -> None:
    (staged / RECEIPT).unlink(missing_ok=True)
    files: dict[str, Any] = {}
    known = []
    for file in entry.files:
        if file.path not in sources:
            continue
        progress.file = file.path
        target = models.target(staged, file.path)
        link_or_copy(sources[file.path], target, progress)
        sha256 = check_checksum(target, file.sha256, progress)
        files[file.path] = {"size": target.stat().st_size, "sha256": sha256, "source": str(sources[file.path])}
        if file.sha256:
            known.append(file.path)
    finish(entry, staged, models, {"set": entry.name, "files": files}, known)


def _sources(entry: PublishedSet, folders: Sequence[Path], marks_only: bool = False) -> dict[str, Path]:
    """Where the files of a set lie in the folders, by their path in the set.

    ``marks_only``: those alone by which the set is recognised, the ones with a checksum of their own.
    """
    found: dict[str, Path] = {}
    for part in entry.parts:
        for file in part.files:
            if marks_only and not file.sha256:
                continue
            for folder in folders:
                here = next((path for path in _candidates(entry, part, file, folder) if path.is_file()), None)
                if here is not None:
                    found.setdefault(file.path, here)
    return found


def _candidates(entry: PublishedSet, part: Part, file: PublishedFile, folder: Path) -> Iterator[Path]:
    """Where a file may lie below ``folder``: as in a set of ours, in a models folder, in a clone, in one of several."""
    yield folder / file.path
    yield folder / entry.folder / file.path
    yield folder / file.source
    for repository in (part.repository, *entry.alternatives):
        yield folder / repository / file.source
        yield folder / PurePosixPath(repository).name / file.source


def _any_source(entry: PublishedSet) -> PublishedSet:
    """An image encoder whose files are judged by what they hold: its folder may have either layout."""
    parts = tuple(
        replace(
            part,
            files=tuple(PublishedFile(f.path, f.source, required=f.path.endswith(".safetensors")) for f in part.files),
        )
        for part in entry.parts
    )
    return replace(entry, parts=parts)
