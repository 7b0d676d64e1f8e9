# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a batch: a file with one JSON object per line, checked whole before anything runs."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..cli import LONGEST, SHORTEST
from ..client import JobStore
from ..history import generation_behind
from ..request import MATTINGS, MAX_SEED, REPAIRS, object_name
from ..samplers import GUIDANCE, MOST_STEPS, STAGES, STEPS
from ..scene.formats import KINDS
from ..scene.open_mesh import SUFFIXES

# Bytes of a file's name, so that what belongs to it and starts with its name has room on every file system.
MAX_NAME = 180
# As the engine has them.
THICKEST, MOST_LODS = 0.2, 8
# Endings that would be taken for a wish; others, as in “v1.2”, are a part of the name.
_NOT_WRITTEN = {*SUFFIXES, ".usda", ".usdc", ".usdz", ".abc", ".dae"} - {f".{kind}" for kind in KINDS}
_FORBIDDEN = re.compile(r'[\x00-\x1f\\:*?"<>|]')


class BadValue(Exception):  # noqa: N818 - its text is shown to people as it is
    """A value that a row cannot have; the text continues “The key is …”."""


@dataclass(frozen=True)
class Row:
    """One line of a manifest. ``output`` is relative to the folder of results; the other paths are whole.

    ``source`` is the folder of the generation that is finished again. ``model`` is None where the row names none.
    """

    line: int
    kind: str
    name: str
    output: PurePosixPath
    image: Path | None = None
    mesh: Path | None = None
    source: Path | None = None
    seed: int = 0
    size: float = 1.0
    model: str | None = None
    settings: dict = field(default_factory=dict)

    @property
    def format(self) -> str:
        """The kind of file that is written."""
        return self.output.suffix[1:].lower()


@dataclass(frozen=True)
class Fault:
    """What is wrong with a line, in a sentence."""

    line: int
    sentence: str


def read_manifest(path: Path, file_format: str) -> tuple[list[Row], list[Fault]]:
    """Read a manifest: its rows, and what is wrong with the lines that give none. Nothing but the manifest is opened.

    ``file_format`` is the kind of file where a row names none. Empty lines are passed over. Raises OSError.
    """
    rows, faults = [], []
    for number, data in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not data.strip():
            continue
        given, sentences = _parse(data)
        if not sentences:
            row, sentences = _row(number, given, path.parent.absolute(), file_format)
        if sentences:
            faults += [Fault(number, sentence) for sentence in sentences]
        else:
            rows.append(row)
    same: dict[str, int] = {}
    for row in rows:
        other = same.setdefault(unicodedata.normalize("NFC", str(row.output)).casefold(), row.line)
        if other != row.line:
            sentence = f"It would write {row.output}, as line {other} does. Give it an output or a name of its own."
            faults.append(Fault(row.line, sentence))
    faulty = {fault.line for fault in faults}
    return [row for row in rows if row.line not in faulty], sorted(faults, key=lambda fault: fault.line)


def missing_files(row: Row) -> list[str]:
    """A sentence for each input of a row that is not there, or not what it should be."""
    sentences = []
    for what, path in (("image", row.image), ("mesh", row.mesh)):
        if path is not None and not path.is_file():
            sentences.append(f"The {what} {path} is not there. Check its name.")
    if row.mesh is not None and row.mesh.suffix.lower() not in SUFFIXES:
        sentences.append(f"“{row.mesh.name}” is no mesh file that Blender reads: choose one of {', '.join(SUFFIXES)}.")
    if row.source is not None and generation_behind(JobStore(row.source.parent).read(row.source)) is None:
        sentences.append(f"{row.source} is no job folder of a generated object with its voxels. Generate it again.")
    return sentences


def _parse(data):
    """The object that a line holds, and what is wrong with it."""
    repeated = []

    def table(pairs):
        seen = set()
        repeated.extend(key for key, _ in pairs if key in seen or seen.add(key))
        return dict(pairs)

    try:
        given = json.loads(data.decode("utf-8"), object_pairs_hook=table, parse_float=_finite, parse_constant=_finite)
    except UnicodeDecodeError:
        return None, ["It is not written in UTF-8. Save the file in that encoding."]
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        return None, [f"It is no JSON: {reason}. Write one object per line."]
    if not isinstance(given, dict):
        return None, ["It holds no JSON object. Write one object per line, such as {“image”: “mug.png”}."]
    return given, [f"The key {_named(key)} is given twice." for key in repeated]


def _finite(text):
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is no number that can be used")
    return number


def _row(line, given, folder, file_format):
    """The Row that ``given`` describes, and what is wrong with it."""
    kind = given.get("kind", "finish" if "job" in given else "texture" if "mesh" in given else "generate")
    if not isinstance(kind, str) or kind not in _KEYS:
        return None, [f"The key kind is {_quoted(kind)}: choose one of {', '.join(_KEYS)}."]
    faults = [f"There is no key {_named(key)} for {kind}: choose among {', '.join(_KEYS[kind])}." for key in given
              if key not in _KEYS[kind]]  # fmt: skip
    faults += [f"The key {key} is missing: {why}." for key, why in _NEEDED[kind].items() if given.get(key) is None]
    values = {}
    for key, value in given.items():
        if key in _KEYS[kind] and value is not None:
            try:
                values[key] = _KEYS[kind][key](value)
            except BadValue as bad:
                faults.append(f"The key {key} is {_quoted(value)}{bad}")
    settings = values.get("settings", {})
    faults += _setting_faults(kind, settings)
    if faults:
        return None, faults
    image, mesh, source = (folder / values[key] if key in values else None for key in ("image", "mesh", "job"))
    name = values.get("name") or _default_name(kind, image, mesh, source)
    output = values.get("output") or PurePosixPath(f"{_file_name(name)}.{file_format}")
    if output.suffix[1:].lower() not in KINDS:
        output = output.with_name(f"{output.name}.{file_format}")
    output = output.with_suffix(output.suffix.lower())
    row = Row(line, kind, name, output, image, mesh, source, values.get("seed", 0), values.get("size", 1.0),
              values.get("model"), settings)  # fmt: skip
    return row, []


def _setting_faults(kind, settings):
    known = _SETTINGS[kind]
    faults = []
    for name, value in settings.items():
        if name not in known:
            faults.append(f"There is no setting {_named(name)} for {kind}: choose among {', '.join(known)}.")
        elif value is not None:
            try:
                known[name](value)
            except BadValue as bad:
                faults.append(f"The setting {name} is {_quoted(value)}{bad}")
    if settings.get("faces") is not None and settings.get("ratio") is not None:
        faults.append("The settings faces and ratio both say how many faces the object shall have: give one of them.")
    if settings.get("thickness") and settings.get("repair") in ("as_generated", "clean"):
        faults.append("The setting thickness is for closed solids: choose the repair watertight with it.")
    return faults


def _default_name(kind, image, mesh, source):
    if kind == "finish":
        return JobStore(source.parent).read(source).name
    return mesh.stem if mesh is not None else object_name(image.name)


def _file_name(name):
    """A name of an object as the name of a file."""
    plain = _FORBIDDEN.sub("_", name.replace("/", "_")).strip(" .")
    return plain.encode()[: MAX_NAME - 8].decode(errors="ignore") or "object"


def _quoted(value):
    """A value as a sentence may quote it, however long it is."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()
    return text if len(text) <= 40 else f"{text[:40]}…"


def _named(key):
    return "“" + _quoted(key).strip('"') + "”"


# ------------------------------------------------------------------------------------------- what a value may be


def _text(value):
    # Half a surrogate pair can be written in JSON, and stands for no character.
    if not isinstance(value, str) or not value.strip() or any("\ud800" <= each <= "\udfff" for each in value):
        raise BadValue(" and should be a text.")
    return value


def _path(value):
    if "\0" in _text(value):
        raise BadValue(", which is no path.")
    return Path(value)


def _output(value):
    path = PurePosixPath(_text(value))
    if path.is_absolute() or ".." in path.parts or _FORBIDDEN.search(value):
        raise BadValue(': give a path below the folder of results, with “/”, and without any of \\ : * ? " < > |.')
    if not path.parts or any(part.startswith(".") or len(part.encode()) > MAX_NAME for part in path.parts):
        raise BadValue(f": its names must not begin with a dot, nor be longer than {MAX_NAME} bytes.")
    if path.suffix.lower() in _NOT_WRITTEN:
        raise BadValue(f", a kind of file that is not written: choose one of {', '.join(KINDS)}.")
    return path


def _table(value):
    if not isinstance(value, dict):
        raise BadValue(" and should be an object of names and values.")
    return value


def _flag(value):
    if not isinstance(value, bool):
        raise BadValue(" and should be true or false.")
    return value


def _whole(least, most):
    def check(value):
        if type(value) is not int or not least <= value <= most:
            raise BadValue(f" and should be a whole number from {least} to {most}.")
        return value

    return check


def _number(least, most):
    def check(value):
        if type(value) not in (int, float) or not math.isfinite(value) or not least <= value <= most:
            raise BadValue(f" and should be a number from {least:g} to {most:g}.")
        return value

    return check


def _one_of(choices):
    def check(value):
        if value not in choices:
            raise BadValue(f": choose one of {', '.join(choices)}.")
        return value

    return check


def _ratio(value):
    if _number(0, 1)(value) == 0:
        raise BadValue(", and an object needs faces: give a number above 0 and up to 1.")
    return value


def _lods(value):
    if not isinstance(value, list):
        raise BadValue(" and should be a list of shares of the faces, such as [0.5, 0.25].")
    shares = [_number(0, 1)(each) for each in value]
    if len(shares) > MOST_LODS or any(not low < high for high, low in zip([1, *shares], [*shares, 0])):
        raise BadValue(f": give at most {MOST_LODS} shares between 1 and 0, each smaller than the one before.")
    return value


def _interval(value):
    if not isinstance(value, list) or len(value) != 2:
        raise BadValue(" and should be two times from 0 to 1, such as [0.6, 1].")
    return [_number(0, 1)(each) for each in value]


_SAMPLER = {
    STEPS: _whole(1, MOST_STEPS),
    GUIDANCE: _number(0, 100),
    "guidance_rescale": _number(0, 1),
    "guidance_interval": _interval,
    "rescale_t": _number(0.01, 100),
}


def _samplers(kind):
    """The setting “samplers” of a kind of row: parameters by stage."""
    stages = STAGES[kind]

    def check(value):
        for stage, values in _table(value).items():
            if stage not in stages:
                raise BadValue(f": {_named(stage)} is no stage, choose among {', '.join(stages)}.")
            if not isinstance(values, dict):
                raise BadValue(f": the stage {stage} should be an object of names and values.")
            for name, each in values.items():
                if name not in _SAMPLER:
                    raise BadValue(f": {_named(name)} is no setting of a sampler, choose among {', '.join(_SAMPLER)}.")
                try:
                    _SAMPLER[name](each)
                except BadValue as bad:
                    raise BadValue(f": {name} of {stage} is {_quoted(each)}{bad}") from None
        return value

    return check


_INPUT = {"image": _path, "model": _text, "seed": _whole(0, MAX_SEED)}
_EVERY = {"kind": _text, "name": _text, "output": _output, "settings": _table}
_PLACED = {"size": _number(SHORTEST, LONGEST)}
_KEYS = {
    "generate": {**_INPUT, **_PLACED, **_EVERY},
    "texture": {**_INPUT, "mesh": _path, **_EVERY},
    "finish": {"job": _path, **_PLACED, **_EVERY},
}
_NEEDED = {
    "generate": {"image": "an object is made of a picture"},
    "texture": {"mesh": "it is what gets a texture", "image": "it is what the texture is made of"},
    "finish": {"job": "it is the job folder of the object to be finished again"},
}
_MODEL_SETTINGS = {
    "quality": _text,
    "matting": _one_of(MATTINGS),
    "fast": _flag,
    "int8": _flag,
    "fp8": _flag,
}
_TEXTURE_SETTINGS = {"texture_size": _whole(64, 8192)}
_FINISH_SETTINGS = {
    **_TEXTURE_SETTINGS,
    "faces": _whole(4, 2**31 - 1),
    "ratio": _ratio,
    "repair": _one_of(REPAIRS),
    "smoothing": _whole(0, 200),
    "hole_length": _number(0, 1),
    "floater_size": _number(0, 1),
    "thickness": _number(0, THICKEST),
    "lods": _lods,
    "occlusion": _flag,
    "normal_map": _flag,
    "draft": _flag,
}
_SETTINGS = {
    "generate": {
        **_MODEL_SETTINGS,
        "samplers": _samplers("generate"),
        "max_tokens": _whole(1, 2**31 - 1),
        **_FINISH_SETTINGS,
    },
    "texture": {**_MODEL_SETTINGS, "samplers": _samplers("texture"), **_TEXTURE_SETTINGS},
    "finish": _FINISH_SETTINGS,
}
