# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of every format, damaged anywhere, are read or refused with a sentence."""

import io
import struct
import zlib

import numpy as np
import pytest
from espalier.engine.conditioning.reader import MAX_DECODED_PIXELS, open_image
from espalier.engine.errors import EspalierError
from espalier.tests.fuzz.guard import watched
from espalier.tests.fuzz.mutations import damaged, fuzzed
from hypothesis import strategies as st
from PIL import Image, ImageCms


def picture(mode="RGBA", size=(24, 17)):
    values = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 4), np.uint8)
    return Image.fromarray(values, "RGBA").convert(mode)


def encoded(format, mode="RGB", **options):
    stream = io.BytesIO()
    picture(mode).save(stream, format=format, **options)
    return stream.getvalue()


EXIF = b"Exif\0\0II*\0\x08\0\0\0"
BOMB = b"k\0\0" + zlib.compress(bytes(80_000_000), 9)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
FILES = {
    "png": [encoded("PNG", "RGBA"), encoded("PNG", "P"), encoded("PNG", "I;16"), encoded("PNG", icc_profile=PROFILE)],
    "jpeg": [
        encoded("JPEG"),
        encoded("JPEG", "CMYK"),
        encoded("JPEG", progressive=True, exif=EXIF),
    ],
    "webp": [encoded("WEBP", "RGBA"), encoded("WEBP", lossless=True)],
    "tiff": [encoded("TIFF"), encoded("TIFF", "F"), encoded("TIFF", "CMYK", compression="tiff_lzw")],
    "others": [encoded("BMP"), encoded("GIF", "P"), encoded("TGA", "RGBA"), encoded("PPM"), encoded("DDS", "RGBA")],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


def read(folder, data):
    (folder / "image").write_bytes(data)
    with watched(folder, EspalierError):
        image = open_image(folder / "image")
        assert image.mode in ("RGB", "RGBA") and min(image.size) > 0
        assert image.width * image.height <= MAX_DECODED_PIXELS


@pytest.mark.parametrize("kind", sorted(FILES))
def test_damaged_pictures_are_read_or_refused(folder, kind):
    @fuzzed(120, data=damaged(*FILES[kind], structured=400))
    def damage(data):
        read(folder, data)

    damage()


@fuzzed(150, data=damaged(*(file for files in FILES.values() for file in files), b"<svg>", b"%!PS-Adobe", b"BLENDER"))
def test_pictures_spliced_from_several_formats_are_read_or_refused(folder, data):
    read(folder, data)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@fuzzed(
    60,
    width=st.sampled_from([0, 1, 8, 9999, 30000, 0x7FFFFFFF, 0xFFFFFFFF]),
    height=st.sampled_from([0, 1, 8, 9999, 30000, 0x7FFFFFFF]),
    depth=st.sampled_from([0, 1, 8, 16, 255]),
    colour=st.integers(0, 7),
    text=st.booleans(),
)
def test_a_small_file_that_announces_a_huge_picture_takes_little_memory(folder, width, height, depth, colour, text):
    """Sizes that are within what may be decoded whole do take their memory: keep to those above and below."""
    if 1 << 22 < width * height <= MAX_DECODED_PIXELS:
        width = 8
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))]
    if text:
        parts.append(chunk(b"zTXt", BOMB))
    parts += [chunk(b"IDAT", zlib.compress(bytes(100_000))), chunk(b"IEND", b"")]
    read(folder, b"\x89PNG\r\n\x1a\n" + b"".join(parts))
