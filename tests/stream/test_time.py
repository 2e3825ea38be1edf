"""Time through the whole runtime: clocks that are set back, records that are late or from the future."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stream.models import Models
from stream.runtime import Runtime
from stream.shard import Shard
from stream.testing import ManualClock
from tests.stream.feeding import drain, log_column, records, running


def timeless(first: int, n: int) -> bytes:
    """Return records without a time, whose entities are so few that their pauses are known."""
    rng = np.random.default_rng([1, first])
    return msgspec.json.encode(
        [
            {"meter": f"m{i % 4}", "load": round(float(rng.normal(50.0, 5.0)), 2)}
            for i in range(first, first + n)
        ]
    )


def replayed(runtime: Runtime, feed: str) -> bytes:
    """Return the state that one fresh shard makes of a feed's log."""
    shard = Shard(feed, Models(runtime.models))
    for stored in runtime._reader.read(feed, after=0):
        for _ in shard.take(stored.decode(shard.pipeline.schema), 10_000):
            pass
    return shard.pipeline.dumps()


def test_a_clock_that_is_set_back_and_forward_breaks_nothing(tmp_path: Path) -> None:
    clock = ManualClock()
    state: bytes = b""

    def post(runtime: Runtime, times: int, pause_s: float = 10.0) -> None:
        first = runtime.feed("f")["last_seq"] if runtime.feeds() else 0
        for k in range(times):
            runtime.post("f", timeless(first + 40 * k, 40), None)
            clock.advance(pause_s)
            drain(runtime)
            assert runtime.feed("f")["lag"]["s"] == 0.0  # never negative

    with running(tmp_path, clock, snapshot_every_s=30.0) as runtime:
        post(runtime, 15)
        clock.step_back(3_600.0)
        post(runtime, 8)
    snapshots = len(list((tmp_path / "snapshots").rglob("*.*")))
    assert snapshots
    with running(tmp_path, clock, snapshot_every_s=30.0) as runtime:
        post(runtime, 4)
        clock.advance(7_200.0)
        post(runtime, 8)
        described = runtime.feed("f")
        assert (described["last_seq"], described["dead_letters"]) == (1_400, 0)
        assert (described["late"], described["too_late"], described["future"]) == (0, 0, 0)
        state = runtime._engine.ask("f", lambda lane: lane.shard.pipeline.dumps()).result(60)
        assert replayed(runtime, "f") == state
    times = log_column(tmp_path, "arrival")
    assert times == sorted(times)
    assert all(3.0 < pause < 15.0 or pause > 600.0 for pause in np.diff(times) if pause)
    assert times[-1] <= clock.now_s()


def test_late_and_future_records_are_counted_and_survive_a_restart(tmp_path: Path) -> None:
    disturbed: list[dict[str, Any]] = records(0, 600)
    newest = disturbed[299]["ts"]
    for place, ahead_s in ((300, -600.0), (310, -7_200.0), (320, 70 * 365 * 86_400.0), (330, 3_600.0 * 30)):
        disturbed[place]["ts"] = newest + ahead_s
    with running(tmp_path) as runtime:
        runtime.post("f", msgspec.json.encode(disturbed), None)
        drain(runtime)
        counted = {name: runtime.feed("f")[name] for name in ("late", "too_late", "future")}
        assert counted == {"late": 1, "too_late": 1, "future": 2}
    with running(tmp_path) as runtime:
        runtime.post("f", msgspec.json.encode(records(600, 100)), None)
        drain(runtime)
        assert {name: runtime.feed("f")[name] for name in counted} == counted
        state = runtime._engine.ask("f", lambda lane: lane.shard.pipeline.dumps()).result(60)
        assert replayed(runtime, "f") == state
