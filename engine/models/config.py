# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the ``args`` of a checkpoint's sidecar into a configuration dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import torch

from ..errors import EspalierError

Config = TypeVar("Config")

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


LARGEST_SIZE, LARGEST_COUNT, LONGEST_LIST, LARGEST_NUMBER = 1 << 16, 128, 16, 1e6
"""Far above every released network, low enough that no description can keep the engine busy or exhaust its memory."""


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def config_from(kind: type[Config], args: dict[str, Any]) -> Config:
    """Build the dataclass ``kind`` from JSON arguments.

    Raises ``EspalierError("bad_config")`` on unknown or missing ones, and on values of another type or out of bounds.
    """
    known = {field.name: field for field in fields(kind)}
    unknown = sorted(set(args) - set(known))
    missing = sorted(
        name
        for name, field in known.items()
        if field.default is MISSING and field.default_factory is MISSING and name not in args
    )
    if unknown or missing:
        problem = f"unknown: {', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}"
        raise EspalierError(
            "bad_config", f"A model description does not fit {kind.__name__}. Fetch the model again.", problem
        )
    values = {name: _frozen(value) for name, value in args.items()}
    hints = get_type_hints(kind)
    wrong = [f"{name}={value!r}"[:80] for name, value in values.items() if not _fits(name, value, hints[name])]
    if wrong:
        raise EspalierError(
            "bad_config",
            f"A model description has values that do not fit {kind.__name__}. Fetch the model again.",
            ", ".join(wrong),
        )
    return kind(**values)


def _fits(name: str, value: Any, hint: Any) -> bool:
    """Whether a frozen JSON value can stand in the field ``name`` of type ``hint``. Only counts may be 0."""
    if get_origin(hint) is tuple:
        kind = get_args(hint)[0]
        return (
            isinstance(value, tuple) and len(value) <= LONGEST_LIST and all(_fits(name, item, kind) for item in value)
        )
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is Mapping:
        return isinstance(value, dict)
    if hint is int:
        count = name.startswith("num_")
        lowest = 0 if count and not name.endswith("heads") else 1
        return type(value) is int and lowest <= value <= (LARGEST_COUNT if count else LARGEST_SIZE)
    if hint is float:
        return type(value) in (int, float) and 0 <= value <= LARGEST_NUMBER
    return isinstance(value, hint)


def require(condition: bool, kind: str, problem: str) -> None:
    """Raise ``EspalierError("bad_config")`` unless ``condition`` holds."""
    if not condition:
        raise EspalierError("bad_config", f"This {kind} uses a setting that Espalier does not support.", problem)
