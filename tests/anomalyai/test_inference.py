"""Kinds: what undeclared fields are taken for, and that it depends on the records alone."""

from typing import Any

import numpy as np
import pytest

from anomalyai.inference import infer
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema, JsonType, Kind

RNG = np.random.default_rng(5)
N = 500


def schema_of(records: list[dict[str, Any]], schema: FeedSchema | None = None) -> FeedSchema:
    return RecordBatch.from_records(records, schema).schema


def kinds(columns: dict[str, list[Any]], n: int = N) -> dict[str, Kind]:
    records = [{name: values[i] for name, values in columns.items()} for i in range(n)]
    return {f.name: f.kind for f in schema_of(records).fields}


def minutes(n: int = N) -> list[str]:
    return [f"2026-03-{1 + i // 1440:02d} {i // 60 % 24:02d}:{i % 60:02d}:30" for i in range(n)]


def choice(values: list[Any]) -> list[Any]:
    return [values[i] for i in RNG.integers(len(values), size=N)]


def whole(low: int, high: int) -> list[int]:
    return [int(i) for i in RNG.integers(low, high, size=N)]


def real() -> list[float]:
    return [float(x) for x in RNG.normal(10, 3, size=N)]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("ts", minutes(), Kind.TIME),
        ("booked", minutes(), Kind.TIME),
        ("timestamp", [1_700_000_000 + 60 * i for i in range(N)], Kind.TIME),
        ("received", [1_700_000_000_123 + 60_000 * i for i in range(N)], Kind.TIME),
        ("time", [float(i) for i in range(N)], Kind.TIME),
        ("created_at", [f"{text[:10]}T{text[11:]}.250+02:00" for text in minutes()], Kind.TIME),
        ("duration", [float(i) for i in range(N)], Kind.NUMBER),
        ("label", choice([0, 1]), Kind.LABEL),
        ("is_fraud", choice([True, False]), Kind.LABEL),
        ("class", choice(["0", "1"]), Kind.LABEL),
        ("is_fraud", choice(["True", "False"]), Kind.LABEL),
        ("class", choice(["a", "b"]), Kind.CATEGORY),
        ("label", choice([0, 1, 2]), Kind.NUMBER),
        ("amount", real(), Kind.NUMBER),
        ("count", whole(0, 5), Kind.NUMBER),
        ("bytes", whole(0, 10**6), Kind.NUMBER),
        ("src_port", whole(1, 65_000), Kind.NUMBER),
        ("is_host_login", whole(0, 2), Kind.NUMBER),
        ("customer_id", whole(1, 4_000), Kind.ENTITY),
        ("CUSTOMER_ID", whole(1, 4_000), Kind.ENTITY),
        ("userId", whole(1, 4_000), Kind.ENTITY),
        ("account_number", whole(1, 4_000), Kind.ENTITY),
        ("num_accounts", whole(1, 40), Kind.NUMBER),
        ("pan", [3_508_169_504_370_000 + i for i in whole(0, 300)], Kind.ENTITY),
        ("status_code", choice([200, 404, 500]), Kind.CATEGORY),
        ("zip", whole(10_000, 10_300), Kind.CATEGORY),
        ("proto", choice(["tcp", "udp", "icmp"]), Kind.CATEGORY),
        ("city", choice([f"City {i}" for i in range(200)]), Kind.CATEGORY),
        ("src", [f"10.0.{i // 200}.{i % 200}" for i in range(N)], Kind.ENTITY),
        ("peer", [f"fe80::{i:x}:1" for i in range(N)], Kind.ENTITY),
        ("hw", choice([f"00:1b:44:11:3a:{i:02x}" for i in range(60)]), Kind.ENTITY),
        ("merchant", choice([f"Shop {i}" for i in range(100)]), Kind.ENTITY),
        ("device", choice(["mobile", "desktop"]), Kind.CATEGORY),
        ("device", choice([f"dev-{i:04d}" for i in range(5)]), Kind.ENTITY),
        ("till", choice([f"T{i:05d}" for i in range(80)]), Kind.ENTITY),
        ("transaction_id", [f"t{i}" for i in range(N)], Kind.ID),
        ("id", list(range(N)), Kind.ID),
        ("trace", [f"{i:08x}-{i * 7919 % 65536:04x}-4abc" for i in range(N)], Kind.ID),
        ("online", choice([True, False]), Kind.CATEGORY),
        ("tags", [["a"]] * N, Kind.IGNORE),
        (
            "message",
            [f"user {i} tried to open the door, and the door stayed shut" * 2 for i in range(N)],
            Kind.IGNORE,
        ),
        ("subject", [f"re my order {i} of today" for i in range(N)], Kind.IGNORE),
    ],
)
def test_a_field_alone(name: str, values: list[Any], expected: Kind) -> None:
    assert kinds({name: values}) == {name: expected}


def test_of_two_times_the_named_and_rising_one_is_the_time() -> None:
    births = [f"{1950 + i % 50}-05-17" for i in range(N)]
    assert kinds({"dob": births, "trans_time": minutes()}) == {"dob": Kind.IGNORE, "trans_time": Kind.TIME}
    epoch = [1_700_000_000 + 60 * i for i in range(N)]
    assert kinds({"unix": epoch, "ts": minutes()}) == {"unix": Kind.NUMBER, "ts": Kind.TIME}


def test_there_is_one_id_and_one_label_at_most() -> None:
    ids = [f"t{i:06d}" for i in range(N)]
    assert kinds({"event_id": ids, "request_id": ids}) == {"event_id": Kind.ID, "request_id": Kind.IGNORE}
    flags = choice([0, 1])
    assert kinds({"label": flags, "is_fraud": flags}) == {"label": Kind.LABEL, "is_fraud": Kind.NUMBER}


@pytest.mark.parametrize(
    ("latitude", "longitude"),
    [
        ("lat", "lon"),
        ("lat", "long"),
        ("latitude", "longitude"),
        ("merch_lat", "merch_long"),
        ("geo.lat", "geo.lng"),
    ],
)
def test_positions_are_pairs_under_general_names(latitude: str, longitude: str) -> None:
    columns = {latitude: [50.5] * N, longitude: [-170.0] * N}
    records = [{name: values[i] for name, values in columns.items()} for i in range(N)]
    assert schema_of(records).positions == ((latitude, longitude),)


@pytest.mark.parametrize(
    "columns",
    [
        {"lat": [50.0] * N, "merch_lon": [8.0] * N},
        {"lat": [95.0] * N, "lon": [8.0] * N},
        {"lat": [50.0] * N, "lon": ["x"] * N},
        {"lat": [50.0] * N},
    ],
)
def test_other_pairs_are_no_positions(columns: dict[str, list[Any]]) -> None:
    records = [{name: values[i] for name, values in columns.items()} for i in range(N)]
    assert schema_of(records).positions == ()


def test_declared_positions_stand_before_recognised_ones() -> None:
    declared = FeedSchema.from_toml('[feed]\npositions = [["y", "x"]]\n')
    records: list[dict[str, Any]] = [{"lat": 1.0, "lon": 2.0, "y": 400.0, "x": 0.0}] * N
    assert schema_of(records, declared).positions == (("y", "x"),)
    numbers = FeedSchema.from_toml('[feed]\nnumbers = ["lat", "lon"]\n')
    assert schema_of(records, numbers).positions == (("lat", "lon"),)


def test_declared_fields_keep_their_kind_and_take_the_role() -> None:
    declared = FeedSchema.from_toml('[feed]\ntime="seen"\nnumbers=["customer_id"]\nlabel="bad"\n')
    columns: dict[str, list[Any]] = {
        "ts": minutes(),
        "seen": minutes(),
        "customer_id": whole(1, 90),
        "bad": choice([0, 1]),
        "class": choice([0, 1]),
    }
    records = [{name: values[i] for name, values in columns.items()} for i in range(N)]
    schema = schema_of(records, declared)
    assert (schema.time, schema.label, schema.numbers) == ("seen", "bad", ("customer_id", "class"))
    assert schema.by_name["class"].kind is Kind.NUMBER
    assert schema.by_name["ts"].kind is Kind.IGNORE
    assert schema.by_name["seen"].type is JsonType.STRING


def test_inference_is_a_function_of_the_records() -> None:
    records = [
        {"ts": t, "user_id": u, "kind": k, "amount": a}
        for t, u, k, a in zip(minutes(), whole(1, 50), choice(["a", "b"]), real(), strict=True)
    ]
    schema = schema_of(records)
    assert schema_of(records) == schema
    assert infer(schema, records) == schema
    assert schema.settled
    assert not schema_of(records[:499]).settled


def test_a_field_of_nulls_is_no_field() -> None:
    assert schema_of([{"a": None, "b": 1}]).by_name.keys() == {"b"}
