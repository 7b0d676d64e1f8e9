# SPDX-License-Identifier: GPL-3.0-or-later
"""From an object back to the job that made it."""

from pathlib import Path, PurePath

from . import ids, preferences
from .client import JobStore
from .client.store import StoredJob

VOXELS_FILE = "voxels.safetensors"


def is_job_name(name: str) -> bool:
    """Whether a text can be the name of a job: one without a path."""
    return name not in ("", ".", "..") and PurePath(name).name == name and "\0" not in name


def job_of(item) -> StoredJob | None:
    """The job that an object's mesh was built from, when its folder is in our store; None otherwise."""
    name = item.get(ids.PROP_JOB)
    # What a file says is not to be trusted.
    if not isinstance(name, str) or not is_job_name(name):
        return None
    store = JobStore(preferences.data() / "jobs")
    stored = store.read(store.folder / name)
    return stored if stored.request else None


def generation_of(item) -> StoredJob | None:
    """The generation whose voxels the object is made of, when they are still there; None otherwise."""
    stored = job_of(item)
    return None if stored is None else generation_behind(stored)


def generation_behind(stored: StoredJob) -> StoredJob | None:
    """The generation that a job is, or finished again, when its voxels are still there; None otherwise."""
    if stored.request.get("kind") == "refinish":
        source = Path(str(stored.request.get("source", "")))
        stored = JobStore(source.parent).read(source)
    if stored.request.get("kind") != "generate" or not (stored.folder / VOXELS_FILE).is_file():
        return None
    return stored
