"""What schemathesis cannot know of bodies: loaded by its own process, not by pytest."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import strategies

numbers = strategies.integers(min_value=1, max_value=2_000)
rows = strategies.lists(strategies.tuples(numbers, strategies.sampled_from([0, 1])), min_size=1, max_size=20)


def as_csv(pairs: list[tuple[int, int]]) -> bytes:
    """Write a table that is good both as records and as labels."""
    return b"seq,label\n" + b"".join(b"%d,%d\n" % pair for pair in pairs)


def as_lines(pairs: list[tuple[int, int]]) -> bytes:
    """Write the same as a JSON object a line."""
    return b"".join(b'{"seq": %d, "label": %d}\n' % pair for pair in pairs)


schemathesis.openapi.media_type("text/csv", rows.map(as_csv))
schemathesis.openapi.media_type("application/x-ndjson", rows.map(as_lines))
schemathesis.openapi.media_type(
    "application/toml", strategies.sampled_from([b"", b"[feed]\n", b'[feed]\nbudget = "20/day"\n'])
)


@schemathesis.hook
def filter_case(context: Any, case: Any) -> bool:
    """Leave out what no schema can say: producer and batch go together, and without a key beside them."""
    named = {"producer", "batch"} & set(case.query or {})
    return len(named) != 1 and not (named and "Idempotency-Key" in (case.headers or {}))
