# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier texture``: the mesh objects of each file painted after one image."""

from __future__ import annotations

from pathlib import Path

from ..client import ClientError
from ..request import make_texture_request, new_seed
from .job_command import Input, JobCommand, add_options


def add_to(commands):
    """Add the command to the command line."""
    texture = commands.add_parser("texture", help="paint the objects of each file after an image")
    texture.add_argument(
        "meshes", nargs="+", type=Path, metavar="MESH", help="a .blend, .glb, .gltf, .obj, .ply, .stl or .fbx file"
    )
    texture.add_argument("--image", type=Path, required=True, metavar="IMAGE", help="what the objects shall look like")
    add_options(texture, "texture", texture_size=1024)
    texture.set_defaults(start=TextureFiles)


class TextureFiles(JobCommand):
    """Runs the command: one file after the other is opened, its objects are painted, and it is written anew."""

    def __init__(self, options, reporter):
        super().__init__(options, reporter)
        # What applying a job's result has to know, and what to tell: by the job's id.
        self.targets: dict[str, tuple[dict, tuple[str, ...]]] = {}
        self.done: list[str] = []

    def work(self):
        """Go through the files."""
        from ..scene.pixels import BadImage, source_of_file

        image = self.options.image.absolute()
        try:
            if not image.is_file():
                raise BadImage(f"The image {image} does not exist. Choose another one.")
            source, suffix = source_of_file(image)
        except BadImage as error:
            self.total = 1
            return self.refuse(Input(image.name, {"image": str(image)}), "bad_input", str(error))
        for mesh in self.options.meshes:
            self._texture_file(mesh, source, suffix)

    def finish(self, job, about):
        """Put the texture on its object."""
        from ..scene import Provenance
        from ..scene.asset import BadResult, read_texture
        from ..scene.extract import Refused
        from ..scene.library import describe, mark_asset
        from ..scene.retexture import apply_texture, find_object

        (target, notes), stored = self.targets[job.id], self.queue.store.read(job.folder)
        item = find_object(about.fields["object"])
        try:
            texture, provenance = read_texture(job.folder), Provenance.of(stored.request, job.id)
            _, layer, more = apply_texture(item, texture, target, job.folder, provenance)
            if self.options.format == "blend":
                mark_asset(item, stored.preview, describe(provenance))
            self.queue.mark_built(job.id)
        except (BadResult, Refused) as error:
            return self.refuse(about, "bad_result", str(error))
        except ClientError as error:
            return self.refuse(about, error.code, error.sentence)
        self.done.append(item.name)
        notes = (*notes, *more)
        self.reporter.event(
            "textured",
            text=" ".join([f"{about.label}: textured.", *notes]),
            **about.fields,
            job=job.id,
            seed=stored.request.get("seed"),
            uv_layer=layer,
            notes=notes,
            seconds=job.seconds,
        )

    def _texture_file(self, mesh, source, suffix):
        from ..scene.open_mesh import BadMesh, open_instead

        about = Input(mesh.name, {"mesh": str(mesh)})
        try:
            items = open_instead(mesh.absolute())
        except BadMesh as error:
            self.total += 1
            return self.refuse(about, "bad_input", str(error))
        self.total += len(items)
        self.targets, self.done = {}, []
        orders = {}
        for item in items:
            part = Input(f"{mesh.name}, {item.name}", {**about.fields, "object": item.name})
            job = self._submit(part, item, source, suffix)
            if job is not None:
                orders[job.id] = part
        self.pump(orders)
        if self.done:
            self._write(about, mesh)

    def _submit(self, about, item, source, suffix):
        """Store and queue the job of one object; None when it cannot be textured, which has been reported then."""
        from ..scene.extract import Refused, extract

        seed = new_seed() if self.options.random_seed else self.options.seed
        try:
            subject = extract(item, self.options.texture_size)
            request = make_texture_request(item.name, self.options.image.name, seed, subject.target(), **self.choices())
            job = self.queue.add(self.queue.store.create(request, source, suffix, subject.files()))
        except Refused as error:
            return self.refuse(about, "bad_input", str(error))
        except ClientError as error:
            return self.refuse(about, error.code, error.sentence)
        self.targets[job.id] = subject.target(), subject.notes
        return job

    def _write(self, about, mesh):
        from ..scene import export
        from ..scene.asset import BadResult

        target = export.unused(self.options.output.absolute() / f"{mesh.stem}.{self.options.format}")
        try:
            export.write_open_file(target)
        except (BadResult, OSError) as error:
            # The file counts for all the objects in it.
            self.failed += len(self.done) - 1
            reason = f"{error.strerror or error}." if isinstance(error, OSError) else error
            return self.refuse(about, "not_writable", f"{target} cannot be written: {reason}")
        text = f"{about.label}: {target}, {len(self.done)} textured"
        self.reporter.event("finished", text=text, **about.fields, file=str(target), objects=self.done)
