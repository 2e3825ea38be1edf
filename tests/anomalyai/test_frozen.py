"""Copies of a state that are made in steps, equal to the state at their moment, whatever goes on."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai import state as state_codec
from anomalyai.control import Verdict
from anomalyai.entity_table import EntityTable
from anomalyai.familiarity import PairTable
from anomalyai.frozen import Frozen, Mark, Section, on_top
from anomalyai.pipeline import Pipeline
from anomalyai.rarity import ValueRarity
from anomalyai.records import RecordBatch
from anomalyai.table_copy import Rows, TableCopy

STALL_S = 0.02


def rows_of(table: EntityTable) -> list[bytes]:
    return [array.tobytes() for array in table.arrays().values()]


def finished(copy: TableCopy) -> Rows:
    while not copy.done:
        copy.advance(1_000)
    return copy.rows()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 90), min_size=1, max_size=40), min_size=2, max_size=12),
    st.integers(0, 6),
    st.integers(0, 12),
    st.lists(st.integers(0, 2_000), min_size=12, max_size=12),
    st.sampled_from([16, 10_000]),
)
def test_a_copy_is_the_table_at_its_moment(
    batches: list[list[int]], first: int, second: int, steps: list[int], most: int
) -> None:
    """Two moments, the later copy on top of the earlier; a small table evicts, a large one may double."""
    rarity, tick = ValueRarity(most), 0
    table = rarity.table
    wanted: list[list[bytes]] = []
    copies: list[TableCopy] = []
    for place, batch in enumerate(batches):
        while len(copies) < 2 and place >= (first, first + second)[len(copies)]:
            known = copies and table.columns[0] is copies[0]._columns[0]
            if copies:
                finished(copies[0])
            copies.append(TableCopy(table, copies[0].until if known else 0, tick))
            wanted.append(rows_of(table))
        spread = np.array(batch, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) * np.uint64(1 + place % 3)
        rarity.observe(spread, tick)
        tick += len(batch)
        for copy in copies[-1:]:
            copy.advance(steps[place])
    older = Section(0, finished(copies[0])) if copies else None
    if older is not None:
        assert [column.tobytes() for column in older.rows] == wanted[0]
    if len(copies) == 2:
        later = on_top({"t": older}, {"t": Section(copies[1].since, finished(copies[1]))})["t"].rows
        assert [column.tobytes() for column in later] == wanted[1]


def feed(n: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "time": 1_700_000_000.0 + i,
            "customer": f"c{int(rng.integers(1_500))}",
            "shop": f"s{int(rng.integers(60))}",
            "amount": 9_000.0 if i % 211 == 210 else float(rng.normal(50.0, 5.0)),
        }
        for i in range(n)
    ]


@pytest.fixture(scope="module")
def batch() -> RecordBatch:
    return RecordBatch.from_records(feed(6_000)).numbered(1)


def test_a_chain_of_frozen_states_thaws_to_the_state_of_each_moment(batch: RecordBatch) -> None:
    pipeline = Pipeline(batch.schema)
    frozen: Frozen | None = None
    mark: Mark | None = None
    sections: dict[str, Section] = {}
    wanted, moments = b"", 0
    for start in range(0, batch.n, 300):
        if frozen is not None and frozen.done:
            sections = on_top(sections, frozen.sections())
            thawed = Pipeline.thaw(frozen.document(), sections, {})
            assert thawed.dumps() == wanted
            assert frozen.is_whole == (moments == 1 or moments == 2)
            mark, frozen = frozen.mark, None
        if frozen is None:
            wanted, frozen, moments = pipeline.dumps(), pipeline.freeze(mark), moments + 1
        scored = pipeline.process(batch.slice(start, start + 300))
        for alert in scored.alerts[:1]:
            pipeline.apply(Verdict(alert.seq, "false_alarm", alert.record))
        frozen.advance(20_000)
    assert moments > 5


def test_the_plain_part_does_not_follow_the_pipeline(batch: RecordBatch) -> None:
    pipeline = Pipeline(batch.schema)
    pipeline.process(batch.slice(0, 1_000))
    wanted, frozen = pipeline.dumps(), pipeline.freeze()
    pipeline.process(batch.slice(1_000, 5_000))
    frozen.advance(1 << 30)
    assert frozen.done
    assert Pipeline.thaw(frozen.document(), frozen.sections(), {}).dumps() == wanted


def test_no_step_of_copying_a_large_table_takes_long() -> None:
    pairs, n = PairTable(2_000_000), 500_000
    first = np.arange(1, n + 1, dtype=np.uint64)
    pairs.observe(first, first, 0, np.empty(n))
    took = list[float]()

    def timed(step: Any) -> Any:
        began = time.perf_counter()
        result = step()
        took.append(time.perf_counter() - began)
        return result

    copy = timed(lambda: TableCopy(pairs.table, 0, n))
    tick = n
    while not copy.done:
        some = np.random.default_rng(tick).integers(1, n, 2_000).astype(np.uint64)
        timed(lambda some=some, tick=tick: pairs.observe(some, some, tick, np.empty(len(some))))
        timed(lambda: copy.advance(1 << 16))
        tick += len(some)
    assert len(copy.rows().rows) == n
    assert len(took) > 20
    assert float(np.quantile(took, 0.9)) < STALL_S


def test_tables_stand_for_their_arrays_in_the_codec() -> None:
    rarity = ValueRarity(100)
    rarity.observe(np.arange(1, 9, dtype=np.uint64), 0)
    again = ValueRarity(100)
    again.restore(state_codec.loads("r", state_codec.dumps("r", rarity.state())))
    assert rows_of(again.table) == rows_of(rarity.table)
