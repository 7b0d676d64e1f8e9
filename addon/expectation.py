# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a job takes on this computer and how much memory: what earlier ones of its kind took."""

from itertools import islice
from statistics import median

from .client.shelf import Shelf
from .stages import duration

# Of the newest runs, for drivers and settings change.
RUNS = 9


def expectation(shelf: Shelf | None, kind: str, model: str, quality: str) -> str:
    """A line such as ``About 12 s and 0.9 GB, as before``; "" when there was no such job yet.

    ``kind`` is "generate" or "texture", ``model`` the name of a set and ``quality`` the kind it knows.
    """
    jobs = (entry.job for entry in shelf.ended()) if shelf is not None else ()
    runs = list(islice((job for job in jobs if _is_like(job, kind, model, quality)), RUNS))
    if not runs:
        return ""
    text = f"About {duration(median(sum(job.seconds.values()) for job in runs))}"
    peaks = [peak for job in runs if (peak := job.peak_memory.get("device", job.peak_memory.get("host", 0)))]
    if peaks:
        text += f" and {median(peaks) / 2**30:.1f} GB"
    return f"{text}, as before"


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
