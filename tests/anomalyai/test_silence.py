"""Silences through the pipeline: what is raised, what it says, and that a replay says the same."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai.alert import Alert, Amendment, amended
from anomalyai.arrival import Origins
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema

SCHEMA = FeedSchema.from_toml('[feed]\ntime = "ts"\nentities = ["machine_id"]\nnumbers = ["load"]\n')
START_S = 1_700_000_000.0
N = 3_000


@cache
def machines() -> tuple[dict[str, Any], ...]:
    """Return reports of twenty machines, one every ten seconds each; m7 and m8 pause, m9 never returns."""
    rng = np.random.default_rng(4)
    silent = {"m7": (1_500, 2_100), "m8": (1_500, 2_400), "m9": (1_500, N)}
    made = []
    for i in range(N):
        name = f"m{i % 20}"
        first, last = silent.get(name, (N, N))
        if not first <= i < last:
            made.append({"ts": START_S + 0.5 * i, "machine_id": name, "load": round(float(rng.normal()), 2)})
    return tuple(made)


@cache
def reports() -> RecordBatch:
    return RecordBatch.from_records(machines(), SCHEMA).numbered(1)


def fresh() -> Pipeline:
    return Pipeline(reports().schema, feed="plant")


def origins(batch: RecordBatch) -> Origins:
    entries = np.arange(batch.first_seq, batch.first_seq + batch.n)
    return Origins(entries + 100, entries, START_S + 0.5 * entries)


def run(pipeline: Pipeline, cuts: list[int]) -> tuple[list[Alert], list[Amendment], Pipeline]:
    batch = reports()
    alerts: list[Alert] = []
    amendments: list[Amendment] = []
    edges = [0, *sorted({cut for cut in cuts if cut < batch.n}), batch.n]
    for a, b in pairwise(edges):
        pipeline = Pipeline.loads(pipeline.dumps())
        scored = pipeline.process(batch.slice(a, b), origins(batch.slice(a, b)))
        alerts += [alert for alert in scored.alerts if alert.record is None]
        amendments += scored.amendments
    return alerts, amendments, pipeline


def test_machines_that_stop_are_raised_and_amended_when_they_come_back() -> None:
    alerts, amendments, pipeline = run(fresh(), [])
    assert [alert.entities["machine_id"] for alert in alerts] == ["m7", "m8", "m9"]
    assert len({alert.id for alert in alerts}) == 3
    for alert in alerts:
        assert alert.id.startswith(f"plant-s{alert.seq + 100}")
        assert (alert.record, alert.status, alert.resumed, alert.revision) == (None, "open", None, 1)
        assert alert.score > 3.0
        assert alert.summary.startswith(f"machine {alert.entities['machine_id']} has been silent for ")
        assert alert.summary.endswith(", usually every 10 s")
    assert [change.id for change in amendments] == [alerts[0].id, alerts[1].id]
    closed = amended(alerts[0], amendments[0])
    assert closed is not None
    assert (closed.status, closed.revision) == ("open", 2)
    assert closed.resumed is not None
    assert closed.summary.endswith("usually every 10 s; resumed after 5.2 minutes")
    assert pipeline.status()["silences"] == {
        "watched": 20,
        "open": 1,
        "raised": 3,
        "resumed": 2,
        "withheld": 0,
    }


def test_an_ordinary_alert_says_nothing_of_resuming() -> None:
    silent = run(fresh(), [])[0][0]
    assert b'"resumed":null' in msgspec.json.encode(silent)
    plain = msgspec.structs.replace(silent, resumed=msgspec.UNSET)
    assert b"resumed" not in msgspec.json.encode(plain)
    assert msgspec.json.decode(msgspec.json.encode(plain), type=Alert) == plain


def test_watching_changes_no_score() -> None:
    batch = reports()
    watched = fresh().process(batch, origins(batch))
    plain = fresh().process(batch)
    assert watched.score.tobytes() == plain.score.tobytes()
    assert plain.amendments == []


def test_several_that_one_entry_shows_have_ids_of_their_own() -> None:
    batch = reports()
    scored = fresh().process(batch, Origins.one(9, batch.n, START_S))
    assert [a.id for a in scored.alerts if a.record is None] == ["plant-s9", "plant-s9-2", "plant-s9-3"]


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, N), max_size=12))
def test_no_cut_and_no_restart_changes_a_silence(cuts: list[int]) -> None:
    expected, found = run(fresh(), []), run(fresh(), cuts)
    assert found[:2] == expected[:2]
    assert found[2].dumps() == expected[2].dumps()


def test_a_feed_that_stops_is_raised_by_a_tick_once_and_amended_when_it_comes_back() -> None:
    batch = reports()
    pipeline = fresh()
    pipeline.process(batch.slice(0, 2_000), origins(batch.slice(0, 2_000)))
    last_s, allowed_s = pipeline.silences.last_arrival_s, pipeline.silences.allowed_s
    assert allowed_s == 30.0
    assert pipeline.tick(last_s + 20.0, 5_000, 2_000).alerts == []
    [alert] = pipeline.tick(last_s + 720.0, 5_001, 2_000).alerts
    assert (alert.id, alert.seq, alert.entities, alert.record) == ("plant-s5001", 2_000, {}, None)
    assert alert.summary == "the feed has been silent for 12 minutes, usually every 1 s"
    assert pipeline.tick(last_s + 900.0, 5_002, 2_000).alerts == []
    pipeline = Pipeline.loads(pipeline.dumps())
    late = batch.slice(2_000, 2_100)
    later = origins(late)._replace(
        entries=np.arange(6_000, 6_100), arrivals_s=last_s + 1_000.0 + np.arange(100)
    )
    [change] = [c for c in pipeline.process(late, later).amendments if c.id == alert.id]
    assert (change.resumed_s, change.silent_s) == (last_s + 1_000.0, 1_000.0)
