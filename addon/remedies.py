# SPDX-License-Identifier: GPL-3.0-or-later
"""What helps after a failure, by its code: to run the same job again, or something else where that would end the same
way.
"""

from enum import Enum


class Remedy(Enum):
    """A button beside a failure."""

    RETRY = "run the same job again"
    IMAGE = "choose another image"
    SEED = "generate from the same image with another seed"
    SETTINGS = "take image, seed and settings into the panel, to change them there"
    PREFERENCES = "see to engine, models or data folder"


_FIRST_PREFERENCES = Remedy.PREFERENCES, Remedy.RETRY
# By code, the likeliest first; with every other one the job may end otherwise when it is run again.
_HELPS = {
    # The same image, seed and settings always give the same result: repeating mends nothing of these.
    "bad_input": (Remedy.IMAGE,),
    "missing_file": (Remedy.IMAGE,),
    # The preferences have BiRefNet.
    "busy_background": (Remedy.PREFERENCES, Remedy.IMAGE),
    "empty_result": (Remedy.SEED, Remedy.IMAGE),
    "empty_shape": (Remedy.SEED, Remedy.IMAGE),
    "bad_surface": (Remedy.SEED, Remedy.SETTINGS),
    "bad_settings": (Remedy.SETTINGS,),
    "bad_request": (Remedy.SETTINGS,),
    "bad_state": (),
    "damaged": (),
    "out_of_memory": (Remedy.RETRY, Remedy.SETTINGS),
    # Once this is mended in the preferences, repeating helps.
    **dict.fromkeys(("missing_model", "bad_weights", "bad_config"), _FIRST_PREFERENCES),
    **dict.fromkeys(("no_engine", "bad_python", "no_start", "engine_start"), _FIRST_PREFERENCES),
    **dict.fromkeys(("engine_incomplete", "missing_package"), _FIRST_PREFERENCES),
    **dict.fromkeys(("not_writable", "file_system"), _FIRST_PREFERENCES),
}
# What a job of each kind has any use for. Finishing again has neither image nor seed of its own.
_FITTING = {
    "generate": set(Remedy),
    "texture": set(Remedy) - {Remedy.SEED},
    "refinish": {Remedy.RETRY, Remedy.SETTINGS, Remedy.PREFERENCES},
}
_WITHOUT_JOB = {Remedy.IMAGE, Remedy.PREFERENCES}


def remedies(code: str, kind: str = "") -> tuple[Remedy, ...]:
    """What to offer after a failure with this code of a job of this kind, the likeliest first; ``kind`` is "" where no
    job came about.
    """
    fitting = _FITTING.get(kind, {Remedy.RETRY, Remedy.PREFERENCES}) if kind else _WITHOUT_JOB
    return tuple(remedy for remedy in _HELPS.get(code, (Remedy.RETRY,)) if remedy in fitting)
