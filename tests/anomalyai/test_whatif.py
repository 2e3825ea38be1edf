"""A feed's past played again, with another model or budget: what would have been added and removed."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from anomalyai.comparison import Comparison
from anomalyai.control import BudgetChange, ControlEntry, Labels, ModelSwap, ShadowChange, Verdict
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.training import TrainedModel, TrainingSet, train
from anomalyai.whatif import Item, Replayed, Told, compare_sides
from tests.anomalyai.streams import SCHEMA, batch_of, purchases, trained

RECORDS, FIRST, BLOCK = 4_000, 2_561, 512  # a block of learning begins at the first record
PLANTED = tuple(range(2_600, 3_800, 80))


@cache
def candidate() -> TrainedModel:
    """Return a model of rows that have nothing to do with the feed."""
    rows = np.random.default_rng(5).normal(size=(300, len(trained().columns)))
    return train(TrainingSet(rows, trained().columns, last_seq=300, seed=9))


@cache
def feed() -> RecordBatch:
    records = purchases(RECORDS)
    for size, i in enumerate(PLANTED):
        records[i] |= {"amount": 180.0 * 1.4**size, "items": 5 + size}
    for record in records:
        del record["label"]
    return batch_of(records)


@cache
def begun() -> bytes:
    """Return the state of the feed after half of its records, with a model."""
    pipeline = Pipeline(SCHEMA, feed="shop", budget="1/200")
    pipeline.process(feed().slice(0, FIRST - 1))
    pipeline.swap("champion", trained())
    return pipeline.dumps()


MODELS = {"champion": trained(), "candidate": candidate()}


def side(model_id: str | None = None, budget: str | None = None) -> Replayed:
    return Replayed(Pipeline.loads(begun(), MODELS), MODELS, model_id=model_id, budget=budget)


def rest(*changes: tuple[int, ControlEntry]) -> list[Item]:
    """Return the other half in batches of 500, with control entries before some records' numbers."""
    edges = sorted({*range(FIRST - 1, RECORDS, 500), RECORDS, *(seq - 1 for seq, _ in changes)})
    items: list[Item] = []
    for start, stop in pairwise(edges):
        items += [change for seq, change in changes if seq - 1 == start]
        items.append(feed().slice(start, stop))
    return items


def test_the_same_again_differs_in_nothing() -> None:
    found = compare_sides(side(), side(), rest(), first_seq=FIRST)
    assert found.records == RECORDS - FIRST + 1
    assert (found.since_seq, found.last_seq) == (FIRST, RECORDS)
    assert (found.added, found.removed, found.agreement, found.correlation) == (0, 0, 1.0, 1.0)
    assert found.champion.alerts == found.candidate.alerts == found.both > 5


def test_a_tighter_budget_removes_what_lies_below_its_threshold() -> None:
    """Within one block, before either has learnt, exactly that is what differs."""
    block = feed().slice(FIRST - 1, FIRST - 1 + BLOCK)
    found = compare_sides(side(), side(budget="1/2000"), [block], first_seq=FIRST)
    score = Pipeline.loads(begun(), MODELS).process(block).score
    assert found.removed == int(np.sum((score >= np.log10(200.0)) & (score < found.threshold)))
    assert found.threshold == pytest.approx(np.log10(2_000.0))
    assert found.added == 0
    assert 0 < found.removed < found.champion.alerts
    assert all(example.champion < found.threshold for example in found.examples.removed)
    assert all(example.candidate >= found.threshold for example in found.examples.both)
    assert len(found.examples.removed) == found.removed
    assert all(example.reasons and example.record for example in found.examples.removed)


def changes() -> list[Item]:
    """Return a past in which budget and model changed, a shadow came, and people judged."""
    record = feed().record(PLANTED[3])
    return rest(
        (FIRST + 300, BudgetChange("1/50")),
        (FIRST + 300, ModelSwap("candidate", "", "isolation_forest")),
        (FIRST + 300, ShadowChange("champion", "")),
        (2_900, Verdict(PLANTED[3] + 1, "real", record)),
        (2_900, Labels((2_700, 2_701), (0, 0), (feed().record(2_699), feed().record(2_700)))),
    )


def test_what_is_pinned_stays_and_the_rest_follows_the_log() -> None:
    follows, pinned = side(), side(model_id="champion", budget="1/200")
    found = compare_sides(follows, pinned, changes(), first_seq=FIRST)
    assert follows.pipeline.model_id == "candidate"
    assert follows.pipeline.budget == "1/50"
    assert pinned.pipeline.model_id == "champion"
    assert pinned.pipeline.budget == "1/200"
    assert found.removed > 0
    assert found.added_rate == found.added / found.records
    assert (found.labelled, found.anomalies) == (3, 1)


def test_verdicts_give_the_figures_of_both() -> None:
    found: Comparison = compare_sides(side(), side("candidate"), changes(), first_seq=FIRST)
    assert found.champion.average_precision == 1.0
    assert found.candidate.average_precision is not None
    assert found.champion.recall == 1.0


def test_a_side_may_be_what_was_said_then() -> None:
    """The stored scores of a feed beside a replay from the same state: nothing differs."""
    pipeline = Pipeline.loads(begun(), MODELS)
    scored = [pipeline.process(batch) for batch in rest() if isinstance(batch, RecordBatch)]
    stored = iter(scored)

    def remembered(item: Item) -> Told | None:
        part = next(stored)
        return Told(part.score, part.flagged, {alert.seq: alert for alert in part.alerts})

    found = compare_sides(remembered, side(), rest(), first_seq=2_645)
    assert found.records == RECORDS - 2_644
    assert found.since_seq == 2_645
    assert (found.added, found.removed) == (0, 0)
    assert found.difference is not None
    assert set(found.difference.values()) == {0.0}


def test_nothing_is_compared_where_nothing_came() -> None:
    found = compare_sides(side(), side(), [])
    assert (found.records, found.agreement, found.correlation, found.since) == (0, None, None, None)
