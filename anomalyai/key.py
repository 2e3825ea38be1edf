"""Stable 64-bit keys of category, entity and identifier texts.

A key depends on the text alone, so it is the same in every process, on every machine and after a restart
(unlike `hash`, which is salted). 0 stands for a missing value and is never the key of a text.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

__all__ = ["exact_text", "key_column", "stable_key"]

CACHED_KEYS: Final = 1 << 17
"""Most texts whose key is kept at hand in one process."""

CACHED_CHARS: Final = 128
"""Longest text whose key is kept at hand; with `CACHED_KEYS` it bounds the cache's memory."""

EXACT_INTEGERS: Final = 2.0**53
"""Below this magnitude every integer has its own float64."""


def stable_key(text: str) -> int:
    """Return the 64-bit key of `text`, 1 or more.

    >>> stable_key("tcp")
    6039900336251028937
    >>> stable_key("tcp") != stable_key("udp")
    True
    """
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") or 1


def exact_text(value: Any) -> str:
    """Return the text that keys a scalar value: a string itself, an integer's digits, true or false.

    A number that is no integer literal but has an integer value below 2**53 is keyed as that integer, so
    that `596` and `596.0` are one and the same.

    >>> [exact_text(v) for v in ("x", 30431445388862, 596.0, 0.5, True)]
    ['x', '30431445388862', '596', '0.5', 'true']
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and abs(value) < EXACT_INTEGERS and value.is_integer():
        return str(int(value))
    return repr(value)


_known: dict[Any, bytes] = {}
"""Keys by text, as their 8 bytes; a cache of a pure function, so it may be emptied at any time."""


def key_column(values: Sequence[Any]) -> NDArray[np.uint64]:
    """Return the keys of a column of strings, numbers, booleans, None or UNSET; the last two give 0."""
    try:  # every value a text whose key is at hand, the usual case
        joined = b"".join(map(_known.get, values))  # type: ignore[arg-type]
    except TypeError:
        joined = b"".join(map(_key, values))
    return np.frombuffer(joined, dtype=np.uint64)


def _key(value: Any) -> bytes:
    text = value if value is None or value is UNSET else exact_text(value)
    return _known.get(text) or _remembered(text)


def _remembered(value: Any) -> bytes:
    """Return a key's 8 bytes, kept for next time; the cache starts over when it is full."""
    if value is None or value is UNSET:
        _known[value] = bytes(8)
        return bytes(8)
    text = exact_text(value)
    key = stable_key(text).to_bytes(8, sys.byteorder)
    if len(text) <= CACHED_CHARS:
        if len(_known) >= CACHED_KEYS:
            _known.clear()
        _known[text] = key
    return key
