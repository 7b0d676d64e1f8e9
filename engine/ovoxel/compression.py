# SPDX-License-Identifier: GPL-3.0-or-later
"""The compressed streams of voxel files, read with a limit on what may come out."""

from __future__ import annotations

import lzma
import zlib

COMPRESSIONS = ("none", "deflate", "lzma", "zstd")
HIGHEST_LEVEL = {"none": 0, "deflate": 9, "lzma": 9, "zstd": 22}

# zstd's own decoders refuse windows above this without being asked.
_LARGEST_WINDOW = 1 << 27


class BadStream(Exception):  # noqa: N818 - turned into a sentence by the reader of the file
    """A stream that is damaged, or that holds more than it may."""


def compress(name: str, data: bytes, level: int) -> bytes:
    """Compress a stream: raw deflate, raw LZMA2 with a preset, or a zstd frame with its size and no checksum."""
    if name == "deflate":
        packer = zlib.compressobj(level, zlib.DEFLATED, -15)
        return packer.compress(data) + packer.flush()
    if name == "lzma":
        return lzma.compress(data, lzma.FORMAT_RAW, filters=_lzma2(level))
    if name == "zstd":
        from zstandard import ZstdCompressor

        return ZstdCompressor(level=level, write_checksum=False, write_content_size=True).compress(data)
    return data


def decompress(name: str, data: bytes, level: int, limit: int) -> bytes:
    """Return what ``compress`` was given, at most ``limit`` bytes; no more than that is ever produced.

    Raises BadStream.
    """
    try:
        if name == "deflate":
            unpacker = zlib.decompressobj(-15)
            plain = unpacker.decompress(data, limit + 1)
            done = unpacker.eof
        elif name == "lzma":
            reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_lzma2(level))
            plain = reader.decompress(data, limit + 1)
            done = reader.eof
        elif name == "zstd":
            plain, done = _read_zstd(data, limit), True
        else:
            plain, done = data, True
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise BadStream("its compressed data is damaged") from error
    if len(plain) > limit:
        raise BadStream("its compressed data holds more than it says")
    if not done:
        raise BadStream("its compressed data ends early")
    return plain


def _read_zstd(data: bytes, limit: int) -> bytes:
    # An engine installed by an earlier version lacks it, and only this kind of file needs it.
    import zstandard

    try:
        # A frame that states its size is unpacked into a buffer of that size, whatever the limit: look first.
        if zstandard.frame_content_size(data) > limit:
            raise BadStream("its compressed data holds more than it says")
        return zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompress(data, max_output_size=limit)
    except zstandard.ZstdError as error:
        raise BadStream("its compressed data is damaged") from error


def _lzma2(level: int) -> list[dict[str, int]]:
    return [{"id": lzma.FILTER_LZMA2, "preset": level}]
