# SPDX-License-Identifier: GPL-3.0-or-later
"""Image datablocks to files that the engine can read, without Blender's view transform."""

import struct
import zlib
from pathlib import Path

import bpy
import numpy as np

# What the engine's image library reads by itself; everything else is decoded by Blender.
READABLE = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".tga", ".psd", ".jp2", ".avif"}
SIGNATURES = ((b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"RIFF", ".webp"), (b"BM", ".bmp"), (b"GIF8", ".gif"))
# Decoding takes 16 bytes per pixel of Blender's memory, in the main thread.
MAX_DECODED = 64_000_000


class BadImage(Exception):  # noqa: N818 - its text is shown to people as it is
    """An image that cannot be used; the text says why and what to do."""


def source_of(image):
    """Return ``(file or bytes, suffix)`` of an image datablock, as ``JobStore.create`` takes them.

    A file or packed file that the engine can read is passed on as it is; anything else (EXR, painted or generated
    images) becomes an 8-bit sRGB PNG with straight alpha. Raises BadImage with a sentence.
    """
    if image.source not in {"FILE", "GENERATED"} or image.type not in {"IMAGE", "UV_TEST"}:
        raise BadImage(_wrong_kind(image))
    if image.source == "FILE" and not image.is_dirty:
        if image.packed_file is not None:
            data = bytes(image.packed_file.data)
            for signature, suffix in SIGNATURES:
                if data.startswith(signature):
                    return data, suffix
        else:
            path = Path(bpy.path.abspath(image.filepath, library=image.library))
            if path.is_file() and _engine_reads(path, image):
                return path, path.suffix
            if not path.is_file() and not image.has_data:
                raise BadImage(
                    f"The file of the image “{image.name}” is missing: {path}. Open it again from where it is now."
                )
    return encode_png(display_pixels(image)), ".png"


def source_of_file(path):
    """Return ``(file or bytes, suffix)`` of an image file, like ``source_of``. Raises BadImage."""
    if not path.is_file() or path.suffix.lower() in READABLE - {".tif", ".tiff"}:
        return path, path.suffix
    try:
        image = bpy.data.images.load(str(path), check_existing=False)
    except RuntimeError as error:
        raise BadImage(f"“{path.name}” cannot be opened: {error}") from error
    try:
        return source_of(image)
    finally:
        bpy.data.images.remove(image)


def _engine_reads(path, image):
    """Whether the engine can read the file; of TIFF files it cannot read those with floating-point colours."""
    suffix = path.suffix.lower()
    return suffix in READABLE and not (suffix in {".tif", ".tiff"} and image.is_float)


def display_pixels(image):
    """Return the pixels of an image as uint8 [height, width, 4], top row first: sRGB colours, straight alpha.

    Values are read as stored, so the scene's view transform has no part in them. Raises BadImage.
    """
    width, height = image.size
    if not width or not height:
        raise BadImage(
            f"“{image.name}” is not an image that Blender can read. Choose a PNG, JPEG, WebP, TIFF or EXR file."
        )
    if width * height > MAX_DECODED:
        raise BadImage(
            f"“{image.name}” has {width} × {height} pixels, too many to convert. Scale it to 8000 a side or less."
        )
    pixels = np.empty(width * height * 4, dtype=np.float32)
    image.pixels.foreach_get(pixels)
    pixels = np.nan_to_num(pixels.reshape(height, width, 4)[::-1], nan=0.0, posinf=1.0, neginf=0.0)
    colour, alpha = pixels[..., :3], np.clip(pixels[..., 3:], 0.0, 1.0)
    if image.alpha_mode == "NONE":
        alpha = np.ones_like(alpha)
    if image.is_float:
        if image.alpha_mode in {"STRAIGHT", "PREMUL"}:
            colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
        colour = linear_to_srgb(np.clip(colour, 0.0, 1.0))
    elif image.alpha_mode == "PREMUL":
        colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    return (np.concatenate([np.clip(colour, 0.0, 1.0), alpha], axis=-1) * 255.0 + 0.5).astype(np.uint8)


def linear_to_srgb(linear):
    """The sRGB transfer function (IEC 61966-2-1), linear light in 0 to 1 to display values."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def encode_png(pixels):
    """Return the bytes of an 8-bit RGBA PNG file with ``pixels`` uint8 [height, width, 4]."""
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + width * 4), dtype=np.uint8)
    rows[:, 1:] = pixels.reshape(height, width * 4)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def _wrong_kind(image):
    if image.type in {"RENDER_RESULT", "COMPOSITING"}:
        return f"“{image.name}” is not stored as an image yet: save it from the Image menu, then open the saved file."
    kind = {"MOVIE": "a movie", "SEQUENCE": "an image sequence", "TILED": "a set of UDIM tiles"}.get(
        image.source, "no still image"
    )
    return f"“{image.name}” is {kind}. Choose a still image."
