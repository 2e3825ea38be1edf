"""Candidates for a feed: in its shadow, and over its log, in this process and in one of its own."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from anomalyai.errors import ModelError, SchemaError
from anomalyai.model_store import ModelStore
from anomalyai.training import TrainingSet, train
from stream.candidate.comparison import Compared
from stream.candidate.replay import Answer, Question, opened
from stream.errors import NoModel, NoShadow, Overloaded, StoreVersion, UnknownFeed
from stream.runtime import Runtime
from stream.testing import ManualClock
from tests.stream.feeding import Outcome, drain, frame, outcome, running, wait_until

ENOUGH, MORE = 3_000, 600


class Fed(NamedTuple):
    """A stopped data directory whose feed has a model and a candidate."""

    data: Path
    champion: str
    candidate: str


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Fed:
    data = tmp_path_factory.mktemp("candidate") / "data"
    with running(data, ManualClock(), snapshot_every_s=1e9) as runtime:
        runtime.post("f", frame(0, ENOUGH), "application/json")
        drain(runtime)
        wait_until(lambda: runtime.feed("f")["model"] is not None, "the first model")
        champion = runtime.feed("f")["model"]["id"]
        for start in range(ENOUGH, ENOUGH + MORE, 150):
            runtime.post("f", frame(start, 150), "application/json")
        runtime.post("young", frame(0, 40), "application/json")
        drain(runtime)
        columns = runtime.models.manifest(champion).columns
        rows = np.random.default_rng(3).normal(size=(400, len(columns)))
        candidate = runtime.models.save("f", train(TrainingSet(rows, columns, last_seq=0, seed=1))).id
        odd = TrainingSet(rows[:, :2], columns[:2], last_seq=0, seed=1)
        runtime.models.save("young", train(odd))
    return Fed(data, champion, candidate)


@contextmanager
def again(fed: Fed, folder: Path) -> Iterator[Runtime]:
    """Run on a copy of the directory."""
    shutil.copytree(fed.data, folder / "data")
    with running(folder / "data", ManualClock(), snapshot_every_s=1e9) as runtime:
        yield runtime


def end(fed: Fed, folder: Path, *, shadowed: bool) -> Outcome:
    """Let the feed go on, with or without a shadow for a while; returns everything that is there then."""
    with again(fed, folder) as runtime:
        if shadowed:
            runtime.shadows.begin(fed.candidate)
        for start in range(ENOUGH + MORE, ENOUGH + 2 * MORE, 97):
            runtime.post("f", frame(start, 97), "application/json")
        drain(runtime)
        if shadowed:
            status = runtime.feed("f")["shadow"]
            assert status["records"] == 7 * 97
            assert status["both"] + status["added"] + status["removed"] > 0
            runtime.shadows.end(fed.candidate)
        runtime.post("f", frame(9_000, 50), "application/json")
        drain(runtime)
    return outcome(folder / "data")


def test_a_shadow_changes_no_alert_and_no_score(fed: Fed, tmp_path: Path) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    plain = end(fed, tmp_path / "without", shadowed=False)
    beside = end(fed, tmp_path / "with", shadowed=True)
    assert [row[1] for row in beside.entries if row[1] != "shadow"] == [row[1] for row in plain.entries]
    assert len(beside.entries) == len(plain.entries) + 2
    assert beside.alerts == plain.alerts
    assert len(plain.alerts) > 5
    assert list(beside.scores.values()) == list(plain.scores.values())


def test_a_shadow_outlives_a_restart_and_ends_with_its_promotion(fed: Fed, tmp_path: Path) -> None:
    with again(fed, tmp_path) as runtime:
        assert runtime.shadows.begin(fed.candidate, "f")["shadow"]["model"] == fed.candidate
        runtime.post("f", frame(ENOUGH + MORE, 200), "application/json")
        drain(runtime)
        before = runtime.comparisons.compare(fed.candidate)
    with running(tmp_path / "data", ManualClock()) as runtime:
        found = runtime.comparisons.compare(fed.candidate)
        assert found == before
        assert found is not None
        assert (found.source, found.exact, found.comparison.records) == ("shadow", True, 200)
        assert found.comparison.champion.model == fed.champion
        runtime.install_model("f", fed.candidate)
        wait_until(lambda: runtime.feed("f")["model"]["id"] == fed.candidate, "the promotion")
        assert runtime.feed("f")["shadow"] is None
        with pytest.raises(NoShadow):
            runtime.shadows.end(fed.candidate)
        with pytest.raises(ModelError) as caught:
            runtime.shadows.begin(fed.candidate)
        assert caught.value.code == "model_in_use"


def test_what_cannot_be_shadowed_is_refused(fed: Fed, tmp_path: Path) -> None:
    with again(fed, tmp_path) as runtime:
        [odd] = [manifest.id for manifest in runtime.models.list("young")]
        with pytest.raises(ModelError) as caught:
            runtime.shadows.begin(odd, "f")
        assert caught.value.code == "model_columns"
        with pytest.raises(ModelError) as caught:
            runtime.shadows.begin("nothing")
        assert caught.value.code in ("model_missing", "model_id")
        with pytest.raises(UnknownFeed):
            runtime.shadows.begin(fed.candidate, "nowhere")
        with pytest.raises(NoModel):
            runtime.comparisons.compare(fed.candidate, "young")
        with pytest.raises(SchemaError):
            runtime.comparisons.compare(fed.candidate, budget="lots")
        assert runtime.feed("f")["shadow"] is None


def test_a_process_compares_over_the_log_beside_the_engine(fed: Fed, tmp_path: Path) -> None:
    with again(fed, tmp_path) as runtime:
        found = runtime.comparisons.compare(fed.candidate, last=500, wait_s=0.0)
        assert found is None
        with pytest.raises(Overloaded):
            runtime.comparisons.compare(fed.candidate, last=501, wait_s=0.0)
        found = runtime.comparisons.compare(fed.candidate, last=500, wait_s=60.0)
        began = time.monotonic()
        assert runtime.comparisons.compare(fed.candidate, last=500) == found
        assert time.monotonic() - began < 1.0, "a kept answer is given at once"
    assert isinstance(found, Compared)
    assert (found.source, found.exact, found.note) == ("log", True, None)
    assert found.comparison.records == 500
    assert found.comparison.last_seq == ENOUGH + MORE
    assert found.comparison.champion.model == fed.champion
    assert found.comparison.candidate.model == fed.candidate
    assert found.comparison.voice_correlation is not None
    here = ask(fed, Question(feed="f", model=fed.candidate, champion=fed.champion, records=500))
    assert here.comparison == found.comparison


def ask(fed: Fed, question: Question) -> Answer:
    with opened(fed.data) as replays:
        return replays.answer(question)


def test_the_same_again_is_what_was_stored(fed: Fed) -> None:
    told: list[tuple[int, int]] = []
    with opened(fed.data) as replays:
        found = replays.answer(Question(feed="f"), lambda done, total: told.append((done, total)))
    assert found.exact
    assert found.passed_over == 0
    assert found.comparison.records == ENOUGH + MORE
    assert (found.comparison.added, found.comparison.removed) == (0, 0)
    assert found.comparison.both > 20
    assert found.comparison.difference is not None
    assert set(found.comparison.difference.values()) == {0.0}
    assert found.comparison.candidate.model == found.comparison.champion.model == fed.champion
    assert told[-1] == (ENOUGH + MORE, ENOUGH + MORE)
    part = ask(fed, Question(feed="f", records=333))
    assert part.comparison.records == 333
    assert part.exact
    assert part.comparison.difference is not None
    assert set(part.comparison.difference.values()) == {0.0}


def test_a_state_that_is_too_far_away_is_learnt_anew_and_said(fed: Fed) -> None:
    question = Question(feed="f", champion=fed.champion, model=fed.candidate, records=300, lead_records=900)
    found = ask(fed, question)
    assert not found.exact
    assert found.note is not None
    assert "learnt anew" in found.note
    assert found.comparison.records == 300
    assert found.comparison.champion.alerts > 0


def test_a_tighter_budget_takes_away_and_adds_nothing(fed: Fed) -> None:
    stored = ask(fed, Question(feed="f", records=440)).comparison
    found = ask(fed, Question(feed="f", budget="1/1000000", records=440)).comparison
    assert found.champion.alerts == stored.champion.alerts > 0
    assert found.added == 0
    removed = [example.champion for example in found.examples.removed]
    assert found.removed == len(removed)
    assert all(score < found.threshold for score in removed)
    assert all(example.record and example.summary for example in found.examples.removed)


def test_what_is_not_there_is_said(fed: Fed, tmp_path: Path) -> None:
    with pytest.raises(UnknownFeed):
        ask(fed, Question(feed="nowhere"))
    with pytest.raises(ModelError):
        ask(fed, Question(feed="f", model="nothing"))
    [odd] = [manifest.id for manifest in ModelStore(fed.data / "models").list("young")]
    with pytest.raises(ModelError) as caught:
        ask(fed, Question(feed="f", model=odd))
    assert caught.value.code == "model_columns"
    with pytest.raises(StoreVersion), opened(tmp_path):
        pass
    assert msgspec.json.decode(msgspec.json.encode(Question(feed="f")), type=Question) == Question(feed="f")
