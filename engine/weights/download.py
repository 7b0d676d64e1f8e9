# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads model sets: asked for first, then fetched file by file, checked, and put in place whole.

Every file is looked up before the first byte is fetched, so a gate, a missing repository or a full disk shows at once
and not after 15 GB. A file is fetched into ``<name>.<checksum>.part`` and renamed when its checksum is right; both
survive a cut, whenever it comes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import EspalierError
from .dinov3_files import settle
from .models_folder import (
    RECEIPT,
    ModelsFolder,
    Progress,
    Say,
    digest,
    gigabytes,
    link_or_copy,
    read_receipt,
    write_receipt,
)
from .registry import Part, PublishedFile, PublishedSet
from .verify import check_content

if TYPE_CHECKING:
    from .hub import Hub, Remote

_FETCHES = 2


@dataclass(frozen=True)
class Wanted:
    """One file to be had: what the registry knows of it and what the hub said."""

    file: PublishedFile
    remote: Remote

    @property
    def checksum(self) -> str:
        """The SHA-256 that was published; else what the hub gives, a SHA-256 or that of a git blob."""
        return self.file.sha256 or (self.remote.checksum if len(self.remote.checksum) in (40, 64) else "")

    @property
    def checksum_kind(self) -> Literal["sha256", "git"]:
        return "git" if len(self.checksum) == 40 else "sha256"


def download(entries: Sequence[PublishedSet], models: ModelsFolder, say: Say, accepted: bool) -> None:
    """Download the sets that are not there yet. ``accepted``: whether the licences shown were agreed to.

    Raises EspalierError: "licence" before anything is fetched when they were not, "gated", "no_network", "hub",
    "no_space", "bad_weights". What arrived is kept for the next try.
    """
    missing = []
    for entry in entries:
        if models.is_complete(entry):
            say("present", f"{entry.name} is here already. “models verify {entry.name}” checks it.", set=entry.name)
        else:
            missing.append(entry)
    show_licences(missing, say)
    if missing and not accepted:
        raise EspalierError(
            "licence", "Nothing was downloaded yet: read the licences above, then run this with --accept-licence."
        )
    if not missing:
        return
    from .hub import Hub

    hub = Hub()
    with models.locked(f"the download of {', '.join(entry.name for entry in missing)}", say):
        # Another Blender may have fetched them while this one waited.
        missing = [entry for entry in missing if not models.is_complete(entry)]
        plans = [(entry, _look(entry, hub)) for entry in missing]
        lacking = sum(_lacking(entry, wanted, models) for entry, wanted in plans)
        if plans:
            models.check_space(lacking, " and ".join(entry.name for entry in missing))
        for entry, wanted in plans:
            _download(entry, wanted, models, hub, say)
    for needed in sorted({name for entry in entries for name in entry.needs} - {entry.name for entry in entries}):
        say("needs", f"This also needs {needed}: see “models list”.", set=needed)


def show_licences(entries: Sequence[PublishedSet], say: Say) -> None:
    """Tell the licence of each part of the sets."""
    for entry in entries:
        for part in entry.parts:
            size = sum(file.size for file in part.files)
            text = f"{entry.name}: {part.repository}{f', {gigabytes(size)}' if size else ''}: {part.licence.name}."
            say(
                "licence",
                f"{text} {part.licence.terms}",
                set=entry.name,
                repository=part.repository,
                revision=part.revision,
                size=size,
                **asdict(part.licence),
            )


def _look(entry: PublishedSet, hub: Hub) -> list[Wanted]:
    """Ask the hub for every file of a set."""
    wanted = []
    for part in entry.parts:
        # All files of a part come from the one commit that its first file was found at.
        revision = part.revision
        for file in part.files:
            remote = hub.look(part.repository, revision, file.source, entry.alternatives)
            if remote is None:
                if file.required:
                    raise EspalierError(
                        "hub",
                        f"{part.repository} has no file {file.source}. {_other_source(entry)}",
                        f"revision {part.revision}",
                    )
                continue
            if file.size and remote.size != file.size:
                raise _other_than_published(part, file, f"{remote.size} of {file.size} bytes")
            if file.sha256 and len(remote.checksum) == 64 and remote.checksum != file.sha256:
                raise _other_than_published(part, file, f"SHA-256 {remote.checksum}")
            revision = remote.commit
            wanted.append(Wanted(file, remote))
    return wanted


def _lacking(entry: PublishedSet, wanted: Sequence[Wanted], models: ModelsFolder) -> int:
    """The bytes of a set that are still to be written, with what a conversion of its layout writes again."""
    staging = models.staging(entry, "download")
    noted = read_receipt(staging).get("files", {})
    size = 0
    for item in wanted:
        done = noted.get(item.file.path, {}).get("source") == item.checksum
        there = staging / item.file.path if done else _partial(staging / item.file.path, item)
        size += item.remote.size - (there.stat().st_size if there.is_file() else 0)
        if entry.check == "image_encoder" and not item.file.sha256:
            size += item.remote.size
    return max(size, 0)


def _download(entry: PublishedSet, wanted: Sequence[Wanted], models: ModelsFolder, hub: Hub, say: Say) -> None:
    staging = models.staging(entry, "download")
    receipt: dict[str, Any] = {"set": entry.name, "files": read_receipt(staging).get("files", {})}
    progress = Progress(say, entry.name, "downloading", sum(item.remote.size for item in wanted))
    for item in wanted:
        progress.file = item.file.path
        target = models.target(staging, item.file.path)
        note = receipt["files"].get(item.file.path, {})
        if note.get("source") == item.checksum and target.is_file() and target.stat().st_size == item.remote.size:
            progress.skip(item.remote.size)
            continue
        sha256 = _reuse(models.place(entry) / item.file.path, target, item, progress)
        sha256 = sha256 or _fetch(target, item, hub, progress)
        receipt["files"][item.file.path] = {
            "size": item.remote.size,
            "sha256": sha256,
            "source": item.checksum,
            "repository": item.remote.repository,
            "revision": item.remote.commit,
        }
        write_receipt(staging, receipt)
    _drop_others(staging, [item.file.path for item in wanted])
    say(
        "progress",
        f"{entry.name}: checking",
        set=entry.name,
        stage="checking",
        done=progress.total,
        total=progress.total,
    )
    finish(entry, staging, models, receipt, [item.file.path for item in wanted if item.file.sha256])
    say("downloaded", f"{entry.name} is complete and verified.", set=entry.name, folder=str(models.place(entry)))


def finish(
    entry: PublishedSet, staged: Path, models: ModelsFolder, receipt: dict[str, Any], known: Sequence[str]
) -> None:
    """Check a complete set in its staging folder by content, note its checksums, and put it in place.

    ``known``: paths whose bytes are those that were published. Raises EspalierError of the check.
    """
    for file in entry.files:
        if file.stand_in is not None and not (staged / file.path).exists():
            shutil.copyfile(file.stand_in, staged / file.path)
    if entry.check == "image_encoder":
        settle(staged, entry.encoder or {})
    check_content(entry, staged, known)
    files = receipt["files"]
    for file in entry.files:
        path = staged / file.path
        if path.is_file():
            note = files.setdefault(file.path, {})
            if note.get("size") != path.stat().st_size or "sha256" not in note:
                note.update(size=path.stat().st_size, sha256=digest(path))
    receipt["files"] = {path: note for path, note in files.items() if (staged / path).is_file()}
    receipt["installed"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    write_receipt(staged, receipt)
    models.take_place(entry, staged)


def _reuse(old: Path, target: Path, item: Wanted, progress: Progress) -> str:
    """Take a file of the damaged or partial set in place if it is what it should be; return its SHA-256, or ""."""
    if not item.checksum or not old.is_file() or old.stat().st_size != item.remote.size:
        return ""
    found = digest(old, item.checksum_kind)
    if found != item.checksum:
        return ""
    link_or_copy(old, target)
    progress.skip(item.remote.size)
    return found if item.checksum_kind == "sha256" else digest(target)


def _fetch(target: Path, item: Wanted, hub: Hub, progress: Progress) -> str:
    """Fetch one file, from the start once more if its checksum is wrong; return its SHA-256."""
    partial = _partial(target, item)
    if partial.is_symlink():
        partial.unlink()
    if partial.is_file():
        progress.skip(partial.stat().st_size)
    for _ in range(_FETCHES):
        hub.fetch(item.remote, partial, progress)
        found = digest(partial, item.checksum_kind)
        if found == item.checksum or not item.checksum:
            partial.replace(target)
            return found if item.checksum_kind == "sha256" else digest(target)
        progress.skip(-partial.stat().st_size)
        partial.unlink()
    raise EspalierError(
        "bad_weights",
        f"The model file “{target.name}” arrived damaged twice and was refused. Try again later.",
        f"{item.remote.repository}, {item.remote.path}",
    )


def _drop_others(folder: Path, paths: Sequence[str]) -> None:
    """Delete what a cut download from elsewhere, or of an earlier state, left: it would go into place with the set."""
    kept = {folder / path for path in (*paths, RECEIPT)}
    for path in list(folder.rglob("*")):
        if path not in kept and (path.is_symlink() or not path.is_dir()):
            path.unlink()


def _partial(target: Path, item: Wanted) -> Path:
    """Where a file that is being fetched lies: its name says of which content it is a part."""
    return target.with_name(f"{target.name}.{(item.checksum or item.remote.commit)[:16]}.part")


def _other_source(entry: PublishedSet) -> str:
    return "Name another repository." if entry.alternatives else "Update Espalier."


def _other_than_published(part: Part, file: PublishedFile, hint: str) -> EspalierError:
    return EspalierError(
        "bad_weights",
        f"{part.repository} offers another {Path(file.source).name} than the published one, which was refused.",
        hint,
    )
