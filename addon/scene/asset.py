# SPDX-License-Identifier: GPL-3.0-or-later
"""The finished arrays and texture files of one result, read from its folder."""

from __future__ import annotations

import contextlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ALPHA_MODES = ("opaque", "mask", "blend")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# What numpy and zipfile raise for damaged archives, and Python for JSON of another form than expected.
_DAMAGE = (
    *(OSError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error),
    *(ValueError, KeyError, AttributeError, TypeError, OverflowError),
)


class BadResult(Exception):  # noqa: N818 - its text is shown to people as it is
    """A result folder that cannot be built from; the text says what is wrong with it."""


@dataclass(frozen=True)
class Provenance:
    """Where an object comes from; kept on it as custom properties."""

    image: str = ""
    seed: int = 0
    model: str = ""
    settings: dict = field(default_factory=dict)
    job: str = ""

    @classmethod
    def of(cls, request: dict, job: str) -> Provenance:
        """What a job's request says."""
        return cls(
            image=str(request.get("image", "")),
            seed=seed if isinstance(seed := request.get("seed"), int) else 0,
            model=str(_table(request.get("model")).get("set", "")),
            settings=_table(request.get("settings")),
            job=job,
        )


@dataclass(frozen=True)
class Texture:
    """The maps of an asset as encoded PNG files by name: ``base_color`` (sRGB, with alpha where ``alpha_mode`` is not
    "opaque"), ``orm`` (occlusion, roughness, metallic), ``normal``. ``occlusion`` says that the first channel of
    ``orm`` holds something. Raises BadResult for an unknown alpha mode.
    """

    maps: dict[str, bytes] = field(default_factory=dict)
    alpha_mode: str = "opaque"
    report: dict = field(default_factory=dict)
    occlusion: bool = False

    def __post_init__(self):
        if self.alpha_mode not in ALPHA_MODES:
            raise BadResult(f"The result's alpha mode {self.alpha_mode!r} is unknown to this version of Espalier.")

    @property
    def one_sided(self) -> bool:
        """Whether only the front of each face can be seen: an opaque solid, all of it closed, without single sheets."""
        closed = self.report.get("boundary_edges") == 0 and not self.report.get("sheets")
        return closed and self.alpha_mode == "opaque"


@dataclass(frozen=True)
class Asset:
    """A finished object: Z up, inside [-0.5, 0.5]^3, front towards -Y.

    ``vertices`` float32 [V, 3]; ``faces`` int32 [F, 3]; ``normals`` float32 [V, 3] or [F, 3, 3] (one per corner) or
    None; ``uv`` float32 [F, 3, 2] or None, origin at the lower left of the maps. A draft has no maps but ``attributes``
    float32 [V, 6] in 0..1: base colour r, g, b (sRGB), metallic, roughness, alpha. ``lods`` are the same object with
    ever fewer faces, for the same maps; they have no texture of their own. Raises BadResult for arrays that do not fit
    each other.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None
    normals: np.ndarray | None = None
    texture: Texture = Texture()
    attributes: np.ndarray | None = None
    lods: tuple[Asset, ...] = ()

    def __post_init__(self):
        vertices, faces = self.vertices, self.faces
        if vertices.ndim != 2 or vertices.shape[1:] != (3,) or faces.ndim != 2 or faces.shape[1:] != (3,):
            raise BadResult("The result's vertices and faces are not lists of three numbers each.")
        if not len(faces):
            raise BadResult("The result has no faces: the model made nothing of this image. Try another seed or image.")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise BadResult("The result's faces name vertices that do not exist: its files are damaged.")
        if not np.isfinite(vertices).all():
            raise BadResult("The result has vertices that are no numbers: its files are damaged.")
        if self.uv is not None and self.uv.shape != (len(faces), 3, 2):
            raise BadResult("The result's texture coordinates do not fit its faces: its files are damaged.")
        if self.normals is not None and self.normals.shape not in {(len(vertices), 3), (len(faces), 3, 3)}:
            raise BadResult("The result's normals fit neither its vertices nor its corners: its files are damaged.")
        if self.attributes is not None and self.attributes.shape != (len(vertices), 6):
            raise BadResult("The result's materials do not fit its vertices: its files are damaged.")


def read_result(folder: Path) -> Asset:
    """Read ``result.json``, ``result.npz`` and the maps that it names from a job folder.

    Raises BadResult with a sentence when a file is missing, damaged, or named outside the folder.
    """
    folder = Path(folder)
    info = _read_info(folder)
    texture = _texture(folder, info)
    with _told(folder):
        lods = tuple(_read_arrays(folder, _beside(str(level["file"]))) for level in info.get("lods", []))
        return _read_arrays(folder, "result.npz", texture=texture, lods=lods)


def read_texture(folder: Path) -> Texture:
    """Read ``result.json`` and the maps that it names from a job folder; all that a texturing job leaves.

    Raises BadResult with a sentence when a file is missing, damaged, or named outside the folder.
    """
    folder = Path(folder)
    return _texture(folder, _read_info(folder))


def _read_info(folder: Path) -> dict:
    with _told(folder):
        return dict(json.loads((folder / "result.json").read_text(encoding="utf-8")))


def _texture(folder: Path, info: Mapping) -> Texture:
    with _told(folder):
        return Texture(
            maps={name: _read_map(folder, file) for name, file in info.get("maps", {}).items() if file},
            alpha_mode=info.get("alpha_mode", "opaque"),
            report=_table(info.get("report")),
            occlusion=info.get("occlusion") is True,
        )


def _read_arrays(folder: Path, name: str, **more) -> Asset:
    with np.load(folder / name, allow_pickle=False) as data:
        return Asset(
            vertices=np.ascontiguousarray(data["vertices"], dtype=np.float32),
            faces=np.ascontiguousarray(data["faces"], dtype=np.int32),
            uv=_optional(data, "uv"),
            normals=_optional(data, "normals"),
            attributes=_optional(data, "attributes"),
            **more,
        )


def _table(value: object) -> dict:
    return value if isinstance(value, dict) else {}


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Put the failures of reading a result into sentences."""
    try:
        yield
    except FileNotFoundError as error:
        raise BadResult(f"The result is incomplete: {Path(error.filename).name} is missing in {folder}.") from error
    except _DAMAGE as error:
        raise BadResult(f"The result in {folder} cannot be read: {error}.") from error


def _optional(data: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    array = data.get(name)
    return np.ascontiguousarray(array, dtype=np.float32) if array is not None and array.size else None


def _beside(name: str) -> str:
    if Path(name).name != name or name == "..":
        raise BadResult(f"The result names a file outside its folder: {name}.")
    return name


def _read_map(folder: Path, name: str) -> bytes:
    data = (folder / _beside(name)).read_bytes()
    if not data.startswith(PNG_SIGNATURE):
        raise BadResult(f"The texture {name} of the result is not a PNG file.")
    return data
