"""Minutes at full pressure: producers that wait for nothing but credit, a viewer, and memory that stays.

`SOAK_S=600 python -m pytest -m soak tests/e2e/test_pressure.py -s` prints what it saw.
"""

from __future__ import annotations

import os
import statistics
import threading
import time

import pytest

from anomalyai.client import Interrupted, Producer, Subscriber, declare
from tests.conftest import NewServer
from tests.serving import ServerProcess
from web.benchmark import workload

SOAK_S = float(os.environ.get("SOAK_S", "600"))
SETTLED_S = 60.0
PRODUCERS = 4
FRAME_RECORDS = 1_000
GROWTH = 1.10


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def produce(url: str, number: int, stop: threading.Event, sent: list[int]) -> None:
    """Send frame after frame until stopped, every `PRODUCERS`-th of the workload."""
    frame = number
    with Producer(url, "soak", f"p{number}", frame_records=FRAME_RECORDS, stop=stop) as producer:
        try:
            while not stop.is_set():
                producer.send_columns(workload.columns(FRAME_RECORDS, first=frame * FRAME_RECORDS))
                frame += PRODUCERS
        except Interrupted:
            pass
        assert producer.flush(120.0)
        sent[number] = producer.totals.accepted


def watch(url: str, stop: threading.Event, seen: dict[str, int]) -> None:
    for message in Subscriber(url, "soak", stop=stop):
        seen[message["type"]] = seen.get(message["type"], 0) + 1


def sampled(server: ServerProcess, until_s: float) -> list[tuple[float, int, int]]:
    """Return (seconds, resident bytes, records that wait) about once a second."""
    (worker,) = server.workers()
    began, samples = time.monotonic(), list[tuple[float, int, int]]()
    while (now_s := time.monotonic() - began) < until_s:
        lag = server.request("GET", "/feeds/soak").json["lag"]["records"]
        samples.append((now_s, resident_bytes(worker), lag))
        time.sleep(1.0)
    return samples


@pytest.mark.soak
@pytest.mark.timeout(SOAK_S + 300)
def test_memory_stays_where_it_was_at_full_pressure(new_server: NewServer) -> None:
    assert SOAK_S >= 2 * SETTLED_S, "too short to tell"
    server = new_server()
    declare(server.url, "soak", workload.FEED_TOML)
    stop, sent, seen = threading.Event(), [0] * PRODUCERS, dict[str, int]()
    threads = [
        threading.Thread(target=produce, args=(server.url, number, stop, sent)) for number in range(PRODUCERS)
    ]
    threads.append(threading.Thread(target=watch, args=(server.url, stop, seen)))
    for thread in threads:
        thread.start()
    try:
        samples = sampled(server, SOAK_S)
    finally:
        stop.set()
        for thread in threads:
            thread.join(180)
    early = statistics.median(size for at_s, size, _ in samples if SETTLED_S - 5 <= at_s <= SETTLED_S + 5)
    late = statistics.median(size for at_s, size, _ in samples if at_s >= SOAK_S - 10)
    minutes = [size >> 20 for at_s, size, _ in samples if round(at_s) % 60 == 0]
    print(
        f"{early / 2**20:.0f} MB after a minute, {late / 2**20:.0f} MB after {SOAK_S:.0f} s"
        f" ({late / early - 1:+.1%}); by the minute {minutes} MB;"
        f" {sum(sent) / SOAK_S:,.0f} records/s, messages {seen}"
    )
    assert statistics.median(lag for _, _, lag in samples) >= FRAME_RECORDS, "that was no pressure"
    assert {"alert", "points", "stats"} <= set(seen)
    status = server.request("GET", "/feeds/soak").json
    assert (status["last_seq"], status["shed"]) == (sum(sent), 0)
    assert late <= GROWTH * early
