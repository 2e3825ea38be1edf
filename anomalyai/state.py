"""State to bytes and back, exactly.

The state of every part is a flat mapping from names to numpy arrays, numbers, strings, bytes or lists of
those. It is written as one MessagePack document with a format version; nothing is pickled, so reading a
state never runs code. Equal states give equal bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from anomalyai.errors import StateError

FORMAT = 1

_ALLOWED_DTYPES = frozenset({"<f8", "<f4", "<i8", "<i4", "<i2", "<u8", "<u4", "<u2", "|u1", "|i1", "|b1"})


class _Array(msgspec.Struct, frozen=True, array_like=True, tag="array"):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class _Document(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    version: int
    fields: dict[str, _Array | msgspec.Raw]


def dumps(kind: str, fields: Mapping[str, Any]) -> bytes:
    """Encode a state.

    Parameters
    ----------
    kind
        What the state belongs to; `loads` refuses any other.
    fields
        Arrays (numeric or boolean, any shape) and plain MessagePack values.
    """
    encoded: dict[str, _Array | msgspec.Raw] = {}
    for name, value in fields.items():
        if isinstance(value, np.ndarray):
            array = np.ascontiguousarray(value)
            encoded[name] = _Array(array.dtype.str, value.shape, array.tobytes())
        else:
            encoded[name] = msgspec.Raw(msgspec.msgpack.encode([value]))
    return msgspec.msgpack.encode(_Document(kind, FORMAT, encoded))


def loads(kind: str, data: bytes) -> dict[str, Any]:
    """Decode what `dumps` made.

    Raises
    ------
    StateError
        The bytes are damaged, belong to something else, or come from a format this version cannot read.
    """
    try:
        outer = msgspec.msgpack.decode(data)
        found_kind, version, raw_fields = outer
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise StateError(
            f"expected the state of a {kind}, found unreadable bytes", code="state_unreadable"
        ) from error
    if found_kind != kind or version != FORMAT:
        raise StateError(
            f"expected the state of a {kind} in format {FORMAT}, found {found_kind!r} in format {version!r}",
            code="state_mismatch",
        )
    return {name: _value(kind, name, value) for name, value in raw_fields.items()}


def _value(kind: str, name: str, value: Any) -> Any:
    if isinstance(value, list) and len(value) == 4 and value[0] == "array":
        _, dtype, shape, raw = value
        if dtype not in _ALLOWED_DTYPES:
            raise StateError(
                f"state of a {kind}: {name} has the unknown type {dtype!r}", code="state_unreadable"
            )
        return np.frombuffer(raw, dtype=dtype).reshape(shape).copy()
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    raise StateError(f"state of a {kind}: {name} is neither an array nor a value", code="state_unreadable")
