# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of an X screen, read from Xvfb's own frame buffer file; standard library only."""

import os
import struct
import zlib


def xframe(fbdir):
    """(width, height, bytes of RGB rows) of the X screen, from Xvfb's own frame buffer file (XWD)."""
    with open(os.path.join(fbdir, "Xvfb_screen0"), "rb") as file:
        raw = file.read()
    h = struct.unpack(">25I", raw[:100])
    size, w, hgt, bpl, ncol = h[0], h[4], h[5], h[12], h[19]
    off, rows = size + ncol * 12, []
    for y in range(hgt):
        r = raw[off + y * bpl : off + y * bpl + w * 4]  # little-endian BGRX
        o = bytearray(w * 3)
        o[0::3], o[1::3], o[2::3] = r[2::4], r[1::4], r[0::4]
        rows.append(bytes(o))
    return w, hgt, rows


def png(path, w, h, rows):
    def chunk(t, d):
        return struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d))

    data = zlib.compress(b"".join(b"\0" + r for r in rows), 6)
    with open(path, "wb") as f:
        f.write(
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">2I5B", w, h, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", data)
            + chunk(b"IEND", b"")
        )
