"""From record columns to feature rows."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyai import state
from anomalyai.features import MAX_NUMBER, Column, FeatureBuilder
from anomalyai.schema import FeedSchema
from tests.anomalyai.streams import SCHEMA, batch_of, purchases

NAMES = [
    "value(amount)", "value(items)", "value(load)",
    "rarity(channel)", "presence(customer)", "presence(shop)", "hour(time)",
    "deviation(amount|customer)", "deviation(items|customer)", "deviation(load|customer)",
    "pause(customer|customer)", "burst(customer|customer)", "surge(customer|customer)",
    "own hour(customer|customer)", "novelty(shop|customer)", "history(customer|customer)",
    "deviation(amount|shop)", "deviation(items|shop)", "deviation(load|shop)",
    "pause(shop|shop)", "burst(shop|shop)", "surge(shop|shop)",
    "own hour(shop|shop)", "novelty(customer|shop)", "history(shop|shop)", "code(channel)",
]  # fmt: skip


def test_columns_are_named_and_in_order() -> None:
    builder = FeatureBuilder(SCHEMA)
    assert [column.name for column in builder.columns] == NAMES
    rows = builder.describe(batch_of(purchases(50)))
    assert rows.shape == (50, len(NAMES))
    assert rows.dtype == np.float64


def test_a_record_has_no_part_in_its_own_row() -> None:
    rows, habits = [], []
    for amount in (10.0, 1e9):
        records = purchases(300, missing=0.0)
        records[200]["amount"] = amount
        builder = FeatureBuilder(SCHEMA)
        found, counts = builder.describe_with_counts(batch_of(records))
        rows.append(found)
        habits.append(float(counts[200, builder.counts.index(Column("amount", "habit", "customer"))]))
    assert np.array_equal(rows[0][:200], rows[1][:200], equal_nan=True)
    others = [j for j, name in enumerate(NAMES) if "(amount" not in name]
    assert np.array_equal(rows[0][200, others], rows[1][200, others], equal_nan=True)
    place = NAMES.index("deviation(amount|customer)")
    assert rows[1][200, place] > rows[0][200, place] + 5.0
    assert habits[0] == habits[1]
    assert not np.array_equal(rows[0][201:], rows[1][201:], equal_nan=True)


def test_fields_that_are_gone_are_missing_and_new_ones_are_left_out() -> None:
    records = purchases(40, missing=0.0)
    builder, same = FeatureBuilder(SCHEMA), FeatureBuilder(SCHEMA)
    narrower = SCHEMA.replace(fields=tuple(f for f in SCHEMA.fields if f.name not in ("amount", "customer")))
    wider = batch_of([dict(record, zone="north", extra=1.0) for record in records])
    assert np.array_equal(builder.describe(wider), same.describe(batch_of(records)), equal_nan=True)
    gone = [{k: v for k, v in record.items() if k not in ("amount", "customer")} for record in records]
    rows = builder.describe(batch_of(gone, narrower))
    for j, name in enumerate(NAMES):
        is_early = any(aspect in name for aspect in ("burst", "surge", "own hour"))
        lacks = "amount" in name or "customer" in name or is_early
        lacks = lacks and "history" not in name  # of which nothing is said
        assert np.isnan(rows[:, j]).all() == lacks, name


def test_numbers_are_finite_and_bounded() -> None:
    records = purchases(4, missing=0.0)
    records[1]["amount"], records[2]["amount"] = 1e300, -1e300
    rows = FeatureBuilder(SCHEMA).describe(batch_of(records))
    assert rows[1, 0] == MAX_NUMBER
    assert rows[2, 0] == -MAX_NUMBER
    assert np.isfinite(rows[:, NAMES.index("deviation(amount|shop)")]).all()


def test_entities_are_bounded_and_late_records_counted() -> None:
    records = purchases(3_000, missing=0.0)
    for i, record in enumerate(records):
        record["customer"] = f"c{i}"
    records[2_900].update(time=5.0, shop="s1")
    builder = FeatureBuilder(SCHEMA, max_entities=500)
    builder.describe(batch_of(records))
    assert builder.evicted > 1_000
    assert builder.late == 1


def test_a_restored_builder_goes_on() -> None:
    first, second = FeatureBuilder(SCHEMA), FeatureBuilder(SCHEMA)
    batch = batch_of(purchases(700))
    first.describe(batch.slice(0, 433))
    second.restore(state.loads("features", state.dumps("features", first.state())))
    rest = batch.slice(433, 700)
    assert np.array_equal(first.describe(rest), second.describe(rest), equal_nan=True)
    assert state.dumps("features", first.state()) == state.dumps("features", second.state())


def test_counts_are_of_the_time_before_each_record() -> None:
    records = purchases(6, missing=0.0)
    for record, channel, customer in zip(records, "aabaab", "xyxyzx", strict=True):
        record.update(channel=channel, customer=customer, shop="s")
    records[2]["amount"] = None
    records[4]["shop"] = None
    builder = FeatureBuilder(SCHEMA)
    rows, found = builder.describe_with_counts(batch_of(records))
    counts = {(c.aspect, c.field, c.entity): found[:, j] for j, c in enumerate(builder.counts)}
    assert found.shape == (6, len(builder.counts))
    assert np.array_equal(rows, FeatureBuilder(SCHEMA).describe(batch_of(records)), equal_nan=True)
    rough = {"rel": 0.02, "nan_ok": True}
    assert counts["seen", "channel", None] == pytest.approx([0, 1, 0, 2, 3, 1], **rough)
    assert counts["seen", "customer", None] == pytest.approx([0, 0, 1, 1, 0, 2], **rough)
    assert counts["seen", "shop", None] == pytest.approx([0, 1, 2, 3, np.nan, 4], **rough)
    assert counts["events", "amount", "customer"] == pytest.approx([0, 0, np.nan, 1, 0, 1], **rough)
    assert counts["events", "items", "customer"] == pytest.approx([0, 0, 1, 1, 0, 2], **rough)


def test_places_have_a_habit_as_places_and_not_as_numbers() -> None:
    records = purchases(50, missing=0.0)
    rng = np.random.default_rng(0)
    for record in records:
        record.update(lat=50.0 + float(rng.normal()), lon=8.0 + float(rng.normal()))
    fields = '[feed]\ntime = "time"\nlabel = "label"\nentities = ["customer"]\npositions = [["lat", "lon"]]\n'
    batch = batch_of(records, FeedSchema.from_toml(fields))
    builder = FeatureBuilder(batch.schema)
    names = [column.name for column in builder.columns]
    assert {"value(lat)", "away(lat|customer)", "speed(lat|customer)", "deviation(amount|customer)"} <= set(
        names
    )
    assert not {"deviation(lat|customer)", "deviation(lon|customer)"} & set(names)
    rows = builder.describe(batch)
    assert np.isfinite(rows[-1, names.index("speed(lat|customer)")])
