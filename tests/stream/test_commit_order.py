"""A crash between any two steps of the commit order, and in scripts: the alerts are those of one run."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stream.runtime import Runtime
from stream.testing import STEPS, Marker, Source, die_at
from stream.warmup import warm_up_scoring
from tests.stream.feeding import Outcome, outcome, records, running, settings

FRAMES = 60
FRAME_RECORDS = 20
Script = list[list[dict[str, Any]] | Marker]

FRAMES_OF_RECORDS: Script = [records(FRAME_RECORDS * i, FRAME_RECORDS) for i in range(FRAMES)]
PAUSES: Script = [
    line
    for i, sent in enumerate(FRAMES_OF_RECORDS)
    for line in ((sent, Marker.PAUSE) if i % 3 == 2 else (sent,))
]
"""With pauses, so that there are at least as many micro-batches."""

SNAPSHOTS_OFTEN = {"snapshot_every_records": 3 * FRAME_RECORDS}

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload([__name__])


def follow(data: Path, script: Script, step: str | None = None, times: int = 0) -> None:
    """Follow a script to its end, or until this process is killed."""
    if step is not None:
        die_at(step, times)
    runtime = Runtime.open(settings(data, **SNAPSHOTS_OFTEN))
    runtime.start()
    Source("p", script).run(runtime, "f")
    runtime.stop(60.0)


def killed(*arguments: Any) -> None:
    """Run `follow` in a process of its own, which must be killed."""
    process = processes.Process(target=follow, args=arguments)
    process.start()
    process.join(100)
    assert process.exitcode == -signal.SIGKILL


def gone_on(data: Path) -> Outcome:
    """Follow the whole script in this process and return what the directory holds then."""
    with running(data, **SNAPSHOTS_OFTEN) as runtime:
        Source("p", [*FRAMES_OF_RECORDS, Marker.END]).run(runtime, "f")
    return outcome(data)


def same_alerts_and_scores(found: Outcome, wanted: Outcome) -> bool:
    return (found.alerts, found.scores, found.position) == (wanted.alerts, wanted.scores, wanted.position)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    found = gone_on(tmp_path_factory.mktemp("uninterrupted"))
    assert len(found.alerts) > 5, "without alerts this proves nothing about them"
    return found


@pytest.mark.parametrize("step", STEPS)
def test_a_crash_between_two_steps_changes_no_alert(
    step: str, tmp_path: Path, uninterrupted: Outcome
) -> None:
    killed(tmp_path, PAUSES, step, 2 if "snapshot" in step else FRAMES // 4)
    found = gone_on(tmp_path)
    assert found.entries == uninterrupted.entries
    assert same_alerts_and_scores(found, uninterrupted)


@pytest.mark.parametrize(
    "scripts",
    [
        pytest.param([[*FRAMES_OF_RECORDS[:10], Marker.ABORT]], id="at once"),
        pytest.param(
            [
                [*FRAMES_OF_RECORDS[:25], Marker.PAUSE, Marker.ABORT],
                [*FRAMES_OF_RECORDS[:50], Marker.ABORT],
            ],
            id="settled, then not",
        ),
    ],
)
def test_scripts_with_crashes_change_no_alert(
    scripts: Sequence[Script], tmp_path: Path, uninterrupted: Outcome
) -> None:
    for script in scripts:
        killed(tmp_path, script)
    assert same_alerts_and_scores(gone_on(tmp_path), uninterrupted)


def test_a_repeated_frame_gets_its_first_answer(tmp_path: Path) -> None:
    with running(tmp_path) as runtime:
        first = Source("p", [*FRAMES_OF_RECORDS[:3], Marker.END]).run(runtime, "f")
        again = Source("p", [*FRAMES_OF_RECORDS[:4], Marker.END]).run(runtime, "f")
    assert msgspec.json.encode(again[0]) == msgspec.json.encode(first[-1])
    assert again[1]["first_seq"] == first[-1]["last_seq"] + 1


warm_up_scoring()  # once, in the process that the killed ones are forked from
