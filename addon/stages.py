# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of a job as people read them."""

# Name, and the share of the whole that is usually done when the stage begins: for the first run on a machine, when the
# engine cannot know yet how long each stage takes.
STAGES = {
    "prepare": ("Preparing the image", 0.0),
    "condition": ("Reading the image", 0.05),
    # A mesh that is textured is read; one that is generated has structure and shape instead.
    "encode": ("Reading the mesh", 0.1),
    "structure": ("Structure", 0.12),
    "shape": ("Shape", 0.25),
    "material": ("Material", 0.5),
    "decode": ("Surface", 0.65),
    "finish": ("Finishing", 0.75),
}


def label(stage):
    """The name of a stage; one that is unknown here speaks for itself."""
    return STAGES[stage][0] if stage in STAGES else stage.replace("_", " ").capitalize()


def overall(stage, step, of):
    """How much of the whole is done, from 0 to 1, judged by the stage alone."""
    starts = [start for _, start in STAGES.values()] + [1.0]
    if stage not in STAGES:
        return 0.0
    index = list(STAGES).index(stage)
    return starts[index] + (starts[index + 1] - starts[index]) * min(step / max(of, 1), 1.0)


def duration(seconds):
    """A length of time as people say it: ``45 s``, ``2 min 10 s``."""
    seconds = max(0, round(seconds))
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min {seconds % 60:02d} s"
