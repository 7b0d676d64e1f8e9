# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of both jobs need: a progress report that remembers, a picture, job folders."""

import io

import numpy as np
from espalier.engine.errors import Cancelled
from espalier.engine.jobs import JobFolder
from PIL import Image


class Report:
    """Remembers what a job reports; cancels it at the first finished step of the stage ``cancel_at``."""

    def __init__(self, cancel_at=None):
        self.steps, self.told, self.previews, self.logs, self.cancel_at = [], [], [], [], cancel_at

    def __call__(self, stage, step, of):
        self.steps.append((stage, step, of))
        if stage == self.cancel_at and step:
            raise Cancelled

    def tell(self, text):
        self.told.append(text)

    def preview(self, stage, file):
        self.previews.append(file)

    def log(self, level, text):
        self.logs.append(text)

    def stages(self):
        """The stages in the order in which they began; each has to begin with step 0 and to go on."""
        found = list(dict.fromkeys(stage for stage, _, _ in self.steps))
        for stage in found:
            steps = [step for name, step, _ in self.steps if name == stage]
            assert steps[0] == 0
            assert steps == sorted(steps)
        return found


def picture(colour=(200, 40, 30)):
    """The PNG file of a rectangle of one colour on a transparent ground."""
    pixels = np.zeros((80, 80, 4), np.uint8)
    pixels[15:65, 20:60] = (*colour, 255)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def make_job(store, tiny_set, name="job", data=None, **changes):
    """A waiting job of the kind "generate" on the tiny set; ``changes`` replace entries of its request."""
    source = store / f"{name}.png"
    source.write_bytes(picture() if data is None else data)
    request = {
        "kind": "generate",
        "settings": {"quality": "starter", "texture_size": 128, "faces": 500},
        "seed": 7,
        "model": {"set": "tiny", "path": str(tiny_set)},
        "online": False,
        "name": "thing",
        "image": "thing.png",
        **changes,
    }
    return JobFolder.create(store, request, source, name)
