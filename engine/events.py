# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command of the engine tells the process that started it: one JSON object per line on stdout."""

from __future__ import annotations

import json
from typing import Any


def say(event: str, text: str = "", **fields: Any) -> None:
    """Tell what happens: ``event`` is its kind, ``text`` the line for people."""
    print(json.dumps({"event": event, **({"text": text} if text else {}), **fields}), flush=True)
