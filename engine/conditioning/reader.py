# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a picture of any origin as 8-bit RGB or RGBA in sRGB, within bounded memory, or says why not."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ..errors import EspalierError

MAX_DECODED_PIXELS = 100_000_000
"""Largest picture that is decoded whole: 10 000 pixels square, at most 1.3 GB while it is being converted."""

Image.MAX_IMAGE_PIXELS = None  # Pillow would refuse before a JPEG could be read at an eighth of its size

FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "BMP", "GIF", "TGA", "PPM", "JPEG2000", "AVIF", "PSD", "DDS", "SGI")
"""What is read. A closed list: Pillow would start Ghostscript for PostScript."""

UNREADABLE = (
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"#?RADIANCE", "a Radiance HDR image"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an SVG drawing or XML file"),
    (b"BLENDER", "a .blend file"),
)


def open_image(path: str | Path, name: str = "") -> Image.Image:
    """Return the picture at ``path`` upright, mode RGB, or RGBA where it has transparency.

    ``name`` is what messages call it (the file's name by default). Raises EspalierError("bad_input") with a sentence
    for everything that is not a readable picture.
    """
    path = Path(path)
    name = name or path.name
    if path.is_dir():
        raise _refuse(name, "is a folder. Choose an image file.")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        raise _refuse(name, "was not found. Choose the image again.") from None
    except OSError as error:
        raise _refuse(name, f"cannot be read ({error.strerror}). Check the file's permissions.") from None
    if not head:
        raise _refuse(name, "is an empty file (0 bytes). Save the image again.")
    for magic, what in UNREADABLE:
        if head.lstrip().startswith(magic):
            raise _refuse(name, f"is {what}, which cannot be read here. Save it as PNG or JPEG and choose that file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _decode(path, name)
    except EspalierError:
        raise
    except UnidentifiedImageError:
        raise _refuse(name, "is not an image that can be read. Save it as PNG, JPEG or WebP.") from None
    except MemoryError:
        raise _too_large(name, "needs more memory than there is") from None
    except Exception as error:  # a decoder that is fed with damage raises what it likes
        raise _refuse(
            name, "is damaged or incomplete. Save or download the image again.", f"The decoder says: {error}"
        ) from None


def _decode(path: Path, name: str) -> Image.Image:
    Image.init()
    with Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN]) as image:
        if min(image.size) < 1:
            raise _refuse(name, "has no pixels (its width or height is zero). Save the image again.")
        if image.width * image.height > MAX_DECODED_PIXELS:
            image.draft("RGB", (2048, 2048))
        if image.width * image.height > MAX_DECODED_PIXELS:
            raise _too_large(name, f"is {image.width} x {image.height} pixels")
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _to_srgb(_to_eight_bit(image))


def _to_eight_bit(image: Image.Image) -> Image.Image:
    """Bring 16-bit, 32-bit integer and floating-point greyscale to mode L; leave everything else."""
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    values = np.asarray(image)
    largest = np.nanmax(values, initial=0.0, where=np.isfinite(values))
    if image.mode == "F" and largest <= 1:
        full = 1.0
    else:
        full = 65535.0 if largest > 255 or image.mode.startswith("I;16") else 255.0
    out = np.empty(values.shape, np.uint8)
    for rows in range(0, len(values), 1024):
        part = np.nan_to_num(values[rows : rows + 1024].astype(np.float32), nan=0.0, posinf=full, neginf=0.0)
        out[rows : rows + 1024] = np.rint(np.clip(part / full, 0, 1) * 255)
    return Image.fromarray(out)


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return RGB or RGBA; pictures that embed another colour profile than sRGB (CMYK, Display P3) are converted."""
    alpha = None
    if image.has_transparency_data:
        alpha = image.convert("RGBA").getchannel("A")
    profile = image.info.get("icc_profile")
    colour = image.convert("RGB") if image.mode not in ("RGB", "CMYK") else image
    if profile and colour.mode in ("RGB", "CMYK"):
        colour = _apply_profile(colour, profile)
    if colour.mode != "RGB":
        colour = colour.convert("RGB")
    if alpha is not None:
        colour.putalpha(alpha)
    return colour


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower():
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a damaged or unsuitable profile: the plain values are the best guess
    return image if converted is None else converted


def _refuse(name: str, what: str, hint: str = "") -> EspalierError:
    return EspalierError("bad_input", f"“{name}” {what}", hint)


def _too_large(name: str, what: str) -> EspalierError:
    return _refuse(
        name,
        f"{what}, too large to open safely. Scale it down (1024 pixels a side are enough) and choose the smaller file.",
    )
