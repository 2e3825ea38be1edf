"""What is said on sockets, message by message; `type` comes first and tells them apart."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from anomalyai.alert import Alert, Maturity
from anomalyai.incident import Incident
from anomalyai.records import Rejection
from stream.dedup import Refusal

WirePoint = tuple[int, str | None, float, bool]
"""seq, time in RFC 3339 or None, score, flagged."""

Credit = Annotated[int, Meta(ge=0, description="Frames that may still be sent.")]
Batch = Annotated[int, Meta(ge=0, description="The producer's batch number.")]


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """First on an ingest socket: where to go on, and how much may be under way."""

    feed: str
    next_batch: Batch
    credit: Credit
    max_frame_bytes: Annotated[int, Meta(description="A larger frame closes the socket with 1009.")]


class FrameAck(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """A frame is durable; seqs are null where nothing of it was accepted."""

    batch: Batch
    accepted: int
    rejected: list[Rejection]
    shed: int
    first_seq: int | None
    last_seq: int | None
    credit: Credit


class FrameError(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """A frame as a whole was refused; its batch number is used up."""

    batch: Batch
    error: Refusal
    credit: Credit


class AlertMessage(msgspec.Struct, frozen=True, tag_field="type", tag="alert"):
    """An alert, new or in a higher revision."""

    alert: Alert


class IncidentMessage(msgspec.Struct, frozen=True, tag_field="type", tag="incident"):
    """An incident, new or in a higher revision; a slow viewer may miss one, and reads the list again."""

    incident: Incident


class Points(msgspec.Struct, frozen=True, tag_field="type", tag="points"):
    """Points of the score line, `[seq, time, score, flagged]`; of neighbours the highest is kept."""

    points: list[WirePoint]
    threshold: float | None


class CaughtUp(msgspec.Struct, frozen=True, tag_field="type", tag="caught_up"):
    """The replay is over, up to record `seq`; what follows is live."""

    seq: int


class Gap(msgspec.Struct, frozen=True, tag_field="type", tag="gap"):
    """Alerts of records after `after` until `until`, for which a viewer was too slow: to be read again."""

    after: int
    until: int


class IncidentFigures(msgspec.Struct, frozen=True):
    """Incidents of a feed, open and from its beginning; mutes in force, and alerts that mutes have hidden."""

    open: int
    begun: int
    escalated: int
    evicted: int
    mutes: int
    muted: int
    mutes_refused: int


class SilenceFigures(msgspec.Struct, frozen=True):
    """Entities with a cadence, and their silences."""

    watched: int
    open: int
    raised: int
    resumed: int
    withheld: int


class Stats(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="stats"):
    """A feed's figures, once a second; what only scoring knows is null before the first record."""

    last_seq: int
    rejected: int
    shed: int
    alerts: int
    events_per_second: float
    p99_ms: float | None
    lag_records: int
    lag_s: float
    promised_rate: float | None
    realised_rate: float | None
    threshold: float | None
    maturity: Maturity
    late: int | None
    too_late: int | None
    future: int | None
    silences: SilenceFigures | None
    dropped: Annotated[int, Meta(description="Messages that present viewers were too slow for.")]
