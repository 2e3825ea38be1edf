"""What a million entities and a hundred fields take, and that nobody is forgotten before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anomalyai import state
from anomalyai.features import FeatureBuilder
from anomalyai.pipeline import Pipeline
from tests.anomalyai.million import ENTITIES, SCHEMA, batch
from tests.anomalyai.traffic import batch_of, declared, spread

TABLES = ("features/profile", "features/rarity", "features/pair")
"""What names a state's parts that grow with entities and values."""


def test_a_million_entities_are_kept_in_bounded_memory() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.anomalyai.million"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["growth_mb"] < 500, found
    assert found["used"] == [ENTITIES, ENTITIES]
    assert found["evicted"] == 0
    assert found["same_scores"] == [True, True]
    assert found["slots_beyond"] == found["slots"]  # beyond the bound, memory is as it was
    assert max(found["used_beyond"]) <= found["slots"][0] <= 4 * ENTITIES
    assert found["growth_with_state_mb"] < 1_000, found  # beside the state's bytes, and while they are packed


@pytest.mark.parametrize("bound", [512, 20_000, 300_000])
def test_nobody_gives_way_up_to_the_bound(bound: int) -> None:
    """Keys are spread as hashes are, so that some buckets overflow long before a table is half full."""
    everyone = batch(np.arange(bound))
    builder = FeatureBuilder(SCHEMA, max_entities=bound)
    seen = next(j for j, column in enumerate(builder.counts) if column.aspect == "seen")
    assert not builder.describe_with_counts(everyone)[1][:, seen].any()  # every one is new
    assert builder.describe_with_counts(everyone)[1][:, seen].all()  # and known the next time
    assert builder.evicted == 0
    for table in (builder._profiles[0].table, builder._rarities[0].table):
        assert table.used == np.count_nonzero(table.keys) == bound
        assert table.slots <= 4 * max(bound, 512)


def test_an_entity_that_gives_way_is_counted_once() -> None:
    builder = FeatureBuilder(SCHEMA, max_entities=500)
    builder.describe(batch(np.arange(20_000)))
    [table] = [profile.table for profile in builder._profiles]
    assert table.used + builder.evicted == 20_000


@pytest.mark.parametrize(("numbers", "categories", "entities"), [(60, 35, 5), (50, 40, 10)])
def test_a_hundred_fields_take_half_a_megabyte_beside_their_tables(
    numbers: int, categories: int, entities: int
) -> None:
    rng = np.random.default_rng(0)
    n = 2_600
    schema = declared(
        numbers=[f"x{j}" for j in range(numbers)],
        categories=[f"k{j}" for j in range(categories)],
        entities=[f"e{j}" for j in range(entities)],
    )
    values = rng.normal(size=(n, numbers)) * np.exp(rng.normal(size=(n, numbers)))
    words = [spread(rng.integers(0, 10, n), j) for j in range(categories)]
    who = [spread(rng.integers(0, 300, n), 100 + j) for j in range(entities)]
    whole = batch_of(values, np.column_stack(words + who), 1.7e9 + np.arange(n), schema)
    pipeline = Pipeline(schema, explained=False)
    beside = []
    for start in range(0, n, 251):
        pipeline.process(whole.slice(start, start + 251))
        kept = pipeline._scorer.state()
        tables = {
            name: kept[name]
            for name in kept
            if name.startswith(("features/profile", "features/rarity", "features/pair"))
        }
        assert len(tables) > 100
        beside.append(len(pipeline.dumps()) - len(state.dumps("tables", tables, pack=True)))
    assert max(beside) <= 500_000
