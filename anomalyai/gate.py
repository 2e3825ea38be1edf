"""Whether a candidate may go live by itself: rules over a comparison with the champion on recent records.

Pure. What does not pass is not thrown away, it waits for a person, with the reasons given here.
"""

from __future__ import annotations

import math

import msgspec

from anomalyai.comparison import Comparison

__all__ = ["MIN_RECORDS", "Bounds", "Judgement", "judge"]

MIN_RECORDS = 500
"""Records to compare on: fewer say nothing of a rate of 1 in 1,000."""

MIN_ALERTS = 5
"""Records flagged by either from which on their agreement is looked at; anomalies, for average precision."""

MIN_VOICE_CORRELATION = 0.1
"""How alike the two models must be by themselves: one that says the same of every record is alike to none."""

SPREAD = 3.0
"""Standard deviations of a count of alerts that chance is given."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate has to keep to.

    It may flag `rate_factor` times what is promised, or so many times less, chance aside; of the records that
    either flags, both must flag a share of `min_agreement`; its average precision may be `max_precision_loss`
    lower than the champion's.
    """

    rate_factor: float = 3.0
    min_agreement: float = 0.5
    max_precision_loss: float = 0.05


class Judgement(msgspec.Struct, frozen=True):
    """Whether a candidate passed; `reasons` say why not, `figures` what was found."""

    passed: bool
    reasons: tuple[str, ...]
    figures: dict[str, float | int | None]


def judge(found: Comparison, bounds: Bounds) -> Judgement:
    """Judge a candidate by its comparison with the champion."""
    reasons = tuple(
        reason
        for reason in (
            _records(found),
            _rate(found, bounds),
            _agreement(found, bounds),
            _precision(found, bounds),
        )
        if reason is not None
    )
    figures: dict[str, float | int | None] = {
        "records": found.records,
        "promised_rate": found.promised_rate,
        "realised_rate": found.candidate.rate,
        "champion_rate": found.champion.rate,
        "agreement": found.agreement,
        "correlation": found.correlation,
        "voice_correlation": found.voice_correlation,
        "average_precision": found.candidate.average_precision,
        "champion_average_precision": found.champion.average_precision,
        "anomalies": found.anomalies,
    }
    return Judgement(not reasons, reasons, figures)


def _records(found: Comparison) -> str | None:
    if found.records >= MIN_RECORDS:
        return None
    return f"{found.records} records to judge by, at least {MIN_RECORDS} are needed"


def _rate(found: Comparison, bounds: Bounds) -> str | None:
    """Look at the realised rate: a burst that the champion flags too is not held against the candidate."""
    promised = found.promised_rate * found.records
    chance = SPREAD * math.sqrt(promised) + SPREAD
    alerts, before = found.candidate.alerts, found.champion.alerts
    most = max(bounds.rate_factor * promised + chance, bounds.rate_factor * before)
    if alerts > most:
        return f"it flags {alerts} of {found.records} records, {promised:.1f} are promised, {most:.0f} may be"
    if alerts < promised / bounds.rate_factor - chance:
        return f"it flags {alerts} of {found.records} records, {promised:.1f} are promised: it has gone quiet"
    return None


def _agreement(found: Comparison, bounds: Bounds) -> str | None:
    either = found.both + found.added + found.removed
    if either >= MIN_ALERTS and found.agreement is not None and found.agreement < bounds.min_agreement:
        return (
            f"it agrees with the champion on {found.agreement:.0%} of {either} records that either flags, "
            f"{bounds.min_agreement:.0%} are needed"
        )
    alike = found.voice_correlation
    if alike is None:
        return "it says the same of every record, or the champion does"
    if alike < MIN_VOICE_CORRELATION:
        return f"what it says by itself has a correlation of {alike:.2f} with what the champion says"
    return None


def _precision(found: Comparison, bounds: Bounds) -> str | None:
    now, before = found.candidate.average_precision, found.champion.average_precision
    if (
        found.anomalies < MIN_ALERTS
        or now is None
        or before is None
        or now >= before - bounds.max_precision_loss
    ):
        return None
    known = f"on {found.anomalies} known anomalies"
    return f"its average precision is {now:.3f}, the champion's {before:.3f}, {known}"
