"""Any cut of a log into batches, with control entries and restarts in between, gives the same bits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import msgspec
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anomalyai.arrival import Origins
from anomalyai.control import BudgetChange, ControlEntry, Labels, ModelSwap, SchemaChange, Verdict
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.training import TrainedModel, train
from tests.anomalyai.streams import Record, admitted, purchases

RECORDS = 3_000
Entry = ControlEntry | RecordBatch


class Log(NamedTuple):
    """Where control entries stand: records before each."""

    field: int
    budget: int
    swap: int
    verdict: int
    labels: int


class Outcome(NamedTuple):
    scores: bytes
    flagged: bytes
    alerts: bytes
    amendments: bytes
    state: bytes


@cache
def records() -> list[Record]:
    """Return purchases with newcomers, late, future and missing times and planted anomalies; no label."""
    rng = np.random.default_rng(11)
    made = purchases(RECORDS, seed=5, missing=0.05)
    for i, record in enumerate(made):
        del record["label"]
        if rng.random() < 0.1:
            record["customer"] = f"newcomer {i}"
        if rng.random() < 0.03:
            record["time"] -= float(rng.choice([40.0, 4_000.0, 400_000.0]))
        if rng.random() < 0.01:
            record["time"] = None
        elif rng.random() < 0.01 or 900 < i < 930:
            record["time"] = 4_070_908_800.0 + i
        elif i > 1_900:
            record["time"] += 3.0 * 86_400.0
        if rng.random() < 0.005:
            record.update(amount=float(rng.choice([9_000.0, 50_000.0])), shop="never seen")
    return made


@cache
def entries(field_at: int) -> tuple[SchemaChange | RecordBatch, ...]:
    """Return what an intake makes of the records, of which one after the other brings a new field."""
    made = [
        {**record, "discount": float(i % 7)} if i >= field_at and i % 3 == 0 else record
        for i, record in enumerate(records())
    ]
    return tuple(admitted(made))


@cache
def model() -> TrainedModel:
    pipeline = Pipeline()
    for entry in entries(RECORDS):
        if isinstance(entry, SchemaChange):
            pipeline.apply(entry)
        else:
            pipeline.process(entry)
    training_set = pipeline.pending_training_set()
    assert training_set is not None
    return train(training_set)


def judged(before: int) -> Verdict:
    """Return a verdict on the first planted record, or on the last before the verdict if that comes later."""
    planted = next(i for i, record in enumerate(records()) if i > 40 and record["shop"] == "never seen")
    seq = min(planted, before - 1) + 1
    return Verdict(seq, "false_alarm", records()[seq - 1])


def labelled(before: int) -> Labels:
    """Return labels of the eighty records before them."""
    seqs = tuple(range(max(before - 80, 0) + 1, before + 1))
    odd = tuple(1 if records()[seq - 1]["shop"] == "never seen" or seq % 9 == 0 else 0 for seq in seqs)
    return Labels(seqs, odd, tuple(records()[seq - 1] for seq in seqs))


def cut(log: Log, cuts: Sequence[int]) -> list[tuple[int, Entry]]:
    """Return the log's entries with the records before each, batches cut; controls before their record."""
    edges = sorted({*cuts, *log})
    controls: list[tuple[int, Entry]] = [
        (log.budget, BudgetChange("1/150")),
        (log.swap, ModelSwap("m", "", "isolation_forest")),
        (log.verdict, judged(log.verdict)),
        (log.labels, labelled(log.labels)),
    ]
    found: list[tuple[int, Entry]] = []
    seen = 0
    for entry in entries(log.field):
        if isinstance(entry, SchemaChange):
            found.append((seen, entry))
            continue
        inner = [edge - seen for edge in edges if 0 < edge - seen < entry.n]
        for a, b in zip([0, *inner], [*inner, entry.n], strict=True):
            found += [control for control in controls if control[0] == seen + a]
            found.append((seen + a, entry.slice(a, b)))
        seen += entry.n
    return found


def origins(batch: RecordBatch) -> Origins:
    """Return the origins of records of which ten came at a time, every five seconds."""
    entries = np.arange((batch.first_seq - 1) // 10, (batch.first_seq + batch.n - 2) // 10 + 1) + 1
    return Origins(entries, 10 * entries, 1_700_000_000.0 + 5.0 * entries)


def outcome(log: Log, cuts: Sequence[int], restarts: Sequence[int]) -> Outcome:
    pipeline = Pipeline(feed="shop", budget="1/400", seed=3)
    waiting = sorted(restarts, reverse=True)
    parts = []
    amendments = []
    for before, entry in cut(log, [*cuts, *restarts]):
        while waiting and waiting[-1] <= before:
            waiting.pop()
            pipeline = Pipeline.loads(pipeline.dumps(), {"m": model()})
        if isinstance(entry, RecordBatch):
            parts.append(pipeline.process(entry, origins(entry)))
        elif isinstance(entry, ModelSwap):
            pipeline.swap(entry.model_id, model())
        else:
            amendments += pipeline.apply(entry)
    assert pipeline.seen == RECORDS
    assert pipeline.model_id == "m"
    assert pipeline.budget == "1/150"
    return Outcome(
        np.concatenate([part.score for part in parts]).tobytes(),
        np.concatenate([part.flagged for part in parts]).tobytes(),
        b"\n".join(msgspec.json.encode(alert) for part in parts for alert in part.alerts),
        msgspec.json.encode(amendments),
        pipeline.dumps(),
    )


whole = cache(outcome)

LOGS = (
    Log(1_400, 2_050, 1_301, 1_700, 2_200),
    Log(700, 90, 2_500, 1_024, 800),
    Log(2_047, 512, 512, 2_100, 2_040),
)
"""A new field, a smaller budget, a model, verdicts: in any order, within and between blocks, while kinds may
change."""

PLACES = st.integers(1, RECORDS - 1)


@example(log=LOGS[0], cuts=list(range(1, RECORDS, 7)), restarts=[])
@example(log=LOGS[1], cuts=list(range(1, RECORDS)), restarts=[19, 100, 1_000])
@settings(max_examples=25, deadline=None)
@given(
    log=st.sampled_from(LOGS),
    cuts=st.lists(PLACES, max_size=60),
    restarts=st.lists(st.one_of(PLACES, st.integers(1, 600)), max_size=8),
)
def test_no_cut_and_no_restart_changes_anything(log: Log, cuts: list[int], restarts: list[int]) -> None:
    expected = whole(log, (), ())
    assert expected.alerts.count(b"\n") > 10
    assert expected.amendments.count(b'"status":null') > 0
    got = outcome(log, cuts, restarts)
    for name, left, right in zip(Outcome._fields, got, expected, strict=True):
        assert left == right, name


def test_the_control_entries_act() -> None:
    """Else the test above would prove little: each one of them changes scores, flags or state."""
    base = whole(LOGS[0], (), ())
    for moved in (
        LOGS[0]._replace(field=RECORDS),
        LOGS[0]._replace(budget=1_400),
        LOGS[0]._replace(swap=1_100),
        LOGS[0]._replace(verdict=1_600),
        LOGS[0]._replace(labels=2_100),
    ):
        same = whole(moved, (), ()) == base
        assert not same, moved
