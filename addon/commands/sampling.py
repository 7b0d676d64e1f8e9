# SPDX-License-Identifier: GPL-3.0-or-later
"""The options about sampling, which ``generate`` and ``texture`` have alike."""

from __future__ import annotations

import argparse
import math
import re

from ..samplers import GUIDANCE, MOST_STEPS, STAGES, STEPS


def add_sampling(command, kind):
    """Add the options of a command that makes jobs of ``kind`` ("generate", "texture")."""
    stages = STAGES[kind]
    steps, strength = (
        f", or of single ones, such as {stages[-1]}={value}" if len(stages) > 1 else "" for value in (20, 3)
    )
    form = "N|STAGE=N,..." if len(stages) > 1 else "N"
    group = command.add_argument_group("sampling", f"The stages are {', '.join(stages)}." if len(stages) > 1 else None)
    group.add_argument(
        "--steps",
        type=_by_stage(stages, _steps),
        metavar=form,
        help=f"steps of every stage{steps} (default: the model's own)",
    )
    group.add_argument(
        "--guidance",
        type=_by_stage(stages, _strength),
        metavar=form,
        help=f"strength of guidance of every stage{strength}; 1 is without (default: the model's own)",
    )
    group.add_argument(
        "--fast",
        action="store_true",
        help="compute guidance at every other step only, and steps of second order: the result differs a little",
    )
    group.add_argument(
        "--int8",
        action="store_true",
        help="keep the large networks at 8 bits a weight, in half the memory: the result differs a little",
    )
    group.add_argument(
        "--fp8",
        action="store_true",
        help="multiply 8-bit floating point numbers, on graphics cards that have them: the result differs somewhat",
    )


def samplers_asked(options):
    """What a request says of its samplers, as the options name it; nothing where they do not."""
    chosen = {}
    for name, given in ((STEPS, options.steps), (GUIDANCE, options.guidance)):
        for stage, value in (given or {}).items():
            chosen.setdefault(stage, {})[name] = value
    return chosen


def _by_stage(stages, number):
    """Return a type for argparse: a value for all ``stages``, or ``stage=value`` for some, with commas between them."""

    def parse(text):
        if "=" not in text:
            return dict.fromkeys(stages, number(text))
        chosen = {}
        for part in text.split(","):
            stage, _, value = (piece.strip() for piece in part.partition("="))
            if stage not in stages or stage in chosen:
                raise argparse.ArgumentTypeError(
                    f"“{part}” names no stage, or one twice: give STAGE=N with one of {', '.join(stages)}."
                )
            chosen[stage] = number(value)
        return chosen

    return parse


def _steps(text):
    if not re.fullmatch(r"\d{1,4}", text) or not 1 <= int(text) <= MOST_STEPS:
        raise argparse.ArgumentTypeError(f"“{text}” is no number of steps: give a whole number from 1 to {MOST_STEPS}.")
    return int(text)


def _strength(text):
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"“{text}” is no strength of guidance: give a number from 0 to 100.")
    return value
