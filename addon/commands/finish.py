# SPDX-License-Identifier: GPL-3.0-or-later
"""``espalier finish``: generated objects finished again with other settings, without generating them anew."""

from __future__ import annotations

from pathlib import Path

from ..client import ClientError, JobStore
from ..history import generation_behind
from ..request import TEXTURE_SIZES, make_refinish_request
from .finishing import add_finishing, asked
from .generate import Generate, add_size
from .job_command import Input, add_output


def add_to(commands):
    """Add the command to the command line."""
    finish = commands.add_parser("finish", help="finish generated objects again with other settings")
    finish.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="JOBFOLDER",
        help="folder of a generation's job (OUTPUT/.espalier/jobs/*)",
    )
    add_size(finish)
    add_output(finish)
    finish.add_argument("--texture-size", type=int, choices=TEXTURE_SIZES, help="as it was, if left out")
    add_finishing(finish, again=True)
    finish.set_defaults(start=Finish)


class Finish(Generate):
    """Runs the command. What the options leave out is as it was; drafts become finished objects, unless asked for."""

    def tell_model(self):
        """No model works here."""

    def work(self):
        """Queue every folder, then make and write the objects."""
        self.total = len(self.options.folders)
        orders = {}
        for folder in self.options.folders:
            about = Input(folder.name, {"folder": str(folder)})
            job = self._submit_again(folder.absolute(), about)
            if job is not None:
                orders[job.id] = about
        self.pump(orders)

    def _submit_again(self, folder, about):
        """Store and queue one folder; None when there is nothing to finish in it, which has been reported then."""
        made = generation_behind(JobStore(folder.parent).read(folder))
        if made is None:
            sentence = f"{folder} is no job folder of a generated object with its voxels. Generate the object again."
            return self.refuse(about, "bad_input", sentence)
        settings = asked(self.options)
        if self.options.texture_size is not None:
            settings["texture_size"] = self.options.texture_size
        request = make_refinish_request(made.name, made.folder, made.request, settings)
        try:
            return self.queue.add(self.queue.store.create(request, None))
        except ClientError as error:
            return self.refuse(about, error.code, error.sentence)
