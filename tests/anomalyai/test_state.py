"""State to bytes and back: exact, small, and refused where it is not the right one."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest

from anomalyai import state
from anomalyai.errors import StateError
from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from tests.anomalyai.streams import (
    SCHEMA,
    admitted,
    alerts,
    batch_of,
    flags,
    purchases,
    run,
    scores,
    take,
    trained,
)

FIELDS = {
    "floats": np.array([[1.5, -0.0], [np.nan, np.inf]]),
    "keys": np.array([1, 2**64 - 1], dtype=np.uint64),
    "none": np.empty((0, 3), dtype=np.float32),
    "masses": np.zeros(5_000),
    "body": bytes(9_000),
    "list": [1, "two", None, 3.5],
    "seen": 7,
}


@cache
def feed() -> RecordBatch:
    records = purchases(2_400)
    for i in (700, 1_500, 2_050):
        records[i]["amount"] = 9_000.0
    return batch_of(records)


def fresh() -> Pipeline:
    pipeline = Pipeline(SCHEMA, feed="shop", seed=5, budget="1/700")
    pipeline.swap("m", trained())
    return pipeline


@pytest.mark.parametrize("at", [0, 5, 24, 300, 777, 1_024, 2_399])
def test_a_restored_pipeline_goes_on_bit_for_bit(at: int) -> None:
    first = fresh()
    run(first, feed().slice(0, at))
    data = first.dumps()
    second = Pipeline.loads(data, {"m": trained()})
    assert second.dumps() == data
    assert second.status() == first.status()
    rest = feed().slice(at, feed().n)
    expected, got = run(first, rest), run(second, rest)
    assert scores(got).tobytes() == scores(expected).tobytes()
    assert flags(got).tobytes() == flags(expected).tobytes()
    assert alerts(got) == alerts(expected)
    assert second.dumps() == first.dumps()


@pytest.mark.parametrize("at", [1, 19, 20, 60, 100, 450, 500, 520])
def test_a_pipeline_restored_before_kinds_settle_goes_on_bit_for_bit(at: int) -> None:
    records = [{key: value for key, value in r.items() if key != "label"} for r in purchases(560)]
    intake = Intake()
    first, items = Pipeline(), admitted(records[:at], intake)
    take(first, items)
    second = Pipeline.loads(first.dumps())
    rest = admitted(records[at:], intake)
    assert scores(take(second, rest)).tobytes() == scores(take(first, rest)).tobytes()
    assert second.schema.settled
    assert second.dumps() == first.dumps()


def test_equal_pipelines_have_equal_bytes() -> None:
    first, second = fresh(), fresh()
    for pipeline in (first, second):
        run(pipeline, feed().slice(0, 900))
    assert first.dumps() == second.dumps()
    run(first, feed().slice(900, 901))
    assert first.dumps() != second.dumps()


@pytest.mark.parametrize("pack", [False, True])
def test_values_come_back_exactly(pack: bool) -> None:
    data = state.dumps("parts", FIELDS, pack=pack)
    found = state.loads("parts", data)
    for name, value in FIELDS.items():
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype
            assert found[name].shape == value.shape
            assert found[name].tobytes() == value.tobytes()
            assert found[name].flags.writeable
        else:
            assert found[name] == value
    assert state.dumps("parts", found, pack=pack) == data
    assert (len(data) < 5_000) == pack


def altered(data: bytes, **changes: object) -> bytes:
    """Return the document with fields replaced; None takes a field away."""
    kind, version, fields = msgspec.msgpack.decode(data)
    fields = {name: value for name, value in {**fields, **changes}.items() if value is not None}
    return msgspec.msgpack.encode([kind, version, fields])


def broken_states() -> dict[str, bytes]:
    data = Pipeline(SCHEMA).dumps()
    kind, version, fields = msgspec.msgpack.decode(data)
    array = fields["calibrator/weights"]
    return {
        "empty": b"",
        "junk": b"junk",
        "cut short": data[: len(data) // 2],
        "a list": msgspec.msgpack.encode([1, 2, 3]),
        "another kind": state.dumps("half_space_trees", FIELDS),
        "newer": msgspec.msgpack.encode([kind, version + 1, {"anything": 1}]),
        "no fields": msgspec.msgpack.encode([kind, version, [1]]),
        "a field short": altered(data, seen=None),
        "a field of another type": altered(data, **{"calibrator/weights": {"a": 1}}),
        "an unknown dtype": altered(data, **{"calibrator/weights": [array[0], "|O8", *array[2:]]}),
        "another shape": altered(data, **{"calibrator/weights": [*array[:2], [7], *array[3:]]}),
        "not packed": altered(data, **{"calibrator/weights": [*array[:4], b"junk"]}),
        "no schema": altered(data, schema=["x"]),
    }


@pytest.mark.parametrize("case", list(broken_states()))
def test_other_bytes_are_refused(case: str) -> None:
    with pytest.raises(StateError) as refused:
        Pipeline.loads(broken_states()[case])
    assert refused.value.code in ("state_unreadable", "state_mismatch")


def test_a_state_needs_its_model() -> None:
    for models in (None, {}, {"other": trained()}):
        with pytest.raises(StateError, match="model 'm'"):
            Pipeline.loads(fresh().dumps(), models)


def test_the_state_of_a_wide_feed_is_small() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2_600, 100)) * np.exp(rng.normal(size=(2_600, 100)))
    records = [{f"x{j}": float(v) for j, v in enumerate(row)} for row in rows]
    batch = batch_of(records, None)
    pipeline = Pipeline(batch.schema)
    sizes = []
    for start in range(0, batch.n, 127):
        pipeline.process(batch.slice(start, start + 127))
        sizes.append(len(pipeline.dumps()))
    assert max(sizes) <= 500_000
