"""Verdicts and labels change what is flagged next; what is held back is learnt or dropped by them."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyai import state
from anomalyai.alert import Alert, Amendment, amended
from anomalyai.control import Labels, Verdict
from anomalyai.history import MAX_JUDGED, VerdictHistory
from anomalyai.judged import JudgedRows
from anomalyai.pipeline import Pipeline
from anomalyai.quarantine import Quarantine
from anomalyai.training import train
from tests.anomalyai.streams import SCHEMA, Record, alerts, batch_of, purchases, run

ODD = {"amount": 260.0, "items": 9, "load": 2.8, "channel": "app"}


def feed(odd: int = 12) -> list[Record]:
    """Return 4,000 purchases, the last thousand with some odd ones that are alike."""
    records = purchases(4_000, missing=0.0)
    for record in records:
        del record["label"]
    rng = np.random.default_rng(3)
    for place in range(3_000, 3_000 + 60 * odd, 60):
        records[place].update(ODD, amount=float(260.0 * np.exp(0.05 * rng.normal())))
    return records


def mature(records: list[Record]) -> tuple[Pipeline, list[int]]:
    """Return the pipeline after the records, and which were flagged."""
    pipeline = Pipeline(SCHEMA, trainer=train, budget="1/200")
    found = alerts(run(pipeline, batch_of(records)))
    return pipeline, [alert.seq for alert in found]


def score(pipeline: Pipeline, record: Record) -> float:
    return pipeline.predict(batch_of([record], pipeline.schema))[0].score


def probe(records: list[Record]) -> Record:
    """Return one more of the odd records, of a customer that has come before."""
    return {**records[-1], "time": records[-1]["time"] + 60.0, **ODD}


def test_what_was_flagged_is_held_back() -> None:
    records = feed()
    pipeline, flagged = mature(records)
    assert {seq for seq in flagged if seq > 3_000} >= {3_001, 3_061}
    held = pipeline._scorer.quarantine
    assert set(held.seqs.tolist()) <= set(flagged)
    assert pipeline.status()["quarantined"] == len(held) > 5


def test_a_false_alarm_makes_what_is_like_it_more_usual_and_a_confirmed_one_rarer() -> None:
    records = feed()
    scores = {}
    for verdict in ("false_alarm", "unsure", "real"):
        pipeline, flagged = mature(records)
        for seq in [seq for seq in flagged if seq > 3_000]:
            pipeline.apply(Verdict(seq, verdict, records[seq - 1]))  # type: ignore[arg-type]
        scores[verdict] = score(pipeline, probe(records))
    assert scores["false_alarm"] < scores["unsure"] - 0.3
    assert scores["real"] > scores["unsure"] + 0.3


def test_a_verdict_lets_a_record_out_of_quarantine_and_only_a_false_alarm_is_learnt() -> None:
    records = feed()
    for verdict, is_learnt in (("real", False), ("false_alarm", True)):
        pipeline, _ = mature(records)
        held = pipeline._scorer.quarantine
        seq, clean = int(held.seqs[-1]), pipeline._scorer.reservoir.offered
        trees = pipeline._scorer.ensemble.tight.state()
        pipeline.apply(Verdict(seq, verdict, records[seq - 1]))  # type: ignore[arg-type]
        assert seq not in held.seqs
        assert (pipeline._scorer.reservoir.offered > clean) == is_learnt
        same = all(
            np.array_equal(value, trees[name])
            for name, value in pipeline._scorer.ensemble.tight.state().items()
        )
        assert same != is_learnt


def test_open_alerts_of_the_same_kind_are_ranked_anew() -> None:
    records = feed()
    odd = [seq for seq in range(3_001, 3_661, 60)]
    for verdict, way in (("real", 1.0), ("false_alarm", -1.0)):
        pipeline, _ = mature(records)
        held = [seq for seq in odd if seq in pipeline._scorer.quarantine.seqs]
        assert len(held) > 4
        threshold = pipeline._scorer.threshold
        *before, last = held
        changes = [
            change
            for seq in before
            for change in pipeline.apply(Verdict(seq, verdict, records[seq - 1]))  # type: ignore[arg-type]
        ]
        statuses = [(change.id, change.status) for change in changes if change.status is not None]
        assert statuses == [(f"feed-{seq}", verdict) for seq in before]
        shifts = sum(change.shift for change in changes if change.id == f"feed-{last}")
        assert way * shifts > 0.1, f"an alert like the judged ones moved by {shifts}"
        assert {change.threshold for change in changes if change.status is None} == {threshold}
        assert all(f"feed-{seq}" in {change.id for change in changes} for seq in (*before, last))


def test_an_open_alert_of_an_entity_with_a_confirmed_one_is_ranked_higher_than_others() -> None:
    records = feed()
    first, same, other = 3_421, 3_481, 3_541
    for seq, customer in ((first, "c5"), (same, "c5"), (other, "c6")):
        records[seq - 1].update(ODD, customer=customer)
    pipeline, flagged = mature(records)
    assert {first, same, other} <= set(flagged)
    shifts = {c.id: c.shift for c in pipeline.apply(Verdict(first, "real", records[first - 1]))}
    assert shifts[f"feed-{same}"] > shifts.get(f"feed-{other}", 0.0) + 0.2
    taken_back = {c.id: c.shift for c in pipeline.apply(Verdict(first, "unsure", records[first - 1]))}
    assert taken_back[f"feed-{same}"] == pytest.approx(-shifts[f"feed-{same}"], abs=1e-3)


def test_a_verdict_takes_the_place_of_the_one_before() -> None:
    records = feed()
    pipeline, flagged = mature(records)
    seq = [seq for seq in flagged if seq > 3_000][-1]
    untouched = score(pipeline, records[seq - 1])
    scores = []
    for verdict in ("real", "unsure", "real", "false_alarm"):
        pipeline.apply(Verdict(seq, verdict, records[seq - 1]))  # type: ignore[arg-type]
        scores.append(score(pipeline, records[seq - 1]))
        state = pipeline.dumps()
        model = pipeline._scorer.ensemble.model
        assert model is not None
        pipeline = Pipeline.loads(state, {"trained-in-place": model})
        changes = pipeline.apply(Verdict(seq, verdict, records[seq - 1]))  # type: ignore[arg-type]
        assert [change.status for change in changes] == [verdict], "said again it moves nothing"
        assert pipeline.dumps() == state
    assert scores[1] == pytest.approx(untouched, abs=1e-6)
    assert scores[0] > untouched > scores[3]


def test_a_verdict_on_no_single_record_is_its_alerts_status_alone() -> None:
    pipeline, _ = mature(feed())
    before = pipeline.dumps()
    [change] = pipeline.apply(Verdict(4_000, "real", None, alert="feed-s17"))
    assert (change.id, change.status, change.shift) == ("feed-s17", "real", 0.0)
    assert pipeline.dumps() == before


def test_an_alerts_next_revision() -> None:
    alert = Alert(
        id="f-1", feed="f", seq=1, time=None, score=4.0, one_in=1e4, severity="medium", summary="",
        reasons=(), record={}, entities={},
    )  # fmt: skip
    moved = amended(alert, Amendment("f-1", None, shift=-0.5, threshold=3.0))
    assert moved is not None
    assert (moved.score, moved.severity, moved.status, moved.revision) == (3.5, "low", "open", 2)
    assert moved.one_in == pytest.approx(10**3.5)
    sunk = amended(alert, Amendment("f-1", None, shift=-9.0, threshold=3.0))
    assert sunk is not None
    assert (sunk.score, sunk.one_in) == (0.0, 1.0)
    judged = amended(moved, Amendment("f-1", "real"))
    assert judged is not None
    assert (judged.score, judged.status, judged.revision) == (3.5, "real", 3)
    assert amended(judged, Amendment("f-1", "real")) is None
    assert amended(judged, Amendment("f-1", None, shift=2.0, threshold=3.0)) is None, (
        "judged ones keep theirs"
    )


def test_an_unsure_verdict_changes_nothing() -> None:
    records = feed()
    pipeline, flagged = mature(records)
    before = pipeline.dumps()
    pipeline.apply(Verdict(flagged[-1], "unsure", records[flagged[-1] - 1]))
    assert pipeline.dumps() == before


def test_a_new_normal_takes_all_that_is_like_it() -> None:
    records = feed()
    pipeline, flagged = mature(records)
    before = pipeline.status()
    alike = [seq for seq in flagged if seq > 3_000 and (seq - 3_001) % 60 == 0]
    pipeline.apply(Verdict(alike[-1], "new_normal", records[alike[-1] - 1]))
    after = pipeline.status()
    assert after["quarantined"] < before["quarantined"] - 2
    assert after["adopted"] - before["adopted"] == before["quarantined"] - after["quarantined"]
    assert after["notices"][-1]["kind"] == "adopted"
    assert f"like number {alike[-1]}" in after["notices"][-1]["text"]


def test_an_entity_with_confirmed_anomalies_is_watched_more_closely() -> None:
    records = feed(odd=0)
    pipeline, _ = mature(records)
    usual = {**records[-1], "time": records[-1]["time"] + 60.0}
    other = {**usual, "customer": "c59", "shop": "s-other"}
    before = score(pipeline, usual), score(pipeline, other)
    places = [i for i, record in enumerate(records) if record["customer"] == usual["customer"]][-3:]
    pipeline.apply(Labels(tuple(i + 1 for i in places), (1, 1, 1), tuple(records[i] for i in places)))
    after = score(pipeline, usual), score(pipeline, other)
    assert after[0] > before[0] + 0.5
    assert after[1] == pytest.approx(before[1], abs=0.3)
    why = pipeline.explain(batch_of([usual], pipeline.schema), 0)
    assert "was confirmed as anomalous" in next(r.text for r in why.reasons if r.field == "customer")
    pipeline.apply(Labels(tuple(range(1, 501)), (0,) * 500, (usual,) * 500))
    assert score(pipeline, usual) < after[0] - 0.5


def test_labels_of_normal_records_take_it_back_and_time_lets_it_fade() -> None:
    history = VerdictHistory()
    who = np.array([7], dtype=np.uint64)
    start = np.array([1_700_000_000.0])
    assert history.observe(who, start, 5_000)[0] == 0.0
    history.learn(who, start, np.array([True]), 1)
    confirmed = history.observe(who, start, 5_000)[0]
    assert 4.0 < confirmed <= 6.0
    assert 0.0 < history.observe(who, start + 120 * 86_400.0, 5_000)[0] < confirmed - 1.0
    assert history.observe(np.array([8], dtype=np.uint64), start, 5_000)[0] == 0.0
    for _ in range(60):
        history.learn(who, start, np.array([False]), 2)
    assert history.observe(who, start, 5_000)[0] < confirmed - 1.5
    other = VerdictHistory()
    other.restore(state.loads("history", state.dumps("history", history.state())))
    assert other.observe(who, start + 5.0, 9)[0] == history.observe(who, start + 5.0, 9)[0]


def test_verdicts_are_bounded() -> None:
    history = VerdictHistory()
    keys = np.arange(1, 5 * MAX_JUDGED, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    history.learn(keys, np.zeros(len(keys)), np.ones(len(keys), dtype=np.bool_), 1)
    assert history.table.evicted > 0
    assert history.table.slots <= 4 * MAX_JUDGED
    quarantine, judged = Quarantine(10), JudgedRows(10)
    for first in range(0, 2_000, 100):
        seqs, nobody = np.arange(first, first + 100), np.zeros((100, 0), dtype=np.uint64)
        quarantine.add(seqs, np.zeros((100, 10)), nobody, np.zeros(100))
        judged.add(range(first, first + 100), np.zeros((100, 10)), 1)
    assert len(quarantine) == quarantine.capacity
    assert quarantine.dropped == 2_000 - quarantine.capacity
    assert quarantine.seqs[-1] == 1_999
    assert len(judged) == judged.capacity


def test_a_lasting_change_is_adopted_and_said() -> None:
    records = purchases(14_000, missing=0.0)
    for record in records[5_000:]:
        record["load"] += 8.0
    pipeline = Pipeline(SCHEMA, trainer=train, explained=False)
    parts = run(pipeline, batch_of(records))
    notices = [notice for part in parts for notice in part.notices if notice.kind == "adopted"]
    assert sum(notice.after or 0.0 for notice in notices) > 50
    assert pipeline.status()["adopted"] == sum(notice.after or 0.0 for notice in notices)


def test_an_attack_is_not_adopted() -> None:
    records = purchases(14_000, missing=0.0)
    for record in records[5_000:5_600]:
        record.update(load=60.0, items=300)
    pipeline = Pipeline(SCHEMA, trainer=train, explained=False)
    batch = batch_of(records)
    run(pipeline, batch)
    attack = pipeline._scorer.quarantine.seqs
    assert np.count_nonzero((attack > 5_000) & (attack <= 5_600)) > 50
