# SPDX-License-Identifier: GPL-3.0-or-later
"""The published model sets: their files, where these come from, and where they lie on this computer.

``<data>/models/<folder>/`` holds a set in the released layout: a file of the set's own repository keeps its path there,
a file of another repository lies under that repository's name, which is how the released ``pipeline.json`` names it
(spec/models.md 1.1). Where a size or a SHA-256 was published it is given here; where not, the repository's own checksum
counts during the download and the structure of the file afterwards. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ..errors import EspalierError
from .released import CONFIGURATIONS, DINOV3_FOLDER, NETWORKS

STARTER = "starter"
STARTER_FOLDER = Path(__file__).resolve().parent.parent / "starter" / "weights"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"


@dataclass(frozen=True)
class Licence:
    """What a person agrees to before a download. ``terms``: the gist in one sentence, the text is at the repository."""

    name: str
    terms: str


@dataclass(frozen=True)
class PublishedFile:
    """One file of a set: ``path`` in the set's folder, ``source`` in its repository; both relative, with "/".

    ``size`` in bytes and ``sha256`` are 0 and "" where none was published. A file that is not ``required`` may be
    missing from the repository; ``stand_in`` then takes its place.
    """

    path: str
    source: str
    size: int = 0
    sha256: str = ""
    required: bool = True
    stand_in: Path | None = None


@dataclass(frozen=True)
class Part:
    """The files of a set that come from one repository at one revision, under one licence."""

    repository: str
    revision: str
    licence: Licence
    files: tuple[PublishedFile, ...]


@dataclass(frozen=True)
class PublishedSet:
    """A set that can be downloaded or imported.

    ``check``: what the files hold: "networks" (configurations with their checkpoints), "image_encoder" (DINOv3 in its
    published form), "file" (a single file, checked by its SHA-256). ``needs``: other sets without which this one does
    not run. ``alternatives``: repositories without a gate that carry the same weights. ``encoder``: what the
    ``config.json`` of the image encoder must say. ``about``: bytes, for people, where no exact size was published.
    """

    name: str
    purpose: str
    check: Literal["networks", "image_encoder", "file"]
    parts: tuple[Part, ...]
    needs: tuple[str, ...] = ()
    alternatives: tuple[str, ...] = ()
    encoder: Mapping[str, Any] | None = None
    about: int = 0

    @property
    def folder(self) -> str:
        """The set's folder below ``models``."""
        return self.name

    @property
    def files(self) -> tuple[PublishedFile, ...]:
        return tuple(file for part in self.parts for file in part.files)

    @property
    def size(self) -> int:
        """Bytes of the files whose size was published: nearly all of the whole; else about so many. For people."""
        return sum(file.size for file in self.files) or self.about

    def from_repository(self, repository: str, revision: str = "main") -> PublishedSet:
        """This image encoder as any other repository carries it: nothing is known of the files, structure decides.

        Raises EspalierError("bad_request") for a set that cannot come from elsewhere, or what is no repository's name.
        """
        if self.check != "image_encoder":
            raise EspalierError("bad_request", f"{self.name} comes from its own repositories only. Leave --from out.")
        name = r"[A-Za-z0-9][\w.-]{0,95}"
        if not re.fullmatch(f"{name}/{name}", repository) or not re.fullmatch(r"\w[\w./-]{0,99}", revision):
            raise EspalierError(
                "bad_request", f"“{repository}” is no repository. Write owner/name, or owner/name@revision."
            )
        files = (PublishedFile(CONFIG, CONFIG, required=False), PublishedFile(WEIGHTS, WEIGHTS))
        return replace(self, parts=(Part(repository, revision, self.parts[0].licence, files),))


MIT = Licence("MIT", "Free for every use, also commercial, as long as the copyright notice stays with the weights.")
DINOV3_LICENCE = Licence(
    "DINOv3 License",
    "Meta's own terms: commercial use is allowed, the weights are passed on only with their licence, military and "
    "weapons uses are forbidden. The text: https://ai.meta.com/resources/models-and-libraries/dinov3-license/",
)


def _checkpoint(network: str, size: int, sha256: str, repository: str = "") -> tuple[PublishedFile, PublishedFile]:
    """The sidecar and the weights of one network; those of another repository lie under its name."""
    path = NETWORKS[network].path
    stem = path.removeprefix(f"{repository}/")
    return (
        PublishedFile(f"{path}.json", f"{stem}.json"),
        PublishedFile(f"{path}.safetensors", f"{stem}.safetensors", size, sha256),
    )


TRELLIS2 = PublishedSet(
    name="TRELLIS.2-4B",
    purpose="Photographs and detailed objects; texturing of meshes.",
    check="networks",
    needs=("DINOv3",),
    parts=(
        Part(
            "microsoft/TRELLIS.2-4B",
            "af44b45f2e35a493886929c6d786e563ec68364d",
            MIT,
            (
                PublishedFile(
                    "pipeline.json",
                    "pipeline.json",
                    4186,
                    "222c359ab1ed9bc6735a640a34f95d47f8681b9bc4aaa101bfb80274676253c6",
                ),
                PublishedFile(
                    "texturing_pipeline.json",
                    "texturing_pipeline.json",
                    required=False,
                    stand_in=CONFIGURATIONS / "texturing_pipeline.json",
                ),
                *_checkpoint(
                    "sparse_structure_flow_model",
                    2584426920,
                    "ca01377c485bec418076d38ee80166d32dc776d744f2553b835cba1e97a7abf6",
                ),
                *_checkpoint(
                    "shape_slat_flow_model_512",
                    2584574424,
                    "ec5e0917ef9b7e25ad51dffc7d19687a42019871f94239f2fa7f86264c55b70f",
                ),
                *_checkpoint(
                    "shape_slat_flow_model_1024",
                    2584574424,
                    "07cd0596f634c5adc1890023d16023afc5eed02fb84b22bb23aff5bf0030fbbd",
                ),
                *_checkpoint(
                    "tex_slat_flow_model_512",
                    2584672728,
                    "8371aa1c5d13be79dcd5ddfd2cf3835e902e204dc34427169a1c702828e1a94d",
                ),
                *_checkpoint(
                    "tex_slat_flow_model_1024",
                    2584672728,
                    "580401269059a339b8318ab9ced459a13ba63391721c83a6c383198c29e77686",
                ),
                *_checkpoint(
                    "shape_slat_encoder",
                    708797208,
                    "f37c5ff5b983b68e9946060000f09bc131f3e84318a2c8b7430a81e4b4636c41",
                ),
                *_checkpoint(
                    "shape_slat_decoder",
                    948490494,
                    "e3b718d3e43e4f8780e9a24ac6fff231811a67e3b058e336e10fe654c911d581",
                ),
                *_checkpoint(
                    "tex_slat_decoder",
                    948458812,
                    "97ea69addea2ecd9312910f5f548234665eef51c088386180b7cd5b258645e3c",
                ),
            ),
        ),
        Part(
            "microsoft/TRELLIS-image-large",
            "25e0d31ffbebe4b5a97464dd851910efc3002d96",
            MIT,
            _checkpoint(
                "sparse_structure_decoder",
                147591972,
                "1c76d4a40519aa2d711cc263a8404105231ac26db31d946bed48b84fee79009a",
                "microsoft/TRELLIS-image-large",
            ),
        ),
    ),
)

DINOV3_SET = PublishedSet(
    name="DINOv3",
    purpose="The image encoder of TRELLIS.2-4B.",
    check="image_encoder",
    alternatives=(
        "timm/vit_large_patch16_dinov3.lvd1689m",
        "timm/vit_large_patch16_dinov3_qkvb.lvd1689m",
    ),
    encoder=NETWORKS["image_encoder"].args,
    parts=(
        Part(
            DINOV3_FOLDER,
            "ea8dc2863c51be0a264bab82070e3e8836b02d51",
            DINOV3_LICENCE,
            (
                PublishedFile(CONFIG, CONFIG),
                PublishedFile(
                    WEIGHTS,
                    WEIGHTS,
                    1212559808,
                    "dcb2e45127cccbf1601e5f42fef165eea275c8e5213197e8dcf3f48822718179",
                ),
            ),
        ),
    ),
)

BIREFNET = PublishedSet(
    name="BiRefNet",
    purpose="Cuts the subject out of its background.",
    check="file",
    about=224_000_000,
    parts=(
        Part(
            # The repository moves on, the file is held by its SHA-256.
            "onnx-community/BiRefNet_lite-ONNX",
            "main",
            MIT,
            (
                PublishedFile(
                    "onnx/model.onnx",
                    "onnx/model.onnx",
                    sha256="5600024376f572a557870a5eb0afb1e5961636bef4e1e22132025467d0f03333",
                ),
            ),
        ),
    ),
)

SETS = (TRELLIS2, DINOV3_SET, BIREFNET)


def published(name: str) -> PublishedSet:
    """The published set of that name, written in any case. Raises EspalierError("bad_request")."""
    for entry in SETS:
        if _plain(entry.name) == _plain(name) and not set(name) & set("/\\"):
            return entry
    names = ", ".join(entry.name for entry in SETS)
    raise EspalierError("bad_request", f"There is no model set “{name}”. Choose one of: {names}.")


def find(name: str, models: Path) -> Path | None:
    """Where the set ``name`` lies on this computer, or None when it, or a part of it, is missing from ``models``.

    That is what a loader opens: the folder of a set of networks, the one file of a set that is a file. Only presence is
    looked at, not content. Raises EspalierError("bad_request") for a name that is not known.
    """
    if name.lower() == STARTER:
        return STARTER_FOLDER
    entry = published(name)
    folder = models / entry.folder
    if not all((folder / file.path).is_file() for file in entry.files if file.required):
        return None
    return folder / entry.files[0].path if entry.check == "file" else folder


def image_encoder_folder(set_folder: Path, repository: str, models: Path | None = None) -> Path:
    """The folder with the image encoder that a set names by its repository, "owner/name".

    In this order: below the set's own folder; beside it, as a set of the models folder or a folder of the repository's
    name; in ``models``. Raises EspalierError("missing_model") where it is in none of them.
    """
    name = PurePosixPath(repository).name
    places = [set_folder / repository]
    for folder in (set_folder.absolute().parent, models):
        if folder is not None:
            places += [folder / DINOV3_SET.folder, folder / name]
    for place in places:
        if (place / WEIGHTS).is_file() and (place / CONFIG).is_file():
            return place
    raise EspalierError(
        "missing_model",
        f"The image encoder {DINOV3_SET.name}, which this model works with, is not on this computer. Run “blender "
        f"--online-mode --command espalier models download {DINOV3_SET.name}”.",
        f"Looked for {WEIGHTS} with {CONFIG} in: {', '.join(map(str, places))}",
    )


def checkpoint_stem(set_folder: Path, path: str, models: Path | None = None) -> Path:
    """The files, without their ending, of the network that a set names by ``path``: where its description lies.

    Raises EspalierError("missing_model") where a network of another repository is in none of its ``places``; any other
    network is where the path says.
    """
    folders = places(set_folder, path, models)
    for place in folders:
        if place.with_name(f"{place.name}.json").is_file():
            return place
    if len(folders) == 1:
        return folders[0]
    file = PurePosixPath(path)
    raise EspalierError(
        "missing_model",
        f"The network “{file.name}” of {'/'.join(file.parts[:2])}, which this model works with, is not on this "
        f"computer. Put its .json and .safetensors into “{folders[0].parent}”, or run “blender --online-mode --command "
        f"espalier models download {TRELLIS2.name}”.",
        f"Looked for {file.name}.json in: {', '.join(str(place.parent) for place in folders)}",
    )


def places(set_folder: Path, path: str, models: Path | None = None) -> list[Path]:
    """Where a file of TRELLIS.2-4B may lie, best first; more than one where it is of another repository.

    That one is looked for as the image encoder is: below the set's own folder; beside it, in a folder of the
    repository's name or in a set of the models folder; in ``models``.
    """
    found = [set_folder / path]
    for part in TRELLIS2.parts[1:]:
        if path.startswith(f"{part.repository}/"):
            name, rest = PurePosixPath(part.repository).name, path.removeprefix(f"{part.repository}/")
            for folder in (set_folder.absolute().parent, models):
                if folder is not None:
                    found += [folder / name / rest, folder / path, folder / TRELLIS2.folder / path]
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
