"""Pictures small enough to write by hand, for texts that carry one."""

import struct
import zlib

from smsbridge.sim.ledger import Attachment


def tiny_jpeg() -> bytes:
    """A grey square of 8 by 8: one block whose coefficients are all zero."""
    # ITU-T T.81: a table of one code each for DC and AC; both codes are a single 0 bit, the rest is padding.
    one_code = bytes([1]) + bytes(15) + b"\0"
    return b"".join(
        (
            b"\xff\xd8",
            b"\xff\xdb" + struct.pack(">HB", 67, 0) + b"\x01" * 64,
            b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, 8, 8, 1) + b"\x01\x11\x00",
            b"\xff\xc4" + struct.pack(">HB", 20, 0x00) + one_code,
            b"\xff\xc4" + struct.pack(">HB", 20, 0x10) + one_code,
            b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\x01\x00\x00\x3f\x00" + b"\x3f",
            b"\xff\xd9",
        )
    )


def tiny_png(side: int = 16) -> bytes:
    """A square with a gradient of greens."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = name + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    step = 255 // side
    lines = b"".join(b"\0" + bytes(c for x in range(side) for c in (y * step, 200, x * step)) for y in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


JPEG = Attachment(content_type="image/jpeg", content=tiny_jpeg())
PNG = Attachment(content_type="image/png", content=tiny_png())
