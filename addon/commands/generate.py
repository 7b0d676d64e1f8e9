# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier generate``: one object of each image."""

from __future__ import annotations

from pathlib import Path

from .. import cli
from ..client import ClientError
from ..request import make_request, new_seed, object_name
from ..stages import duration
from .finishing import MOST_LODS, add_finishing, asked
from .job_command import Input, JobCommand, add_options


def add_to(commands):
    """Add the command to the command line."""
    generate = commands.add_parser("generate", help="make one object of each image")
    generate.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a picture of one object")
    add_size(generate)
    add_options(generate, "generate", texture_size=1024)
    add_finishing(generate, again=False)
    generate.set_defaults(start=Generate)


def add_size(command):
    """Add the argument about the size of the object."""
    command.add_argument(
        "--size", type=cli.length, default=1.0, metavar="M", help="longest side in metres (default: 1)"
    )


class Generate(JobCommand):
    """Runs the command."""

    def work(self):
        """Queue every image, then make and write the objects."""
        self.total = len(self.options.images)
        orders = {}
        for image in self.options.images:
            job = self._submit(image)
            if job is not None:
                orders[job.id] = _input(image)
        self.pump(orders)

    def finish(self, job, about):
        """Write the object to a file of its own."""
        from ..scene import export
        from ..scene.asset import BadResult

        stored = self.queue.store.read(job.folder)
        target = export.unused(self.options.output.absolute() / f"{job.name}.{self.options.format}")
        try:
            faces = export.write(job.folder, stored.request, job.id, target, self.options.size)
            self.queue.mark_built(job.id)
        except BadResult as error:
            return self.refuse(about, "bad_result", str(error))
        except OSError as error:
            return self.refuse(about, "not_writable", f"{target} cannot be written: {error.strerror or error}.")
        except ClientError as error:
            return self.refuse(about, error.code, error.sentence)
        seconds = round(sum(job.seconds.values()), 1)
        lods = [str(path) for path in export.lod_files(target, MOST_LODS) if path.is_file()]
        made = f"{faces} faces" + (f" and {len(lods)} LOD{'s' * (len(lods) > 1)}" if lods else "")
        self.reporter.event(
            "finished",
            text=f"{about.label}: {target}, {made}, {duration(seconds)}",
            **about.fields,
            file=str(target),
            lods=lods,
            job=job.id,
            seed=stored.request.get("seed"),
            faces=faces,
            seconds=job.seconds,
        )

    def _submit(self, image):
        """Store and queue one image; None when it cannot be read, which has been reported then."""
        from ..scene.pixels import BadImage, source_of_file

        seed = new_seed() if self.options.random_seed else self.options.seed
        wanted = {**self.choices(), **asked(self.options)}
        request = make_request(object_name(image.name), image.name, seed, **wanted)
        try:
            source, suffix = source_of_file(image.absolute())
            return self.queue.add(self.queue.store.create(request, source, suffix))
        except BadImage as error:
            self.refuse(_input(image), "bad_input", str(error))
        except ClientError as error:
            self.refuse(_input(image), error.code, error.sentence)
        return None


def _input(image):
    return Input(image.name, {"image": str(image)})
