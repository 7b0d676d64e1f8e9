# SPDX-License-Identifier: GPL-3.0-or-later
"""What a row of a batch asks of the engine, and what Blender writes of it."""

from __future__ import annotations

import datetime
import platform
import shutil
import time
from dataclasses import dataclass, field
from typing import Any

import bpy

from ...engine import protocol
from .. import cli, preferences
from ..client import ClientError, JobStore
from ..client.store import StoredJob
from ..history import VOXELS_FILE, generation_behind, is_job_name
from ..request import STARTER, make_refinish_request, make_request, make_texture_request
from ..scene import Provenance, export
from ..scene.asset import BadResult, read_texture
from ..scene.extract import Refused, extract
from ..scene.library import describe, mark_asset
from ..scene.open_mesh import BadMesh, open_instead
from ..scene.pixels import BadImage, source_of_file
from ..scene.retexture import apply_texture
from .manifest import Row
from .model_identity import digest, digest_of

# Texels along a side of the maps of a texture whose row does not say: UVs are made for a size.
TEXTURE_SIZE = 1024
# What a job leaves that is the same for the same request on every machine of one kind.
_COMPARED = (".npz", ".png")


@dataclass
class Made:
    """The finished jobs of a row and the machine of each; ``write`` turns them into files."""

    row: Row
    asked: dict
    jobs: list[StoredJob] = field(default_factory=list)
    machines: list[dict | None] = field(default_factory=list)
    # Of a texture: the objects of the open file, and what applying it has to know.
    targets: list[tuple[Any, dict]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def write(self, folder, result, began):
        """Write output and preview into ``folder`` under the names of their places and return the row's record. Raises
        BadResult, Refused, OSError.
        """
        first, path = self.jobs[0], folder / result.target.name
        if self.targets:
            faces = self._write_textured(path)
        else:
            faces = export.write_as_it_goes(first.folder, first.request, first.id, path, self.row.size)
        if first.preview is not None:
            shutil.copyfile(first.preview, folder / result.preview.name)
        return self._record(faces, began)

    def _write_textured(self, path):
        """Put the textures on the objects of the open file, and write it."""
        for job, (item, target) in zip(self.jobs, self.targets):
            provenance = Provenance.of(job.request, job.id)
            apply_texture(item, read_texture(job.folder), target, job.folder, provenance)
            if path.suffix == ".blend":
                mark_asset(item, job.preview, describe(provenance))
        faces = sum(len(item.data.polygons) for item, _ in self.targets)
        export.write_open_file_as_it_goes(path)
        # What the next row makes must not find its names taken.
        bpy.ops.wm.read_homefile(use_empty=True)
        return faces

    def _record(self, faces, began):
        row, request = self.row, self.jobs[0].request
        stages = {stage: 0.0 for job in self.jobs for stage in job.seconds}
        for job in self.jobs:
            stages = {stage: round(seconds + job.seconds.get(stage, 0.0), 3) for stage, seconds in stages.items()}
        return {
            "line": row.line,
            "kind": row.kind,
            "name": row.name,
            "seed": request.get("seed"),
            "settings": request.get("settings"),
            "size": row.size,
            "inputs": self.asked["inputs"],
            "model": {**(request.get("model") or {}), **self.asked["model"]},
            "faces": faces,
            "notes": self.notes,
            "jobs": [job.id for job in self.jobs],
            "results": {job.id: _sums(job.folder) for job in self.jobs},
            "seconds": stages,
            "began": _stamp(began),
            "ended": _stamp(time.time()),
            "machines": self.machines,
            "writer": {"host": platform.node(), "blender": bpy.app.version_string, "python": platform.python_version()},
        }


class RowJobs:
    """Makes and runs the jobs of rows for the command ``batch``.

    A job that is finished is noted by what it was made of, so that a row whose files are missing, or that is wanted in
    another kind of file, is written again without being computed again.
    """

    def __init__(self, batch):
        self.batch = batch
        self._ended: dict[str, dict] = {}

    def ask(self, row):
        """What the engine's part of a row depends on: the SHA-256 of its files and of its model, seed and settings.

        Raises OSError.
        """
        return {
            "kind": row.kind,
            "inputs": _inputs(row),
            "seed": row.seed,
            "settings": row.settings,
            "model": {} if row.kind == "finish" else self.batch.identity.of(self.batch.model_folder(row)),
        }

    def make(self, row, asked, about):
        """Run what the row asks for and return it as Made; None when it failed, which has been reported then.

        Raises what ``FAILURES`` names.
        """
        made = Made(row, dict(asked))
        kinds = {"generate": self._generate, "texture": self._texture, "finish": self._finish}
        for part, request, *files in kinds[row.kind](row, made):
            finished = self._run(about, digest_of({**asked, "part": part}), request, files)
            if finished is None:
                return None
            job, note = finished
            made.jobs.append(job)
            made.machines.append(note.get("machine"))
            made.notes.extend(note.get("notes", []))
        if row.kind != "finish":
            made.asked["model"] = {**asked["model"], "beside": self.batch.identity.beside(_models())}
        return made

    def finish(self, job):
        """Note that a job has ended well, on which machine, and what there was to be told of it."""
        hello = self.batch.queue.engine.hello or {}
        facts = {name: hello.get(name) for name in ("python", "torch", "device", "memory")}
        machine = {"host": platform.node(), "system": platform.platform(), "espalier": hello.get("version"), **facts}
        self._ended[job.id] = {"job": job.id, "machine": machine, "notes": list(job.notes)}

    def mark_built(self, made):
        """Record that the results of the jobs stand in a file. Raises ClientError."""
        for job in made.jobs:
            self.batch.queue.mark_built(job.id)

    def _generate(self, row, _made):
        request = make_request(row.name, row.image.name, row.seed, **self._choices(row))
        yield "", {**request, "settings": row.settings}, *source_of_file(row.image)

    def _texture(self, row, made):
        source, suffix = source_of_file(row.image)
        settings = {"texture_size": TEXTURE_SIZE, **row.settings}
        for item in open_instead(row.mesh):
            subject = extract(item, settings["texture_size"])
            target = subject.target()
            request = make_texture_request(item.name, row.image.name, row.seed, target, **self._choices(row))
            made.targets.append((item, target))
            made.notes.extend(subject.notes)
            yield item.name, {**request, "settings": settings}, source, suffix, subject.files()

    def _finish(self, row, _made):
        before = generation_behind(JobStore(row.source.parent).read(row.source))
        yield "", make_refinish_request(row.name, before.folder, before.request, {"draft": False, **row.settings}), None

    def _run(self, about, key, request, files):
        """Run one job, or find it finished; return it and what ``finish`` noted of it, or None when it failed."""
        queue = self.batch.queue
        file = self.batch.output / cli.JOBS_FOLDER / "rows" / f"{key}.json"
        note = protocol.read_json(file) if self.batch.options.resume else None
        name = note.get("job") if note is not None else None
        if isinstance(name, str) and is_job_name(name):
            job = queue.store.read(queue.store.folder / name)
            if job.state in (protocol.FINISHED, protocol.BUILT):
                return job, note
        stored = queue.store.create(request, *files)
        queue.add(stored)
        self.batch.pump({stored.id: about})
        note = self._ended.pop(stored.id, None)
        if note is None:
            return None
        file.parent.mkdir(parents=True, exist_ok=True)
        protocol.write_json(file, note, sync=False)
        return queue.store.read(stored.folder), note

    def _choices(self, row):
        folder = self.batch.model_folder(row)
        return {
            "model": STARTER if folder is None else folder.name,
            "model_path": folder,
            "models_folder": _models(),
        }


# What making or writing a row may raise that is no fault of ours.
FAILURES = (BadImage, BadMesh, BadResult, Refused, ClientError, OSError)


def explain(error, target):
    """Code, sentence and hint of one of ``FAILURES``, met while making the file ``target``."""
    if isinstance(error, ClientError):
        return error.code, error.sentence, error.hint
    if isinstance(error, OSError):
        return "not_writable", f"{error.filename or target}: {error.strerror or error}.", ""
    return "bad_result" if isinstance(error, BadResult) else "bad_input", str(error), ""


def _models():
    return preferences.data() / "models"


def _inputs(row):
    """The SHA-256 of each file that a row is made of."""
    files = {"image": row.image, "mesh": row.mesh}
    if row.source is not None:
        files["voxels"] = generation_behind(JobStore(row.source.parent).read(row.source)).folder / VOXELS_FILE
    return {what: digest(path) for what, path in files.items() if path is not None}


def _sums(folder):
    """The SHA-256 of arrays and maps of a job's result, to compare with another machine's."""
    return {path.name: digest(path) for path in sorted(folder.iterdir()) if path.suffix in _COMPARED}


def _stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="seconds")
