"""What must hold of any bytes that come in, for the fuzzers: hypothesis in the tests, atheris by hand.

By hand, in an environment of its own that has atheris and this project's packages:

    python -m tests.anomalyai.hostile -max_total_time=300 -max_len=4096
"""

from __future__ import annotations

import sys
from typing import Final

import numpy as np

from anomalyai.control import SchemaChange
from anomalyai.errors import AnomalyAIError, TooLarge, UnreadableBody, UnsupportedMedia
from anomalyai.frame import open_frame
from anomalyai.intake import Intake, IntakeLimits
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema

LIMITS: Final = IntakeLimits(
    max_frame_bytes=1 << 16, max_record_bytes=1 << 12, max_records=1_000, max_fields=20
)
MEDIA: Final = ("application/json", "application/x-ndjson", "text/csv", "text/plain", None)
KNOWN: Final = FeedSchema.from_toml(
    '[feed]\ntime = "time"\nentities = ["who"]\ncategories = ["kind"]\nnumbers = ["a", "b"]\nlabel = "bad"\n'
)
GOOD: Final = b'{"time": "2026-03-01T10:00:00Z", "who": "c1", "kind": "x", "a": 1.5, "b": 2, "bad": 0}'


def new_intake(known: bool) -> Intake:
    """Return an intake that knows the fields of `GOOD`, or nothing."""
    return Intake(KNOWN if known else None, limits=LIMITS)


def judge(intake: Intake, data: bytes, way: int) -> list[SchemaChange | RecordBatch]:
    """Let an intake read bytes as a frame or as a body; whatever they are, all promises must hold then.

    Returns the log's items.
    """
    before, schema = intake.checkpoint(), intake.schema
    try:
        if way < len(MEDIA):
            admission = intake.admit(data, MEDIA[way], arrival_s=1.0)
        else:
            admission = intake.admit_frame(open_frame(data), arrival_s=1.0)
    except (UnreadableBody, TooLarge, UnsupportedMedia) as error:
        require_told(error)
        intake.rollback(before)
        assert intake.schema == schema
        return require_alive(intake)
    places = [rejection.index for rejection in admission.rejected]
    for item in admission.items:
        if isinstance(item, SchemaChange):
            schema = item.schema
            continue
        require_kept(item, schema)
        places += item.index.tolist()
    assert sorted(places) == list(range(len(places)))
    assert sum(item.n for item in admission.items if isinstance(item, RecordBatch)) == admission.accepted
    assert len(schema.fields) <= max(LIMITS.max_fields, len(KNOWN.fields))
    return [*admission.items, *require_alive(intake)]


def require_told(error: AnomalyAIError) -> None:
    """Check that a refusal is a short sentence."""
    assert error.code
    assert 0 < len(error.message) < 2_000


def require_kept(batch: RecordBatch, schema: FeedSchema) -> None:
    """Check that the log would give back the very bits, and that no infinity got in."""
    assert batch.schema == schema
    again = RecordBatch.from_log(schema, batch.codec, batch.body, 1, batch.arrival_s)
    for name in ("numbers", "keys", "time_s", "label"):
        stored, admitted = getattr(again, name), getattr(batch, name)
        assert stored.tobytes() == admitted.tobytes(), name
    assert not np.isinf(batch.numbers).any()
    for i in range(batch.n):
        assert isinstance(batch.record(i), dict)


def require_alive(intake: Intake) -> list[SchemaChange | RecordBatch]:
    """Check that a good record is still taken; where the fields came from the bytes, at least judged."""
    admission = intake.admit(GOOD, "application/json", arrival_s=1.0)
    assert admission.accepted + len(admission.rejected) == 1
    return admission.items


def one_input(data: bytes) -> None:
    """Judge bytes of which the first says how they come in."""
    if data:
        judge(new_intake(known=bool(data[0] & 1)), data[1:], (data[0] >> 1) % (len(MEDIA) + 1))


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
