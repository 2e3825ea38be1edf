"""The alert as producers and pages see it."""

from __future__ import annotations

import math

import msgspec
import pytest

from anomalyai.alert import MAX_ONE_IN, Alert, Reason, one_in, rfc3339, severity_of
from anomalyai.pipeline import Pipeline
from tests.anomalyai.streams import SCHEMA, alerts, batch_of, purchases, run

KEYS = [
    "id", "feed", "seq", "time", "score", "one_in", "severity", "status", "maturity", "summary", "reasons",
    "record", "entities", "incident", "revision",
]  # fmt: skip


@pytest.mark.parametrize(
    ("time_s", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_700_000_000.1239, "2023-11-14T22:13:20.124Z"),
        (-1.5, "1969-12-31T23:59:58.500Z"),
        (253_402_300_798.9996, "9999-12-31T23:59:59.000Z"),
        (math.nan, None),
        (math.inf, None),
        (1e300, None),
        (-1e12, None),
    ],
)
def test_times_are_rfc_3339_in_utc(time_s: float, text: str | None) -> None:
    assert rfc3339(time_s) == text


def test_severity_grows_with_every_power_of_ten() -> None:
    grades = [
        severity_of(3.0 + above, threshold=3.0) for above in (0.0, 0.99, 1.0, 1.99, 2.0, 2.99, 3.0, 9.0)
    ]
    assert grades == ["low", "low", "medium", "medium", "high", "high", "critical", "critical"]


def test_one_in_is_bounded() -> None:
    assert one_in(0.0) == 1.0
    assert one_in(4.0) == pytest.approx(10_000.0)
    assert one_in(1e9) == MAX_ONE_IN


def test_an_alert_has_the_keys_of_the_contract() -> None:
    records = purchases(600)
    records[560]["amount"] = 90_000.0
    [alert] = [
        found for found in alerts(run(Pipeline(SCHEMA, feed="shop"), batch_of(records))) if found.seq == 561
    ]
    written = msgspec.json.decode(msgspec.json.encode(alert))
    assert list(written) == KEYS
    assert written["id"] == "shop-561"
    assert written["feed"] == "shop"
    assert written["time"] == rfc3339(records[560]["time"])
    assert written["status"] == "open"
    assert written["record"] == records[560]
    assert list(written["reasons"][0]) == ["field", "text", "share", "expected", "actual"]
    assert msgspec.json.decode(msgspec.json.encode(alert), type=Alert) == alert


def test_reasons_read_back_with_every_kind_of_value() -> None:
    for actual in (None, True, "x", 1.5):
        reason = Reason("f", "t", 1.0, expected=None, actual=actual)
        assert msgspec.json.decode(msgspec.json.encode(reason), type=Reason) == reason
