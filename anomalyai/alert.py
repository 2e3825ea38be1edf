"""An alert: one flagged record, how rare it is, and why, as producers and pages see it."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from anomalyai.wording import duration

Severity = Literal["low", "medium", "high", "critical"]
Status = Literal["open", "real", "false_alarm", "unsure", "muted"]
Maturity = Literal["warming_up", "mature"]

MAX_ONE_IN = 1e15
"""Rarities are cut off here: beyond it an extrapolated tail says nothing."""

_SEVERITY_STEPS: tuple[tuple[float, Severity], ...] = ((3.0, "critical"), (2.0, "high"), (1.0, "medium"))


class Reason(msgspec.Struct, frozen=True):
    """One field's part in a score: `share` is 0..1 and the shares of an alert sum to 1."""

    field: str
    text: str
    share: float
    expected: str | float | None = None
    actual: str | float | bool | None = None


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One flagged record, or a silence: its `record` is None, `seq` the last record's.

    `score` is -log10 of the tail probability (0 or more, higher is rarer), `one_in` its inverse tail;
    `time` is RFC 3339 UTC or None where the record has none; a change of any kind raises `revision`.
    `resumed` is there for silences only: when who was silent came back, None while it has not.
    """

    id: str
    feed: str
    seq: int
    time: str | None
    score: float
    one_in: float
    severity: Severity
    status: Status = "open"
    maturity: Maturity = "mature"
    summary: str
    reasons: tuple[Reason, ...]
    record: dict[str, Any] | None
    entities: dict[str, str]
    incident: str | None = None
    revision: int = 1
    resumed: str | msgspec.UnsetType | None = msgspec.UNSET


class Amendment(msgspec.Struct, frozen=True):
    """What a verdict or mute does to the alert `id`: it is its `status`, or, None, an open one's score moves.

    `shift` is added to the score; `threshold` is what a severity is graded against by now. `resumed_s`, epoch
    seconds, ends a silence of `silent_s` whatever was said of it.
    """

    id: str
    status: Status | None
    shift: float = 0.0
    threshold: float = 0.0
    resumed_s: float | None = None
    silent_s: float = 0.0


def amended(alert: Alert, change: Amendment) -> Alert | None:
    """Return the alert after a change, as its next revision; None where it stays as it is."""
    if change.resumed_s is not None:
        return msgspec.structs.replace(
            alert,
            resumed=rfc3339(change.resumed_s),
            summary=f"{alert.summary}; resumed after {duration(change.silent_s)}",
            revision=alert.revision + 1,
        )
    if change.status is not None:
        if alert.status == change.status or (change.status == "muted" and alert.status != "open"):
            return None  # a mute acts on what nobody has judged
        return msgspec.structs.replace(alert, status=change.status, revision=alert.revision + 1)
    score = max(alert.score + change.shift, 0.0)
    if alert.status != "open" or score == alert.score:
        return None
    return msgspec.structs.replace(
        alert,
        score=score,
        one_in=one_in(score),
        severity=severity_of(score, change.threshold),
        revision=alert.revision + 1,
    )


def severity_of(score: float, threshold: float) -> Severity:
    """Grade an alert by how many powers of ten it is rarer than the threshold that flagged it.

    Examples
    --------
    >>> severity_of(3.2, threshold=3.0), severity_of(6.5, threshold=3.0)
    ('low', 'critical')
    """
    for step, severity in _SEVERITY_STEPS:
        if score >= threshold + step:
            return severity
    return "low"


def one_in(score: float) -> float:
    """Return the N of "1 in N" for a score, at most `MAX_ONE_IN`.

    Examples
    --------
    >>> one_in(3.0)
    1000.0
    """
    return min(float(10.0 ** min(score, 15.0)), MAX_ONE_IN)


def rfc3339(time_s: float) -> str | None:
    """Write epoch seconds as RFC 3339 in UTC with milliseconds; None for a missing or unrepresentable time.

    Examples
    --------
    >>> rfc3339(0.0)
    '1970-01-01T00:00:00.000Z'
    """
    if not math.isfinite(time_s) or not -62_135_596_800.0 <= time_s < 253_402_300_799.0:
        return None
    moment = datetime.fromtimestamp(round(time_s, 3), tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
