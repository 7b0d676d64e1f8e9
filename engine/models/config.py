# SPDX-License-Identifier: GPL-3.0-or-later
"""Turns the ``args`` of a checkpoint's sidecar into a configuration dataclass."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, TypeVar

import torch

from ..errors import EspalierError

Config = TypeVar("Config")

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def config_from(kind: type[Config], args: dict[str, Any]) -> Config:
    """Build the dataclass ``kind`` from JSON arguments.

    Raises ``EspalierError("bad_config")`` on unknown or missing ones.
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
    return kind(**{name: _frozen(value) for name, value in args.items()})


def require(condition: bool, kind: str, problem: str) -> None:
    """Raise ``EspalierError("bad_config")`` unless ``condition`` holds."""
    if not condition:
        raise EspalierError("bad_config", f"This {kind} uses a setting that Espalier does not support.", problem)
