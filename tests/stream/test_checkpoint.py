"""Snapshots that are taken beside the scoring: increments that recover exactly, in short steps."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from stream.checkpoint import MOST_INCREMENTS, STEP_S, Checkpoints
from stream.runtime import Runtime
from stream.snapshot import Header
from stream.testing import ManualClock
from tests.stream.feeding import drain, outcome, rewind, running, saved_state, wait_until

CUSTOMERS = 4_000
FRAME_RECORDS = 250


def some_records(first: int, n: int) -> list[dict[str, Any]]:
    """Return records of every customer in turn, at first, later of a few: most rows of a table stay."""
    rng = np.random.default_rng(first)
    return [
        {
            "ts": 1_700_000_000.0 + i,
            "customer": f"c{i if i < CUSTOMERS else int(rng.integers(50))}",
            "amount": round(float(rng.normal(50.0, 5.0)), 2),
        }
        for i in range(first, first + n)
    ]


def headers(data: Path) -> list[Header]:
    """Return the headers of a feed's snapshots, the oldest first."""
    return [
        msgspec.json.decode(path.read_bytes().partition(b"\n")[0], type=Header)
        for path in sorted((data / "snapshots" / "f").glob("*.snap"))
    ]


def send(runtime: Runtime, first: int, n: int) -> None:
    for start in range(first, first + n, FRAME_RECORDS):
        runtime.post("f", msgspec.json.encode(some_records(start, FRAME_RECORDS)), None)


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of a data directory, as if killed, that ends with several increments."""
    data = tmp_path_factory.mktemp("checkpoint") / "data"
    copy = data.with_name("copy")
    with running(data, snapshot_every_records=500, snapshot_every_s=3600.0) as runtime:
        sent = CUSTOMERS
        send(runtime, 0, sent)
        drain(runtime)

        def one_more() -> bool:
            nonlocal sent
            send(runtime, sent, FRAME_RECORDS)
            sent += FRAME_RECORDS
            return sum(header.base is not None for header in headers(data)) >= 3

        wait_until(one_more, "three increments")
        drain(runtime)
        shutil.copytree(data, copy)
    return copy


def test_increments_are_small_and_stand_on_one_another(chained: Path) -> None:
    found = headers(chained)
    whole = [place for place, header in enumerate(found) if header.base is None][-1]
    increments = found[whole + 1 :]
    assert 2 <= len(increments) <= MOST_INCREMENTS
    assert [header.base for header in increments] == [header.entry for header in found[whole:-1]]
    rows = [sum(part.n for part in header.parts) for header in found]
    assert rows[whole] >= CUSTOMERS
    assert max(rows[whole + 1 :]) < CUSTOMERS / 2


def test_recovery_from_increments_equals_a_replay_from_the_beginning(chained: Path, tmp_path: Path) -> None:
    states, outcomes = list[bytes](), list[Any]()
    for name in ("from increments", "from the beginning"):
        data = tmp_path / name
        shutil.copytree(chained, data)
        if name == "from the beginning":
            rewind(data, 0)
        with running(data, ManualClock()) as runtime:  # arrivals are part of the state
            send(runtime, 1_000_000, 2 * FRAME_RECORDS)
        states.append(saved_state(data))
        outcomes.append(outcome(data))
    assert states[0] == states[1]
    assert outcomes[0].alerts == outcomes[1].alerts
    assert list(outcomes[0].scores.values()) == list(outcomes[1].scores.values())


def test_a_step_ends_when_its_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock on which each look takes most of a step, a copy takes many steps, and comes to its end."""
    steps, step = 0, Checkpoints.step

    def counted(self: Checkpoints) -> None:
        nonlocal steps
        steps += self.copying
        step(self)

    class Slow:
        def __init__(self, clock: Any) -> None:
            self._clock, self._looks = clock, 0

        def now_s(self) -> float:
            return float(self._clock.now_s())

        def monotonic_s(self) -> float:
            self._looks += 1
            return float(self._clock.monotonic_s()) + self._looks * 0.6 * STEP_S

    monkeypatch.setattr(Checkpoints, "step", counted)
    monkeypatch.setattr("stream.checkpoint.STEP_SLOTS", 100)
    with running(tmp_path / "data", snapshot_every_records=500, snapshot_every_s=3600.0) as runtime:
        checkpoints = runtime._engine._parts.checkpoints
        checkpoints._clock = Slow(checkpoints._clock)
        send(runtime, 0, 2_000)
        wait_until(lambda: len(headers(tmp_path / "data")) > 0, "a snapshot")
        assert steps > 20


def test_a_snapshot_that_the_end_cuts_short_is_taken_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Checkpoints, "step", lambda self: None)  # it never gets on with the copy
    with running(tmp_path, snapshot_every_records=500, snapshot_every_s=3600.0) as runtime:
        send(runtime, 0, 1_000)
        checkpoints = runtime._engine._parts.checkpoints
        wait_until(lambda: checkpoints.copying, "a snapshot that is begun")
        drain(runtime)
    assert [header.entry for header in headers(tmp_path)] == [outcome(tmp_path).position[0]]


def test_after_a_replay_of_committed_entries_the_figures_are_those_of_the_end(
    chained: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(chained, data)
    for path in (data / "snapshots" / "f").iterdir():
        path.unlink()
    with running(data) as runtime:
        seen = runtime._engine.ask("f", lambda lane: lane.shard.pipeline.seen).result(60)
        assert runtime.feed("f")["seen"] == seen > CUSTOMERS
