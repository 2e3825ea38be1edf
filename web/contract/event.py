"""What is said of one record: `GET /feeds/{feed}/events/{seq}`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from anomalyai.alert import Reason
from anomalyai.explanation import Explanation


class ExplanationNow(Explanation, frozen=True, kw_only=True):
    """Why a record would be flagged or not by the feed as it stands, after record `as_of_seq`."""

    as_of_seq: int


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A record, its score at its time, and the reasons or why there are none."""

    feed: str
    seq: int
    time: str | None
    record: dict[str, Any]
    score: Annotated[float | None, Meta(description="-log10 of the tail probability; null: not scored.")]
    one_in: float | None
    threshold: float | None
    margin: Annotated[float | None, Meta(description="Threshold less score.")]
    flagged: bool | None
    warming_up: bool | None
    alert: Annotated[str | None, Meta(description="The id of its alert.")]
    reasons: list[Reason]
    why_not: str | None
    explanation: ExplanationNow | None
