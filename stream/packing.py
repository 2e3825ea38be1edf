"""How old bodies of the log are packed: `rows+zlib` is `rows`, compressed; the checksum is of what is inside.

Pure.
"""

from __future__ import annotations

import zlib

PACKED = "+zlib"
LEVEL = 1
SMALL_BYTES = 512
WORTH = 0.9
"""A body is packed where it takes at most this share of its room afterwards."""


def pack(codec: str, crc: int, body: bytes) -> tuple[str, bytes] | None:
    """Return (codec, body) of a body compressed; None where it is not sound, or not worth it."""
    if codec.endswith(PACKED) or len(body) < SMALL_BYTES or zlib.crc32(body) != crc:
        return None
    packed = zlib.compress(body, LEVEL)
    return (codec + PACKED, packed) if len(packed) <= WORTH * len(body) else None


def unpack(codec: str, body: bytes) -> tuple[str, bytes]:
    """Return (codec, body) as appended; what cannot be unpacked comes back empty and fits no checksum."""
    if not codec.endswith(PACKED):
        return codec, body
    try:
        return codec.removesuffix(PACKED), zlib.decompress(body)
    except zlib.error:
        return codec.removesuffix(PACKED), b""


def is_sound(codec: str, crc: int, body: bytes) -> bool:
    """Whether a stored body matches its checksum."""
    return zlib.crc32(unpack(codec, body)[1]) == crc
