"""Records to read in tests, and what two readings of them must share."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from hypothesis import strategies as st

from anomalyai.control import SchemaChange
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema

DECLARED = FeedSchema.from_toml("""
[feed]
time = "ts"
label = "fraud"
entities = ["card"]
categories = ["kind"]
""")

Contents = tuple[list[tuple[int, FeedSchema]], bytes, bytes, bytes, bytes, list[tuple[str, ...]]]


def payments(n: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Return `n` card payments with every kind of field in them."""
    rng = np.random.default_rng(seed)
    return [
        {
            "ts": f"2026-01-{1 + i // 1440 % 28:02d}T{i // 60 % 24:02d}:{i % 60:02d}:00Z",
            "amount": round(float(rng.gamma(2.0, 30.0)), 2),
            "card": int(3_508_169_504_374_000 + rng.integers(40)),
            "merchant_id": f"m{rng.integers(25):03d}",
            "kind": str(rng.choice(["pos", "web", "atm"])),
            "present": bool(rng.integers(2)),
            "merch_lat": round(float(rng.uniform(47, 55)), 4),
            "merch_long": round(float(rng.uniform(6, 15)), 4),
            "fraud": int(rng.random() < 0.02),
        }
        for i in range(n)
    ]


def as_array(records: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps(records).encode()


def as_lines(records: Sequence[dict[str, Any]]) -> bytes:
    return "\n".join(json.dumps(record) for record in records).encode()


def as_table(records: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return columns in the order in which the records first name them; absent values are null."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [record.get(name) for record in records] for name in names}


def as_csv(records: Sequence[dict[str, Any]]) -> bytes:
    """Return CSV in which a number is written as JSON writes it and null is an empty cell."""
    table = as_table(records)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow(["" if v is None else v if isinstance(v, str) else json.dumps(v) for v in row])
    return out.getvalue().encode()


def contents(items: Iterable[SchemaChange | RecordBatch]) -> Contents:
    """Return what the engine would see of log items, however the records were cut into batches.

    The schema changes with the number of records before each, the columns' bytes, and the keys' names.
    """
    before, changes, batches = 0, [], []
    for item in items:
        if isinstance(item, SchemaChange):
            changes.append((before, item.schema))
        else:
            before += item.n
            batches.append(item)
    columns = [
        b"".join(np.ascontiguousarray(getattr(batch, name)).tobytes() for batch in batches)
        for name in ("numbers", "keys", "time_s", "label")
    ]
    names = [batch.schema.numbers + batch.schema.categories for batch in batches for _ in range(batch.n)]
    return changes, columns[0], columns[1], columns[2], columns[3], names


def reread(items: Iterable[SchemaChange | RecordBatch]) -> list[SchemaChange | RecordBatch]:
    """Return the items as they come back from a log."""
    found: list[SchemaChange | RecordBatch] = []
    for item in items:
        if isinstance(item, SchemaChange):
            found.append(msgspec.json.decode(msgspec.json.encode(item), type=SchemaChange))
        else:
            found.append(RecordBatch.from_log(item.schema, item.codec, item.body, 1, item.arrival_s))
    return found


NAMES = ("ts", "x", "y", "n.z", "kind", "user_id", "flag", "ä")

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=8).filter(
    lambda text: not text.isspace() and not _number_like(text)
)

NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 3),
)


def _number_like(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@st.composite
def typed_records(draw: st.DrawFn, *, max_size: int = 40) -> list[dict[str, Any]]:
    """Draw flat records whose fields have one JSON type each; null and absent values among them."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    kinds = {name: draw(st.sampled_from(["number", "text", "boolean"])) for name in names}
    values = {"number": NUMBERS, "text": TEXTS, "boolean": st.booleans()}
    size = draw(st.integers(1, max_size))
    return [
        {name: draw(st.none() | values[kinds[name]]) for name in names if draw(st.integers(0, 9))}
        for _ in range(size)
    ]
