"""kill -9 in the middle of everything: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

from anomalyai.control import ModelSwap
from anomalyai.model_store import ModelStore
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from stream.database import Database
from stream.log import LogReader
from stream.runtime import Runtime
from tests.stream.crashing import PRODUCERS, crash_records, crash_settings
from tests.stream.feeding import drain, outcome

KILLS = 5
ROOT = Path(__file__).resolve().parents[2]

Acks = dict[tuple[str, int], tuple[int, int]]


def run_and_kill(data: Path, after_acks: int, delay_s: float, acks: Acks) -> None:
    """Run the server, kill it some time after it told so many acks, and note all that it told."""
    command = [sys.executable, "-m", "tests.stream.crashing", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        assert server.stdout is not None
        told = 0
        for line in server.stdout:
            told += 1
            note(line, acks)
            if told == after_acks:
                time.sleep(delay_s)
                os.kill(server.pid, signal.SIGKILL)
        assert server.wait(60) == -signal.SIGKILL, "the server ended by itself"
        assert told >= after_acks


def note(line: str, acks: Acks) -> None:
    """Note an ack; a repeated batch must have been answered as before."""
    if not line.endswith("\n"):
        return  # cut off by the kill: never told
    word, producer, batch, first, last = line.split()
    assert word == "ack"
    ack = (int(first), int(last))
    assert acks.setdefault((producer, int(batch)), ack) == ack


def test_every_acknowledged_record_survives_kills_once_and_alerts_are_those_of_one_run(
    tmp_path: Path,
) -> None:
    data, acks = tmp_path / "data", Acks()
    rng = np.random.default_rng(5)
    for _ in range(KILLS):
        run_and_kill(data, int(rng.integers(5, 40)), float(rng.uniform(0, 0.05)), acks)
    assert len(acks) > 5 * KILLS

    runtime = Runtime.open(crash_settings(data))
    runtime.start()
    drain(runtime)
    assert runtime.causes() == []
    runtime.stop(60.0)

    database = Database(data)
    pipeline, keys, alerts, scores = Pipeline(feed="f"), list[str](), dict[str, bytes](), list[bytes]()
    for stored in LogReader(database).read("f", after=0):
        item = stored.decode(pipeline.schema)
        if not isinstance(item.payload, RecordBatch):
            change = item.payload
            if isinstance(change, ModelSwap):
                pipeline.swap(change.model_id, ModelStore(data / "models").load(change.model_id))
            else:
                pipeline.apply(change)
            continue
        assert item.payload.first_seq == len(keys) + 1
        keys += [item.payload.record(i)["key"] for i in range(item.n)]
        scored = pipeline.process(item.payload)
        scores.append(scored.score.tobytes())
        alerts |= {alert.id: msgspec.json.encode(alert) for alert in scored.alerts}
    database.close()

    assert len(keys) == len(set(keys)), "a record is there twice"
    for (producer, batch), (first, last) in acks.items():
        wanted = [record["key"] for record in crash_records(producer, batch)]
        assert keys[first - 1 : last] == wanted, (
            f"batch {batch} of {producer} was acknowledged and is not there"
        )
    for producer in PRODUCERS:
        mine = [key for key in keys if key.startswith(producer)]
        batches = sorted({int(key.split("/")[1]) for key in mine})
        assert batches == list(range(1, len(batches) + 1)), "a batch was passed over"
        assert mine == [record["key"] for b in batches for record in crash_records(producer, b)]
    found = outcome(data)
    assert found.alerts == alerts
    assert alerts, "the run raised no alert, so it proves nothing about alerts"
    by_entry = [found.scores[entry] for entry, kind, *_ in found.entries if kind == "records"]
    assert [body[: len(score)] for body, score in zip(by_entry, scores, strict=True)] == scores
