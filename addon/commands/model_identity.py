# SPDX-License-Identifier: GPL-3.0-or-later
"""Which weights made a result: the revision and SHA-256 of every file of a model set."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ...engine import protocol
from .. import preferences

# The note that a download or an import leaves in the folder of a set: what was verified.
_RECEIPT = "espalier.json"
_KINDS = {".json", ".safetensors", ".onnx"}
_BLOCK = 4 << 20


class ModelIdentity:
    """Identifies model sets. ``notes`` is a file that keeps the checksums of weights from one run to the next, valid
    while their size and time of change are the same: reading 16 GB takes a minute.
    """

    def __init__(self, notes: Path):
        self._notes = notes
        self._known: dict[Path, dict] = {}

    def of(self, folder: Path | None) -> dict:
        """What identifies the set in ``folder`` (None: the starter): ``sha256`` over all files, the SHA-256 of each,
        and the ``revisions`` it was downloaded in. Raises OSError.
        """
        folder = folder or preferences.STARTER_FOLDER
        if folder not in self._known:
            self._known[folder] = self._identify(folder)
        return self._known[folder]

    def beside(self, models: Path) -> dict:
        """The other sets in the folder of downloaded models, which a set may need, by their names: ``sha256`` and
        ``revisions``. Only what a receipt says.
        """
        receipts = {path.parent.name: _receipt(path.parent) for path in models.glob(f"*/{_RECEIPT}")}
        return {
            name: {
                "sha256": digest_of({path: file.get("sha256") for path, file in files.items()}),
                "revisions": _revisions(files),
            }
            for name, files in receipts.items()
        }

    def _identify(self, folder):
        noted = _receipt(folder)
        sums = {}
        for path in sorted(folder.rglob("*")):
            if path.suffix in _KINDS and path.name != _RECEIPT and path.is_file():
                name = path.relative_to(folder).as_posix()
                note = noted.get(name, {})
                is_noted = note.get("size") == path.stat().st_size and isinstance(note.get("sha256"), str)
                sums[name] = note["sha256"] if is_noted else self._digest(path)
        return {"sha256": digest_of(sums), "revisions": _revisions(noted), "files": sums}

    def _digest(self, path):
        status = path.stat()
        key = f"{path} {status.st_size} {status.st_mtime_ns}"
        notes = protocol.read_json(self._notes) or {}
        if not isinstance(notes.get(key), str):
            notes[key] = digest(path)
            self._notes.parent.mkdir(parents=True, exist_ok=True)
            protocol.write_json(self._notes, notes, sync=False)
        return notes[key]


def digest(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal. Raises OSError."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return state.hexdigest()


def digest_of(value) -> str:
    """The SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("ascii")).hexdigest()


def _receipt(folder):
    """The files of a set by their names as its receipt tells them; {} without a usable one."""
    files = (protocol.read_json(folder / _RECEIPT) or {}).get("files")
    files = files if isinstance(files, dict) else {}
    return {name: file for name, file in files.items() if isinstance(file, dict)}


def _revisions(files):
    named = {file["repository"]: file.get("revision") for file in files.values() if "repository" in file}
    return dict(sorted(named.items()))
