"""Retraining beside a live feed, on a clock that the test moves: when it begins, and what it ends in."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from anomalyai.gate import Bounds, judge
from anomalyai.training import TrainingSet, train
from stream.candidate.replay import Question, opened
from stream.errors import NoModel, RetrainingRuns, UnknownFeed
from stream.retraining.decision import Decision
from stream.runtime import Runtime
from stream.settings import Retraining, Settings
from stream.testing import ManualClock
from tests.stream.feeding import drain, frame, records, wait_until

ENOUGH, MORE, SETTLED = 3_000, 700, 12_000
HOUR_S = 3_600.0
EVERY = Retraining(every_s=HOUR_S, every_records=600, on_drift=False, gate_records=1_000)


@contextmanager
def running(data: Path, clock: ManualClock, retraining: Retraining) -> Iterator[Runtime]:
    runtime = Runtime.open(Settings(data=str(data), retraining=retraining), clock)
    try:
        runtime.start()
        yield runtime
    finally:
        runtime.stop(60.0)


def kinds(runtime: Runtime) -> list[str]:
    """Return the kinds of a feed's decisions, the oldest first."""
    return [decision.kind for decision in decisions(runtime)]


def decisions(runtime: Runtime) -> list[Decision]:
    found: list[Decision] = runtime.retraining.describe("f")["decisions"]
    return found[::-1]


def champion(runtime: Runtime) -> Any:
    model = runtime.feed("f")["model"]
    return None if model is None else model["id"]


def post(runtime: Runtime, first: int, n: int) -> None:
    runtime.post("f", frame(first, n), "application/json")
    drain(runtime)


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory whose feed has its first model."""
    data = tmp_path_factory.mktemp("retraining") / "data"
    with running(data, ManualClock(), EVERY) as runtime:
        post(runtime, 0, ENOUGH)
        wait_until(lambda: champion(runtime) is not None, "the first model")
        runtime.post("young", frame(0, 40), "application/json")
        drain(runtime)
    return data


@pytest.mark.timeout(300)
def test_it_is_trained_on_schedule_and_a_restart_keeps_its_word(fed: Path, tmp_path: Path) -> None:
    data, clock = tmp_path / "data", ManualClock()
    shutil.copytree(fed, data)
    with running(data, clock, EVERY) as runtime:
        first = champion(runtime)
        post(runtime, ENOUGH, MORE)
        assert kinds(runtime) == []  # the hour is not over
        clock.advance(2 * HOUR_S)
        wait_until(lambda: kinds(runtime) != [], "a start")
        [start] = decisions(runtime)
        assert (start.kind, start.cause, start.champion) == ("started", "schedule", first)
        with pytest.raises(RetrainingRuns):
            runtime.retraining.by_hand("f")
    with running(data, clock, EVERY) as runtime:  # it was cut short while it trained
        assert kinds(runtime)[0] == "started"
        wait_until(lambda: kinds(runtime)[-1] in ("promoted", "refused", "failed"), "the gate")
        assert kinds(runtime) == ["started", "passed", "promoted"], decisions(runtime)
        passed = decisions(runtime)[1]
        assert passed.figures["records"] == EVERY.gate_records
        assert passed.figures["agreement"] >= 0.5
        wait_until(lambda: champion(runtime) == passed.model, "the new model")
        assert champion(runtime) != first
        clock.advance(2 * HOUR_S)  # too few records came since
        post(runtime, ENOUGH + MORE, 100)
        assert len(kinds(runtime)) == 3


@pytest.mark.timeout(300)
def test_what_does_not_pass_waits_for_a_person(fed: Path, tmp_path: Path) -> None:
    data, clock = tmp_path / "data", ManualClock()
    shutil.copytree(fed, data)
    with running(data, clock, EVERY) as runtime:
        first = champion(runtime)
        columns = runtime.models.manifest(first).columns
        same = TrainingSet(np.zeros((200, len(columns))), columns, last_seq=0, seed=1)
        empty = runtime.models.save("f", train(same)).id
        runtime.promotions.promote("f", empty)
        with pytest.raises(UnknownFeed):
            runtime.retraining.by_hand("nowhere")
        with pytest.raises(NoModel):
            runtime.retraining.by_hand("young")
        job = runtime.retraining.by_hand("f")
        wait_until(lambda: kinds(runtime)[-1] in ("promoted", "refused", "failed"), "the gate")
        refused = decisions(runtime)[-1]
        assert (refused.kind, refused.cause, refused.job) == ("refused", "hand", job.id), refused
        assert any("the same of every record" in reason for reason in refused.reasons)
        assert champion(runtime) == empty
        assert refused.model in [manifest.id for manifest in runtime.models.list("f")]
    with opened(data) as replays:
        question = Question(feed="f", model=empty, champion=first, records=1_000)
        found = judge(replays.answer(question).comparison, Bounds())
    assert not found.passed
    assert any("the same of every record" in reason for reason in found.reasons)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_drift_begins_one_and_the_next_waits_for_the_cool_down(fed: Path, tmp_path: Path) -> None:
    data, clock = tmp_path / "data", ManualClock()
    shutil.copytree(fed, data)
    drifting = msgspec.structs.replace(EVERY, every_s=0.0, on_drift=True, min_agreement=0.0)
    ends = ("promoted", "refused", "failed")
    with running(data, clock, drifting) as runtime:
        first = SETTLED
        for start in range(ENOUGH, SETTLED, 1_000):  # before, nothing is known of how blocks vary
            post(runtime, start, 1_000)
        assert kinds(runtime) == []
        while not kinds(runtime):
            assert first < SETTLED + 20_000
            moved = [{**record, "score": record["score"] + 1.5} for record in records(first, 500)]
            runtime.post("f", msgspec.json.encode(moved), "application/json")
            drain(runtime)
            time.sleep(1.2)  # the feeds are looked at once a second
            first += 500
        assert decisions(runtime)[0].cause == "drift"
        wait_until(lambda: kinds(runtime)[-1] in ends, "the gate")
        before = len(kinds(runtime))
        while not runtime.retraining.cooled:
            assert first < SETTLED + 40_000
            moved = [{**record, "amount": record["amount"] + 25.0} for record in records(first, 500)]
            runtime.post("f", msgspec.json.encode(moved), "application/json")
            drain(runtime)
            time.sleep(1.2)
            first += 500
        assert len(kinds(runtime)) == before
        clock.advance(2 * HOUR_S)
        wait_until(lambda: len(kinds(runtime)) > before, "the start after the cool-down")
        assert decisions(runtime)[before].cause == "drift"
