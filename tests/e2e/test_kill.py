"""kill -9 of the server under load: nothing acknowledged is lost or doubled, alerts are those of one run."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalyai.client import Producer
from tests.serving import ServerProcess
from tests.stream.feeding import Outcome, outcome, rewind, running, stored_records

FEED = "f"
PRODUCERS = ("a", "b", "c")
PAUSE_S = 0.01
ODD_FROM, ODD_EVERY = 20, 10
"""Batches until the first odd amount, and from one to the next: few and late enough not to become usual."""

OFTEN = {"ANOMALYAI_ENGINE__SNAPSHOT_EVERY_RECORDS": "1000", "ANOMALYAI_ENGINE__SNAPSHOT_EVERY_S": "0.5"}


def records_of(producer: str, batch: int) -> list[dict[str, Any]]:
    """Return the records of a batch, each a function of the producer and the batch number alone."""
    rng = np.random.default_rng([PRODUCERS.index(producer), batch])
    odd = batch >= ODD_FROM and batch % ODD_EVERY == 0
    return [
        {
            "ts": 1_700_000_000.0 + batch + 0.01 * i,
            "key": f"{producer}/{batch}/{i}",
            "customer": f"c{int(rng.integers(10))}",
            "amount": round(float(rng.normal(50, 5)) * (80 if odd and i == 0 else 1), 2),
        }
        for i in range(int(rng.integers(1, 26)))
    ]


class Load:
    """Producers in threads of this process that send and resume until the end of a block."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sent: dict[str, int] = {}
        self._stop = threading.Event()

    def _run(self, name: str) -> int:
        """Send until stopped; returns how many batches were sent, all of them acknowledged."""
        with Producer(self.url, FEED, producer=name, patience_s=300.0) as producer:
            batch = 0
            while not self._stop.is_set():
                batch += 1
                producer.send(records_of(name, batch))
                self._stop.wait(PAUSE_S)
            assert producer.flush(300.0)
            assert producer.totals.unacknowledged == 0
            assert producer.totals.reconnects > 0
            return batch

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Send for the length of a block; at its end everything sent is acknowledged."""
        with ThreadPoolExecutor(len(PRODUCERS)) as threads:
            running = {name: threads.submit(self._run, name) for name in PRODUCERS}
            try:
                yield
            finally:
                self._stop.set()
            self.sent = {name: batches.result() for name, batches in running.items()}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def kill_and_go_on(server: ServerProcess, rng: np.random.Generator) -> None:
    """Kill the server at a random instant: while it serves, or one time in four while it starts."""
    if rng.random() < 0.25:
        server.launch()
        time.sleep(float(rng.uniform(0.0, 1.5 * server.start_s)))
    else:
        server.start()
        time.sleep(float(rng.uniform(0.0, 1.0)))
    server.kill()


def uninterrupted(data: Path) -> Outcome:
    """Let one engine that nobody kills go through a copy of the log from its beginning."""
    copy = data.with_name("uninterrupted")
    shutil.copytree(data, copy)
    rewind(copy, 0)
    with running(copy):
        pass
    return outcome(copy)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(25, marks=pytest.mark.timeout(900)),
        pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(7200)]),
    ],
)
def test_nothing_acknowledged_is_lost_or_doubled_by_kills(kills: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(kills)
    data = tmp_path / "data"
    server = ServerProcess(data, port=free_port(), environ=OFTEN).start()
    load = Load(server.url)
    with load.under_way():
        time.sleep(1.0)
        server.kill()
        for _ in range(kills - 1):
            kill_and_go_on(server, rng)
        server.start()
    code, _ = server.stop()
    assert code == 0, server.stderr()

    stored = [record["key"] for record in stored_records(data)]
    wanted = [
        record["key"]
        for name in PRODUCERS
        for batch in range(1, load.sent[name] + 1)
        for record in records_of(name, batch)
    ]
    counted = Counter(stored)
    assert [key for key in wanted if not counted[key]] == [], "acknowledged and not there"
    assert [key for key, times in counted.items() if times > 1] == [], "there twice"
    assert len(stored) == len(wanted)
    for name in PRODUCERS:
        mine = [key for key in stored if key.startswith(name)]
        assert mine == [key for key in wanted if key.startswith(name)], "out of order"

    found, again = outcome(data), uninterrupted(data)
    assert found.alerts == again.alerts
    assert found.scores == again.scores
    assert len(found.alerts) > 10, "without alerts this proves nothing about them"
