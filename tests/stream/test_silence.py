"""Silences through the runtime: a feed and a machine that stop, are raised, come back, and are closed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from anomalyai.alert import Alert
from anomalyai.schema import FeedSchema
from stream.runtime import Runtime, Subscription
from stream.testing import ManualClock
from tests.stream.feeding import drain, outcome, running, wait_until

SCHEMA = FeedSchema.from_toml('[feed]\ntime = "ts"\nentities = ["machine"]\nnumbers = ["load"]\n')
START_S = 1_700_000_000.0


def reports(first: int, n: int, without: str = "") -> bytes:
    """Return rounds of reports of ten machines, one report each every ten seconds."""
    rng = np.random.default_rng([9, first])
    made: list[dict[str, Any]] = []
    for i in range(10 * first, 10 * (first + n)):
        load = round(float(rng.normal(50.0, 5.0)), 2)
        if f"m{i % 10}" != without:
            made.append({"ts": START_S + i, "machine": f"m{i % 10}", "load": load})
    return msgspec.json.encode(made)


def silences(runtime: Runtime) -> list[Alert]:
    return [alert for alert in runtime.alerts("plant", 0, 1_000)[0] if alert.record is None]


def entries(runtime: Runtime) -> int:
    return runtime._reader.last_entry("plant")


def seen_by(viewer: Subscription) -> list[dict[str, Any]]:
    """Return the silences that a viewer has been sent so far."""
    found = []
    while (message := viewer.next(0.2)) is not None:
        decoded = msgspec.json.decode(message)
        if decoded["type"] == "alert" and decoded["alert"]["record"] is None:
            found.append(decoded["alert"])
    return found


def post(runtime: Runtime, clock: ManualClock, first: int, rounds: int, without: str = "") -> None:
    for k in range(first, first + rounds):
        runtime.post("plant", reports(k, 1, without), None)
        clock.advance(10.0)
    drain(runtime)


def raised_by_now(runtime: Runtime, clock: ManualClock) -> bool:
    """Let five seconds pass; says whether a silence was raised."""
    clock.advance(5.0)
    return bool(silences(runtime))


def test_a_feed_that_stops_is_raised_by_one_tick_and_closed_when_it_comes_back(tmp_path: Path) -> None:
    clock = ManualClock()
    with running(tmp_path, clock) as runtime:
        runtime.declare("plant", SCHEMA)
        post(runtime, clock, 0, 80)
        wait_until(lambda: runtime.feed("plant")["silences"]["watched"] == 10, "ten known machines")
        before, viewer = entries(runtime), runtime.subscribe("plant", None)
        clock.advance(20.0)
        assert silences(runtime) == []
        wait_until(lambda: raised_by_now(runtime, clock), "the silence")
        [alert] = silences(runtime)
        assert alert.id == f"plant-s{before + 1}"
        assert (alert.seq, alert.status, alert.resumed) == (800, "open", None)
        assert re.fullmatch(r"the feed has been silent for .+, usually every 10 s", alert.summary)
        assert [seen["id"] for seen in seen_by(viewer)] == [alert.id]
        clock.advance(86_400.0)
    with running(tmp_path, clock) as runtime:  # silent still; while nothing ran nothing could come
        assert runtime.feed("plant")["silences"]["open"] == 1
        viewer = runtime.subscribe("plant", None)
        clock.advance(3_600.0)
        post(runtime, clock, 80, 10)
        wait_until(lambda: silences(runtime)[0].revision == 2, "the end of the silence")
        assert entries(runtime) == before + 1 + 10  # one tick in all
        [closed] = silences(runtime)
        assert (closed.id, closed.status) == (alert.id, "open")
        assert closed.resumed is not None
        assert closed.summary == f"{alert.summary}; resumed after 25 hours"
        [revision] = seen_by(viewer)
        assert revision["id"] == alert.id
        assert (revision["revision"], revision["resumed"]) == (2, closed.resumed)
        assert runtime.feed("plant")["silences"]["open"] == 0
    assert outcome(tmp_path, "plant").dead_letters == []


def test_a_machine_that_stops_is_raised_without_a_clock_and_judged_and_closed(tmp_path: Path) -> None:
    with running(tmp_path, ManualClock()) as runtime:
        runtime.declare("plant", SCHEMA)
        runtime.post("plant", reports(0, 60), None)
        runtime.post("plant", reports(60, 20, without="m7"), None)
        drain(runtime)
        [alert] = silences(runtime)
        assert alert.entities == {"machine": "m7"}
        assert alert.summary.startswith("machine m7 has been silent for ")
        assert alert.seq > 600
    with running(tmp_path, ManualClock()) as runtime:
        runtime.judgements.judge(alert.id, "real", None)
        runtime.post("plant", reports(80, 5), None)
        drain(runtime)
        [closed] = silences(runtime)
        assert (closed.id, closed.status, closed.revision) == (alert.id, "real", 3)
        assert closed.summary.endswith("resumed after 3.5 minutes")
