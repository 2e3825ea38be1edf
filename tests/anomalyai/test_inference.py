"""Kinds: what undeclared fields are taken for, and that it depends on the records alone."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from anomalyai.inference import infer
from anomalyai.intake import Intake
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
        ("isFraud", choice([0, 1]), Kind.LABEL),
        ("is_attack", choice([0.0, 1.0]), Kind.LABEL),
        ("label", [None] * 300 + [1, 0] * 100, Kind.LABEL),
        ("label", choice(["yes", "no"]), Kind.CATEGORY),
        ("fraud_score", choice([0, 1]), Kind.NUMBER),
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
        ("order_id", [i // 2 for i in range(N)], Kind.ENTITY),
        ("uuid", [f"{i * 2_654_435_761 % 2**32:08x}-77aa-4bcd-9012-{i:012x}" for i in range(N)], Kind.ID),
        ("txn_id", [10**15 + i for i in range(N)], Kind.ID),
        ("tweet_id", [1_700_000_000_000_000_000 + 2**22 * i for i in range(N)], Kind.ENTITY),
        ("customer_no", [1_500_000_000 + i for i in range(N)], Kind.ENTITY),
        ("reference", [f"R{i:07d}" for i in range(N)], Kind.ID),
        ("reference", choice([f"R{i:07d}" for i in range(40)]), Kind.ENTITY),
        ("reference", choice([f"R{i:07d}" for i in range(8)]), Kind.CATEGORY),
        ("station", choice([f"Platform number {i}" for i in range(30)]), Kind.CATEGORY),
        ("subscriber", choice([10**8 + i for i in range(90)]), Kind.ENTITY),
        ("population", [10**8 + 7 * i for i in range(N)], Kind.NUMBER),
        ("volume", whole(0, 90), Kind.NUMBER),
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


MOMENTS = [1_772_409_630.25 + 60 * i for i in range(N)]


def iso(separator: str, zone: timezone | None = UTC, suffix: str = "") -> list[str]:
    """Return the moments as ISO 8601 texts on the clocks of a zone; `suffix` "%" shows its offset."""
    texts = []
    for moment in MOMENTS:
        text = datetime.fromtimestamp(moment, zone).isoformat(separator, "milliseconds")
        texts.append(text if suffix == "%" else text[:23] + suffix)
    return texts


WRITTEN: dict[str, list[Any]] = {
    "seconds": MOMENTS,
    "milliseconds": [round(moment * 1e3) for moment in MOMENTS],
    "microseconds": [round(moment * 1e6) for moment in MOMENTS],
    "nanoseconds": [round(moment * 100) * 10_000_000 for moment in MOMENTS],
    "seconds as text": [f"{moment:.2f}" for moment in MOMENTS],
    "milliseconds as text": [f"{moment * 1e3:.0f}" for moment in MOMENTS],
    "ISO without a zone": iso("T"),
    "ISO with a blank": iso(" "),
    "ISO with Z": iso("T", suffix="Z"),
    "ISO with an offset": iso("T", timezone(timedelta(hours=5, minutes=30)), "%"),
    "ISO with a negative offset": iso(" ", timezone(timedelta(hours=-8)), "%"),
}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (written, name)
        for written in WRITTEN
        for name in ("ts", "event_time", "received")
        if "text" not in written or name != "received"  # digits in a text are a time under its name only
    ],
)
def test_a_time_is_the_same_moment_however_it_is_written(written: str, name: str) -> None:
    values = WRITTEN[written]
    exact = pytest.approx(MOMENTS, rel=0.0, abs=5e-7 if written == "nanoseconds" else 0.0)
    batch = RecordBatch.from_records([{"x": 0.5, name: value} for value in values])
    assert batch.schema.time == name
    assert batch.time_s.tolist() == exact
    declared = FeedSchema.from_toml(f'[feed]\ntime = "{name}"\n')
    assert RecordBatch.from_records([{name: value} for value in values], declared).time_s.tolist() == exact
    body = "\n".join([f"x,{name}", *(f"0.5,{value}" for value in values)]).encode()
    [batch] = Intake(batch.schema, fixed=True).admit(body, "text/csv").items
    assert batch.time_s.tolist() == exact


@pytest.mark.parametrize("written", ["seconds", "milliseconds", "ISO with Z"])
def test_one_record_is_enough_to_tell_a_named_time(written: str) -> None:
    batch = RecordBatch.from_records([{"ts": WRITTEN[written][0], "x": 1}])
    assert batch.schema.time == "ts"
    assert batch.time_s.tolist() == MOMENTS[:1]


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
