"""What holds for every simulator: seeds, chunk sizes, event order, labels, types, and the declared schema."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import pytest

from anomalyai.schema import FeedSchema, Kind
from simulators.fraud import FraudSimulator
from simulators.network import NetworkSimulator
from simulators.rhythm import Rhythm, hour_of_day, hour_of_week, week
from simulators.simulator import START_S, Simulator

Make = Callable[..., Simulator]
both = pytest.mark.parametrize("make", [FraudSimulator, NetworkSimulator])


@both
def test_the_same_seed_gives_the_same_records(make: Make) -> None:
    first, again, other = (list(make(seed).records(6_000)) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert not {r["time"] for r in first} & {r["time"] for r in other[:100]}


@both
@pytest.mark.parametrize("size", [1, 7, 5_000])
def test_chunk_sizes_change_nothing(make: Make, size: int) -> None:
    wanted = 12_345 if size > 1 else 300
    chunks = list(make(1).chunks(wanted, size=size))
    assert [len(chunk) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)
    assert [r for chunk in chunks for r in chunk.records()] == list(make(1).records(wanted))
    assert sum(map(len, chunks)) == wanted


@both
def test_a_stream_can_be_continued_with_the_same_population(make: Make) -> None:
    began = list(make(3).records(20_000))
    went_on = list(make(3, start_s=START_S + 9 * 86_400, first=20_001).records(20_000))
    assert went_on[0] not in began
    assert went_on[0]["time"] > began[-1]["time"]
    entity = "merchant" if "merchant" in began[0] else "dst"
    usual = sorted({r[entity] for r in began}, key=[r[entity] for r in began[:3_000]].count)[-10:]
    often = [r[entity] in usual for r in went_on]
    assert np.mean(often) > 0.7 * np.mean([r[entity] in usual for r in began])
    if "transaction_id" in began[0]:
        assert (began[-1]["transaction_id"], went_on[0]["transaction_id"]) == ("t000020000", "t000020001")


@both
def test_a_stream_has_no_end_and_can_be_empty(make: Make) -> None:
    assert len(list(islice(make(0).records(), 9_000))) == 9_000
    assert list(make(0).records(0)) == []


@both
def test_event_time_never_goes_back_and_starts_where_told(make: Make) -> None:
    simulator = make(5, start_s=START_S + 86_400)
    times = np.concatenate([chunk.time_s for chunk in simulator.chunks(40_000)])
    assert np.all(np.diff(times) >= 0)
    assert START_S + 86_400 < times[0] < START_S + 2 * 86_400
    texts = [record["time"] for record in simulator.records(5_000)]
    assert texts == sorted(texts)
    assert texts[0].startswith("2026-01-06T")
    assert all(len(text) == 24 and text.endswith("Z") for text in texts)


@both
@pytest.mark.parametrize("share", [0.0, 0.005, 0.05])
def test_the_share_of_anomalies_is_kept(make: Make, share: float) -> None:
    chunks = list(make(11, share).chunks(250_000))
    labels = np.concatenate([chunk.columns["label"] for chunk in chunks])
    attack = np.concatenate([chunk.attack for chunk in chunks])
    assert np.array_equal(labels, attack > 0)
    assert labels.mean() == pytest.approx(share, rel=0.1)


@both
def test_every_attack_has_its_share_and_length(make: Make) -> None:
    simulator = make(2, 0.2)
    attack = np.concatenate([chunk.attack for chunk in simulator.chunks(100_000)])
    for place, kind in enumerate(simulator.attacks, 1):
        # attacks come whole, and some wait for the night: a share of one run scatters
        assert np.mean(attack[attack > 0] == place) == pytest.approx(kind.share, abs=0.1), kind
    assert math.isclose(sum(kind.share for kind in simulator.attacks), 1)


@both
def test_the_attack_is_not_in_the_record(make: Make) -> None:
    record = next(make(0).records(1))
    names = {attack.name for attack in make(0).attacks}
    assert record["label"] in (0, 1)
    assert not {"scenario", "attack"} & set(record)
    words = {str(value) for record in make(0, 0.3).records(5_000) for value in record.values()}
    assert not names & words


@both
def test_fields_keep_one_type_and_some_values_are_missing(make: Make) -> None:
    types: dict[str, set[type]] = {}
    gaps = 0
    for record in make(9).records(20_000):
        for name, value in record.items():
            if value is None:
                gaps += 1
            else:
                types.setdefault(name, set()).add(type(value))
    assert {name: kinds for name, kinds in types.items() if len(kinds) != 1} == {}
    assert 0.002 < gaps / (20_000 * len(types)) < 0.1


@both
def test_the_declaration_fits_the_records(make: Make) -> None:
    simulator = make(0)
    schema = FeedSchema.from_toml(simulator.feed_toml)
    record = next(simulator.records(1))
    assert {field.name for field in schema.fields} == set(record)
    assert (schema.time, schema.label) == ("time", "label")
    assert {schema.by_name[name].kind for name in schema.entities} == {Kind.ENTITY}
    assert len(schema.entities) == 2


@both
@pytest.mark.parametrize("share", [-0.1, 0.6])
def test_an_impossible_share_is_refused(make: Make, share: float) -> None:
    with pytest.raises(ValueError, match=f"between 0 and 0.5, got {share}"):
        make(0, share)


def test_arrivals_follow_the_week() -> None:
    weights = week([(12.0, 2.0, 1.0)], floor=0.01, weekend=0.5)
    times = Rhythm(weights, 10_000).arrivals(np.random.default_rng(0), START_S + 1_000, 280_000)
    assert np.all(np.diff(times) >= 0)
    assert times[-1] - times[0] == pytest.approx(28 * 86_400, rel=0.03)
    counts = np.bincount(hour_of_week(times), minlength=168)
    expected = weights / weights.sum() * len(times)
    busy = expected > 500
    assert np.allclose(counts[busy], expected[busy], rtol=0.15)


def test_hours_are_those_of_utc() -> None:
    monday_noon = np.array([START_S + 12 * 3_600 + 59, START_S + 6 * 86_400 + 23 * 3_600])
    assert hour_of_week(monday_noon).tolist() == [12, 167]
    assert hour_of_day(monday_noon).tolist() == [12, 23]


def missing(values: Any) -> Any:
    """Return which values of an object array are None."""
    return np.array([value is None for value in values])


def collect(simulator: Simulator, records: int) -> dict[str, Any]:
    """Return all columns as object arrays, with `time_s` and the attack's name (empty: none)."""
    chunks = list(simulator.chunks(records, size=10_000))
    names = np.array(["", *(attack.name for attack in simulator.attacks)])
    columns: dict[str, Any] = {
        name: np.array([v for chunk in chunks for v in chunk.columns[name]], dtype=object)
        for name in chunks[0].columns
    }
    columns["time_s"] = np.concatenate([chunk.time_s for chunk in chunks])
    columns["attack"] = names[np.concatenate([chunk.attack for chunk in chunks])]
    return columns
