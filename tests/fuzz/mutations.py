# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage of every kind to files that were valid: bytes flipped, cut, doubled, spliced; JSON with any value anywhere."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TIMES = int(os.environ.get("ESPALIER_FUZZ_TIMES", "1"))
"""Multiplies the number of cases, for a search longer than the suite's."""

NUMBERS = [0, 1, 2, 7, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1]
PATHS = [
    "..",
    "../outside",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "\\\\host\\share",
    "a\0b",
    "./x/../../y",
    "~",
    "CON",
]
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
STRANGE = [
    *(None, True, False, -1, 0, 1, 3, 1 << 20, 1 << 31, 1 << 48, 1 << 63, 10**400),
    *(0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), -float("inf")),
    *("", " ", "x" * 5000, "\ud800", "\u202e", "1", "nan", *PATHS),
    *([], {}, [[]], [None], {"": 0}, [1, "a"], [0] * 300, DEEP),
]


def fuzzed(examples: int, *strategies: Any, **named: Any) -> Callable[..., Any]:
    """Run a test on ``examples`` (times ``TIMES``) drawn cases, the same ones in every run."""

    def decorate(test: Callable[..., Any]) -> Callable[..., Any]:
        kept = settings(
            max_examples=examples * TIMES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        return kept(given(*strategies, **named)(test))

    return decorate


@st.composite
def damaged(draw: Any, *originals: bytes, structured: int = 256) -> bytes:
    """One of ``originals`` after one to four damages. Half of them hit the first ``structured`` bytes (headers)."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        reach = len(data) if draw(st.booleans()) else min(structured, len(data))
        at = draw(st.integers(0, reach - 1))
        kind = draw(
            st.sampled_from(("flip", "byte", "number", "cut", "remove", "repeat", "insert", "splice", "digits"))
        )
        if kind == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte":
            data[at] = draw(st.integers(0, 255))
        elif kind == "number":
            layout = draw(st.sampled_from(("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")))
            value = draw(st.sampled_from(NUMBERS)) & ((1 << 8 * struct.calcsize(layout)) - 1)
            data[at : at + struct.calcsize(layout)] = struct.pack(layout, value)
        elif kind == "cut":
            del data[at:]
        elif kind == "remove":
            del data[at : at + draw(st.integers(1, 64))]
        elif kind == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 64))] * draw(st.integers(1, 4))
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=16))
        elif kind == "splice":
            other = draw(st.sampled_from(originals))
            start = draw(st.integers(0, max(len(other) - 1, 0)))
            data[at:] = other[start:]
        else:
            _replace_digits(data, at, str(draw(st.sampled_from([*NUMBERS, -1, 10**30]))).encode())
    return bytes(data)


def _replace_digits(data: bytearray, at: int, number: bytes) -> None:
    """Put another number in the place of the next one written in digits."""
    start = next((i for i in range(at, min(at + 4096, len(data))) if chr(data[i]).isdigit()), None)
    if start is None:
        return
    end = start
    while end < len(data) and chr(data[end]).isdigit():
        end += 1
    data[start:end] = number


def anything() -> st.SearchStrategy[Any]:
    """A JSON value of any kind, from a list of troublesome ones or made up."""
    made = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=8,
    )
    return st.sampled_from(STRANGE) | made


def _places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for key, item in inner for place in _places(item, (*here, key)))]


@st.composite
def altered(draw: Any, original: Any, extra: tuple[tuple[str, Any], ...] = ()) -> Any:
    """The JSON document ``original`` after one to three changes: a value replaced, removed, wrapped or added.

    ``extra``: names and values that are worth adding anywhere.
    """
    document = original
    for _ in range(draw(st.integers(1, 3))):
        document = json.loads(json.dumps(document))  # nothing in it is shared with anything
        place = draw(st.sampled_from(_places(document)))
        if not place:
            if draw(st.integers(0, 9)) == 0:
                return draw(anything())
            continue
        *path, last = place
        parent = document
        for key in path:
            parent = parent[key]
        kind = draw(st.sampled_from(("replace", "remove", "wrap", "swap", "add")))
        if kind == "replace":
            parent[last] = draw(anything())
        elif kind == "remove":
            del parent[last]
        elif kind == "wrap":
            parent[last] = draw(st.sampled_from(([parent[last]], {"x": parent[last]}, [parent[last]] * 3)))
        elif kind == "swap":
            other = document
            for key in draw(st.sampled_from(_places(document))):
                other = other[key]
            parent[last] = json.loads(json.dumps(other))
        elif isinstance(parent, dict):
            name, value = draw(st.sampled_from(extra) if extra else st.tuples(st.text(max_size=6), anything()))
            parent[name] = value
    return document


def written(document: Any) -> bytes:
    """JSON bytes as a careless program writes them: with NaN, infinity and lone surrogates."""
    return json.dumps(document).encode("ascii")
