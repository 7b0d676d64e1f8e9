# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a job takes on this computer and how much memory: what earlier ones of its kind took."""

from itertools import islice
from statistics import median

from .client.shelf import Shelf
from .languages import iface_
from .samplers import STEPS
from .stages import duration

# Of the newest runs, for drivers and settings change.
RUNS = 9


def expectation(shelf: Shelf | None, kind: str, model: str, quality: str, samplers=None, own=None) -> str:
    """A line such as ``About 12 s, 0.9 GB, as before``; "" when there was no such job yet.

    ``kind`` is "generate" or "texture", ``model`` the name of a set and ``quality`` the kind it knows. ``samplers`` are
    those of the request, ``own`` what the model does by itself (``samplers_of``): with other steps than an earlier job
    had, its stages are counted as so much longer.
    """
    jobs = (entry.job for entry in shelf.ended()) if shelf is not None else ()
    runs = list(islice((job for job in jobs if _is_like(job, kind, model, quality)), RUNS))
    if not runs:
        return ""
    taken = duration(median(_seconds(job, samplers or {}, own or {}) for job in runs))
    peaks = [peak for job in runs if (peak := job.peak_memory.get("device", job.peak_memory.get("host", 0)))]
    if not peaks:
        return iface_("About {duration}, as before", duration=taken)
    size = median(peaks) / 2**30
    return iface_("About {duration}, {size:.1f} GB, as before", duration=taken, size=size)


def _seconds(job, samplers, own):
    """What the job took, with the steps of ``samplers`` in place of its own."""
    before = job.request["settings"].get("samplers")
    total = 0.0
    for stage, seconds in job.seconds.items():
        then, now = (_steps(each, stage, own) for each in (before, samplers))
        total += seconds * now / then
    return total


def _steps(samplers, stage, own):
    """The steps of a stage; 1 for one that has none."""
    given = samplers.get(stage) if isinstance(samplers, dict) else None
    steps = given.get(STEPS) if isinstance(given, dict) else None
    return steps if isinstance(steps, int) and steps > 0 else own.get(stage, {}).get(STEPS, 1)


def _is_like(job, kind, model, quality):
    request = job.request
    chosen, settings = request.get("model"), request.get("settings")
    return (
        job.state in ("finished", "built")
        and bool(job.seconds)
        and request.get("kind") == kind
        and isinstance(chosen, dict)
        and chosen.get("set") == model
        and isinstance(settings, dict)
        and settings.get("quality") == quality
    )
