"""Incidents and mutes: which alerts belong together, and which are not told."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai.alert import Alert, Amendment, Reason, Severity, amended, rfc3339
from anomalyai.control import Mute, MuteEnd
from anomalyai.incident import COOLDOWN_S, MAX_OPEN, Incident, Incidents, about
from anomalyai.mute import MAX_MUTES, Mutes
from anomalyai.pipeline import Pipeline
from anomalyai.schema import FeedSchema
from tests.anomalyai.streams import batch_of
from tests.judging import ODD, TOML, odd_purchases

START_S = 1_700_000_000.0


def alert(
    seq: int,
    *,
    card: str | None = "4111",
    reasons: tuple[tuple[str, float], ...] = (("amount", 1.0),),
    severity: Severity = "low",
    score: float = 4.0,
) -> Alert:
    return Alert(
        id=f"pay-{seq}",
        feed="pay",
        seq=seq,
        time=rfc3339(START_S + seq),
        score=score,
        one_in=10.0**score,
        severity=severity,
        summary=f"amount is odd in {seq}",
        reasons=tuple(Reason(field, field, share) for field, share in reasons),
        record={"amount": 1.0},
        entities={} if card is None else {"card": card},
    )


def test_alerts_of_one_entity_and_reason_are_one_incident() -> None:
    incidents = Incidents("pay")
    for seq in range(1, 201):
        found = incidents.take(alert(seq, score=4.0 + seq % 7), START_S + seq)
    assert found == Incident(
        id="pay-i1",
        feed="pay",
        entities={"card": "4111"},
        field="amount",
        severity="high",
        escalated=True,
        count=200,
        first_seq=1,
        last_seq=200,
        first_time=rfc3339(START_S + 1),
        last_time=rfc3339(START_S + 200),
        worst="pay-6",
        score=10.0,
        one_in=1e10,
        summary="amount is odd in 6",
        revision=200,
    )
    assert incidents.status() == {"open": 1, "begun": 1, "escalated": 2, "evicted": 0}


def test_another_entity_or_another_reason_is_another_incident() -> None:
    incidents = Incidents("pay")
    alerts = [
        alert(1),
        alert(2, card="4222"),
        alert(3, card=None),
        alert(4, reasons=(("country", 0.8), ("amount", 0.2))),
        alert(5, reasons=(("items", 0.6), ("amount", 0.4))),
    ]
    found = [incidents.take(one, START_S + one.seq).id for one in alerts]
    assert found == ["pay-i1", "pay-i2", "pay-i3", "pay-i4", "pay-i1"]
    assert about(alerts[4]) == ("items", "amount")
    assert about(alerts[3]) == ("country",)


def test_an_incident_cools_down_by_event_time() -> None:
    incidents = Incidents("pay")
    times_s = [0.0, COOLDOWN_S, 10.0, 2 * COOLDOWN_S, float("nan"), 3 * COOLDOWN_S + 1.0]
    found = [incidents.take(alert(i + 1), START_S + at_s) for i, at_s in enumerate(times_s)]
    assert [one.id for one in found] == ["pay-i1"] * 5 + ["pay-i6"]
    assert found[4].last_time == rfc3339(START_S + 2 * COOLDOWN_S)


@pytest.mark.parametrize(
    ("count", "least", "severity", "escalated"),
    [
        (9, "low", "low", False),
        (10, "low", "medium", True),
        (100, "low", "high", True),
        (10, "high", "critical", True),
        (100, "critical", "critical", False),
    ],
)
def test_many_alerts_escalate(count: int, least: Severity, severity: Severity, escalated: bool) -> None:
    incidents = Incidents("pay")
    for seq in range(1, count + 1):
        found = incidents.take(alert(seq, severity=least), START_S)
    assert (found.severity, found.escalated) == (severity, escalated)


def test_open_incidents_are_bounded_and_counted() -> None:
    incidents = Incidents("pay")
    for seq in range(1, MAX_OPEN + 11):
        incidents.take(alert(seq, card=str(seq)), START_S)
    assert incidents.status() == {"open": MAX_OPEN, "begun": MAX_OPEN + 10, "escalated": 0, "evicted": 10}
    assert incidents.take(alert(5_000, card="1"), START_S).id == "pay-i5000"
    assert incidents.take(alert(5_001, card="1010"), START_S).id == "pay-i1010"


def test_a_mute_hides_what_it_names_until_its_end() -> None:
    mutes = Mutes("pay")
    change = Mute({"card": "4111"}, "amount", START_S + 100.0, alerts=("pay-1", "pay-2"))
    assert mutes.begin(change, 7) == [Amendment("pay-1", "muted"), Amendment("pay-2", "muted")]

    def status(one: Alert, at_s: float) -> str:
        return mutes.take(one, START_S + at_s).status

    assert status(alert(3), 10.0) == "muted"
    assert status(alert(4, card="4222"), 10.0) == "open"
    assert status(alert(5, reasons=(("country", 1.0),)), 10.0) == "open"
    assert [(one.id, one.hidden) for one in mutes.in_force()] == [("pay-m7", 3)]
    assert status(alert(6), 100.0) == "open"
    assert mutes.status() == {"mutes": 0, "muted": 3, "mutes_refused": 0}


def test_a_mute_can_be_ended_and_their_number_is_bounded() -> None:
    mutes = Mutes("pay")
    for entry in range(MAX_MUTES + 1):
        mutes.begin(Mute({}, f"field{entry}", START_S), entry)
    assert mutes.status() == {"mutes": MAX_MUTES, "muted": 0, "mutes_refused": 1}
    mutes.end(MuteEnd("pay-m3"))
    mutes.end(MuteEnd("pay-m3"))
    assert mutes.status()["mutes"] == MAX_MUTES - 1
    assert mutes.take(alert(1, reasons=(("field3", 1.0),)), 0.0).status == "open"
    assert mutes.take(alert(2, reasons=(("field4", 1.0),)), 0.0).status == "muted"


def test_a_mute_leaves_what_was_judged() -> None:
    judged = msgspec.structs.replace(alert(1), status="real")
    assert amended(judged, Amendment("pay-1", "muted")) is None
    after = amended(alert(1), Amendment("pay-1", "muted"))
    assert after is not None
    assert (after.status, after.revision) == ("muted", 2)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 1_200), max_size=9))
def test_no_cut_and_no_restart_changes_an_incident(cuts: list[int]) -> None:
    records = odd_purchases(1_000)
    attack = {**records[-1], **ODD, "amount": 9_000.0, "customer": "c-attacked"}
    records += [{**attack, "id": f"n{i}", "time": attack["time"] + 5.0 * (i + 1)} for i in range(200)]
    batch = batch_of(records, FeedSchema.from_toml(TOML.encode()))
    whole = Pipeline(batch.schema, feed="pay").process(batch)
    assert sum(one.incident == "pay-i1001" for one in whole.alerts) == 200
    pipeline, found = Pipeline(batch.schema, feed="pay"), dict[str, Incident]()
    for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), batch.n], strict=True):
        found |= {one.id: one for one in pipeline.process(batch.slice(start, stop)).incidents}
        pipeline = Pipeline.loads(pipeline.dumps())
    assert list(found.values()) == whole.incidents
    assert found["pay-i1001"].count == 200
    assert sum(one.count for one in whole.incidents) == len(whole.alerts)
