"""Promotions and rollbacks on a running engine: what begins, what is refused, what a replay gives."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from anomalyai.errors import ModelError, SchemaConflict
from anomalyai.schema import FeedSchema
from stream.errors import NoEarlierModel, UnknownFeed
from stream.runtime import Runtime
from tests.stream.champion.trained import COUNT, keep
from tests.stream.feeding import drain, frame, outcome, rewind, running, saved_state


def model_of(runtime: Runtime, feed: str = "f") -> str | None:
    found = runtime.feed(feed)["model"]
    return None if found is None else found["id"]


def test_a_model_begins_a_feed_and_a_replay_gives_the_same(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as runtime:
        model = keep(runtime.models)
        put_in = runtime.promotions.promote(None, model.id)
        assert (put_in.feed, put_in.model, put_in.previous) == ("f", model.id, None)
        assert runtime.promotions.promote("f", model.id).entry is None
        for first in range(COUNT, COUNT + 800, 50):
            runtime.post("f", frame(first, 50), None)
        drain(runtime)
        found = runtime.feed("f")
        assert (found["model"]["id"], found["maturity"], found["refused_model"]) == (model.id, "mature", None)
        assert found["seen"] == COUNT + 800
        assert found["schema"]["settled"]
    first, state = outcome(data), saved_state(data)
    assert 5 <= len(first.alerts) <= 20
    rewind(data, 0)
    shutil.rmtree(data / "snapshots")
    with running(data) as runtime:
        assert model_of(runtime) == model.id
    assert outcome(data) == first
    assert saved_state(data) == state


def test_promotions_stand_on_each_other_and_are_taken_back_one_by_one(tmp_path: Path) -> None:
    with running(tmp_path / "data") as runtime:
        runtime.post("f", frame(0, COUNT), None)
        drain(runtime)
        forest, kmeans, other = (
            keep(runtime.models),
            keep(runtime.models, "kmeans"),
            keep(runtime.models, seed=1),
        )
        for model in (forest, kmeans, other):
            assert runtime.promotions.promote("f", model.id, note="better").model == model.id
        assert runtime.promotions.rollback("f").model == kmeans.id
        second = runtime.promotions.rollback("f")
        assert (second.model, second.previous) == (forest.id, kmeans.id)
        with pytest.raises(NoEarlierModel, match="no model before"):
            runtime.promotions.rollback("f")
        runtime.promotions.promote("f", other.id)
        assert runtime.promotions.rollback("f").model == forest.id
        drain(runtime)
        assert model_of(runtime) == forest.id
        past = runtime.promotions.of_feed("f")
        assert [promotion.rollback for promotion in past] == [False] * 3 + [True] * 2 + [False, True]
        assert {promotion.note for promotion in past if not promotion.rollback} == {"better", None}
        assert [entry.entry for entry in past] == sorted(entry.entry for entry in past)
        champion_of, promoted = runtime.promotions.of_model(kmeans.id)
        assert (champion_of, len(promoted)) == ([], 2)
        assert runtime.promotions.of_model(forest.id)[0] == ["f"]


def test_a_young_feed_of_other_columns_takes_schema_and_state_over(tmp_path: Path) -> None:
    with running(tmp_path / "data") as runtime:
        runtime.post("f", frame(COUNT, 30), None)
        model = keep(runtime.models)
        runtime.promotions.promote("f", model.id)
        runtime.post("f", frame(COUNT + 30, 600), None)
        drain(runtime)
        found = runtime.feed("f")
        assert (found["model"]["id"], found["refused_model"]) == (model.id, None)
        assert found["seen"] == COUNT + 630


def test_a_feed_that_grows_up_meanwhile_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path / "data") as runtime:
        runtime.post("f", frame(0, 400), None)
        drain(runtime)
        model = keep(runtime.models)
        declare = runtime.promotions._feeds.declare

        def declare_late(feed: str, schema: FeedSchema) -> Any:
            runtime.post("f", frame(400, 800), None)
            return declare(feed, schema)

        monkeypatch.setattr(runtime.promotions._feeds, "declare", declare_late)
        put_in = runtime.promotions.promote("f", model.id)
        assert (put_in.model, put_in.previous) == (model.id, None)
        drain(runtime)
        found = runtime.feed("f")
        assert (found["model"]["id"], found["refused_model"], found["seen"]) == (model.id, None, 1_200)
        assert len(runtime.promotions.of_feed("f")) == 2


def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "data") as runtime:
        model = keep(runtime.models)
        runtime.post("g", b'[{"speed": 1.0}, {"speed": 2.0}]' * 1, None)
        runtime.post("g", b"[" + b",".join(b'{"speed": %d.5}' % i for i in range(600)) + b"]", None)
        drain(runtime)
        before = runtime.feed("g")
        with pytest.raises(ModelError, match="fewer than 500 records") as refused:
            runtime.promotions.promote("g", model.id)
        assert refused.value.code == "model_columns"
        runtime.declare("h", FeedSchema.from_mapping({"feed": {"categories": ["amount"]}}))
        runtime.post("h", b'[{"amount": "a lot"}]', None)
        with pytest.raises(SchemaConflict):
            runtime.promotions.promote("h", model.id)
        bare = runtime.models.save("f", runtime.models.load(model.id))
        with pytest.raises(UnknownFeed, match="no start state"):
            runtime.promotions.promote("new", bare.id)
        with pytest.raises(ModelError, match="no model 'f-kmeans"):
            runtime.promotions.promote("g", "f-kmeans-000000000000")
        with pytest.raises(UnknownFeed):
            runtime.promotions.rollback("nobody")
        drain(runtime)
        after = runtime.feed("g")
        assert {name: after[name] for name in ("model", "schema", "refused_model", "seen")} == {
            name: before[name] for name in ("model", "schema", "refused_model", "seen")
        }
        assert [feed["feed"] for feed in runtime.feeds()] == ["g", "h"]
        assert runtime.promotions.of_feed("g") == []
