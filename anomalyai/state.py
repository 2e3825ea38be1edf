"""State to bytes and back, exactly.

The state of every part is a flat mapping from names to numpy arrays, numbers, strings, bytes or lists of
those. It is written as one MessagePack document with a format version; nothing is pickled, so reading a
state never runs code. Equal states give equal bytes.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np

from anomalyai.errors import StateError

FORMAT = 2

PACKED_BYTES = range(4_096, 1 << 20)
"""Sizes of what is packed (zlib) where that is asked for: histograms and tree masses are mostly zeros, small
arrays are not worth it, and the large tables of entities would take too long."""

_BYTES = "bytes"

TABLE = "table"

_ALLOWED_DTYPES = frozenset({"<f8", "<f4", "<i8", "<i4", "<i2", "<u8", "<u4", "<u2", "|u1", "|i1", "|b1"})


@runtime_checkable
class Table(Protocol):
    """A value that stands for several arrays, under a name that ends in `TABLE`; they take its place."""

    def arrays(self) -> Mapping[str, np.ndarray[Any, Any]]:
        """Return the arrays by their names."""


class _Array(msgspec.Struct, frozen=True, array_like=True, tag="array"):
    dtype: str
    shape: tuple[int, ...]
    packed: bool
    data: bytes


class _Document(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    version: int
    fields: dict[str, _Array | msgspec.Raw]


def dumps(kind: str, fields: Mapping[str, Any], *, pack: bool = False) -> bytes:
    """Encode a state.

    Parameters
    ----------
    kind
        What the state belongs to; `loads` refuses any other.
    fields
        Arrays (numeric or boolean, any shape), plain MessagePack values, and what stands for arrays.
    pack
        Whether arrays and bytes of middling size are packed.
    """
    encoded: dict[str, _Array | msgspec.Raw] = {}
    for name, value in spread(fields).items():
        if isinstance(value, np.ndarray):
            encoded[name] = _array(value.dtype.str, value.shape, value.tobytes(), pack)
        elif isinstance(value, bytes):
            encoded[name] = _array(_BYTES, (len(value),), value, pack)
        else:
            encoded[name] = fixed(value)
    return msgspec.msgpack.encode(_Document(kind, FORMAT, encoded))


def fixed(value: Any) -> msgspec.Raw:
    """Return a plain value as it is written, so that it stays as it is now."""
    return value if isinstance(value, msgspec.Raw) else msgspec.Raw(msgspec.msgpack.encode([value]))


def prefix_of(name: str) -> str:
    """Return what the names of a table's arrays begin with."""
    if not name.endswith(TABLE):
        raise ValueError(f"expected a name that ends in {TABLE!r}, got {name!r}")
    return name.removesuffix(TABLE)


def spread(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with the arrays of every table in its place."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, Table):
            prefix = prefix_of(name)
            found.update({prefix + column: array for column, array in value.arrays().items()})
        else:
            found[name] = value
    return found


def _array(dtype: str, shape: tuple[int, ...], data: bytes, pack: bool) -> _Array:
    packed = pack and len(data) in PACKED_BYTES
    return _Array(dtype, shape, packed, zlib.compress(data, 1) if packed else data)


def loads(kind: str, data: bytes) -> dict[str, Any]:
    """Decode what `dumps` made.

    Raises
    ------
    StateError
        The bytes are damaged, belong to something else, or come from a format this version cannot read.
    """
    try:
        found_kind, version, fields = msgspec.msgpack.decode(data)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise _unreadable(kind, f"{len(data)} unreadable bytes") from error
    if found_kind != kind or version != FORMAT:
        raise StateError(
            f"expected the state of a {kind} in format {FORMAT}, found {found_kind!r} in format {version!r}",
            code="state_mismatch",
            hint="It was written for something else or by a newer version",
        )
    if not isinstance(fields, dict):
        raise _unreadable(kind, "no named fields")
    return {name: _value(kind, name, value) for name, value in fields.items()}


def _value(kind: str, name: str, value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    try:
        array = msgspec.convert(value, _Array)
        raw = zlib.decompress(array.data) if array.packed else array.data
        if array.dtype == _BYTES:
            return raw
        if array.dtype not in _ALLOWED_DTYPES:
            raise _unreadable(kind, f"{name} of the unknown type {array.dtype!r}")
        return np.frombuffer(raw, dtype=array.dtype).reshape(array.shape).copy()
    except (ValueError, zlib.error) as error:  # msgspec.ValidationError is a ValueError
        raise _unreadable(kind, f"{name}, which is neither an array nor a value ({error})") from error


def _unreadable(kind: str, found: str) -> StateError:
    return StateError(
        f"expected the state of a {kind}, found {found}",
        code="state_unreadable",
        hint="The state is damaged: restore an older one",
    )


def under(prefix: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a part as it stands in that of the whole."""
    return {f"{prefix}/{name}": value for name, value in fields.items()}


def part_of(prefix: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of a part out of that of the whole."""
    start = f"{prefix}/"
    return {name[len(start) :]: value for name, value in fields.items() if name.startswith(start)}
