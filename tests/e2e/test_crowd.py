"""Fan-out: a stalled viewer harms nobody and misses nothing, dead ones go, hundreds cost what is stated."""

from __future__ import annotations

import json
import socket as sockets
import statistics
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from websockets.sync.client import ClientConnection, connect

from anomalyai.client import Producer
from stream.viewer import MAX_MESSAGES
from tests.e2e.crowd import PATIENCE_S, Crowd
from tests.serving import ServerProcess, receive
from tests.web.test_live import handshake

FEED = "crowd"
PING_S = 6.0
HEALTHY, ROUND_FRAMES, FRAME_EVERY_S = 50, 15, 0.08
LEAST_PAIRS, MOST_PAIRS, SLACK_S = 3, 8, 0.010
IDLE, PRODUCERS = 300, 20

THREADS_A_SOCKET, OTHER_THREADS = 2, 60
SOCKET_BYTES = 128 << 10
"""What README states of one open socket, and of a server without any."""


@pytest.fixture(scope="module")
def dead(server: ServerProcess) -> Iterator[list[sockets.socket]]:
    """Open a viewer and a producer that never answer a ping; other tests pass the time until that is seen."""
    server.post("quiet", [{"amount": 1}])
    with deaf(server, "/feeds/quiet/live") as viewer, deaf(server, "/feeds/quiet/ingest?producer=p") as other:
        yield [viewer, other]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Start a server that pings often; half of its feed's records are alerts, of 3 kB each."""
    environ = {
        "ANOMALYAI_SERVER__PING_INTERVAL_S": str(PING_S),
        "ANOMALYAI_SERVER__SEND_TIMEOUT_S": "60",
    }
    running = ServerProcess(tmp_path_factory.mktemp("crowd") / "data", environ=environ).start()
    try:
        declared = {"feed": {"numbers": ["amount"], "budget": "1/2"}}
        running.request("PUT", f"/feeds/{FEED}", json.dumps(declared), {"Content-Type": "application/json"})
        running.post(FEED, records(0, 3_000))
        wait_until(lambda: alerts(running) >= 500, "the alerts")
        yield running
    finally:
        running.kill()
        if running.process.stdout is not None:
            running.process.stdout.close()


def records(first: int, count: int) -> list[dict[str, Any]]:
    return [{"amount": i * 7919 % 1000, "text": f"{i}" + "x" * 2000} for i in range(first, first + count)]


def alerts(server: ServerProcess) -> int:
    return int(server.request("GET", f"/feeds/{FEED}").json["alerts"])


def wait_until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:.0f} s for {what}"
        time.sleep(0.05)


def figure(pid: int, name: str) -> int:
    """Return a figure of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def deaf(server: ServerProcess, path: str) -> sockets.socket:
    """Open a live socket whose owner reads nothing from now on, and so answers no ping."""
    address = urlsplit(server.url)
    raw = sockets.socket()
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    raw.connect((str(address.hostname), address.port))
    raw.sendall(handshake(path))
    return raw


def round_p99_s(crowd: Crowd, ingest: ClientConnection, number: int) -> float:
    """Send some frames and return the 99th percentile of the time from send to a viewer."""
    sent_s: dict[int, float] = {}
    for frame in range(ROUND_FRAMES):
        at_s = time.perf_counter()
        ingest.send(json.dumps(records(10_000 + number * 100 + frame * 4, 4)))
        ack = receive(ingest)
        sent_s.update(dict.fromkeys(range(ack["first_seq"], ack["last_seq"] + 1), at_s))
        time.sleep(FRAME_EVERY_S)
    time.sleep(0.3)
    took = [came_s[seq] - at_s for came_s in crowd.came_s for seq, at_s in sent_s.items() if seq in came_s]
    assert len(took) >= ROUND_FRAMES * HEALTHY / 2, "hardly any alerts"
    return float(np.percentile(took, 99))


def burst(server: ServerProcess, crowd: Crowd) -> None:
    """Raise more alerts than a viewer's queue holds, and let the healthy ones take them as they come."""
    raised: set[int] = set()
    while len(raised) <= MAX_MESSAGES:
        posted = server.post(FEED, records(50_000 + len(raised), 200)).json
        wait_until(lambda: server.request("GET", f"/feeds/{FEED}").json["lag"]["records"] == 0, "the engine")
        fresh = listed(server, posted["first_seq"] - 1, posted["last_seq"])
        assert fresh
        wait_until(partial(crowd.have, max(fresh)), "the healthy viewers")
        raised |= fresh


def test_a_stalled_viewer_does_not_slow_fifty_healthy_ones(
    server: ServerProcess, dead: list[sockets.socket]
) -> None:
    """Rounds with and without one take turns; the medians of their p99 are compared, with a little slack."""
    without: list[float] = []
    beside: list[float] = []
    address = f"{server.url.replace('http', 'ws', 1)}/feeds/{FEED}/ingest"
    with Crowd(server.url, FEED) as crowd, connect(address, compression=None) as ingest:
        receive(ingest)
        crowd.come(HEALTHY)
        round_p99_s(crowd, ingest, 99)
        for pair in range(MOST_PAIRS):
            without.append(round_p99_s(crowd, ingest, 2 * pair))
            with deaf(server, f"/feeds/{FEED}/live?after=0"):  # the replay alone is more than it will take
                burst(server, crowd)
                beside.append(round_p99_s(crowd, ingest, 2 * pair + 1))
            limit_s = 1.1 * statistics.median(without) + SLACK_S
            if pair + 1 >= LEAST_PAIRS and statistics.median(beside) <= limit_s:
                break
    assert statistics.median(beside) <= limit_s, (without, beside)


def test_who_answers_no_ping_is_dropped_and_told_why(
    server: ServerProcess, dead: list[sockets.socket]
) -> None:
    for raw in dead:
        raw.settimeout(3 * PING_S)
        said = b""
        while part := raw.recv(1 << 16):
            said += part
        assert b"Ping/Pong timeout" in said
    wait_until(lambda: server.metric("anomalyai_sockets_open") == 0, "the places")


def test_a_stalled_viewer_is_told_its_gap_and_rereads_all_of_it(server: ServerProcess) -> None:
    start = int(server.request("GET", f"/feeds/{FEED}").json["last_seq"])
    path = f"/feeds/{FEED}/live?after={start}"
    with connect(
        f"{server.url.replace('http', 'ws', 1)}{path}", compression=None, max_size=None, max_queue=1
    ) as viewer:
        assert receive(viewer)["type"] == "caught_up"
        server.post(FEED, records(20_000, 3_000))  # meanwhile it reads nothing
        wait_until(lambda: server.request("GET", f"/feeds/{FEED}").json["lag"]["records"] == 0, "the engine")
        expected = listed(server, start, start + 3_000)
        seen: set[int] = set()
        gaps: list[tuple[int, int]] = []
        while not expected <= seen:
            message = receive(viewer)
            if message["type"] == "alert":
                seen.add(message["alert"]["seq"])
            elif message["type"] == "gap":
                gaps.append((message["after"], message["until"]))
                seen |= listed(server, *gaps[-1])
    assert gaps
    assert len(expected) > 600
    assert seen == expected


def listed(server: ServerProcess, after: int, until: int) -> set[int]:
    """Reread alerts over HTTP: those after one record and up to another."""
    found: set[int] = set()
    following: int | None = after
    while following is not None and following < until:
        page = server.request("GET", f"/feeds/{FEED}/alerts?after={following}&limit=1000").json
        found |= {alert["seq"] for alert in page["alerts"]}
        following = page["next"]
    return {seq for seq in found if seq <= until}


def test_hundreds_of_idle_viewers_and_twenty_producers_are_served_at_the_stated_cost(
    server: ServerProcess,
) -> None:
    (worker,) = server.workers()
    before = figure(worker, "VmRSS") << 10
    totals: list[int] = []

    def produce(number: int) -> None:
        with Producer(server.url, "busy", f"p{number}", frame_records=20) as producer:
            producer.send(records(100 * number, 60))
            producer.flush()
            totals.append(producer.totals.accepted)

    with Crowd(server.url, FEED) as crowd:
        crowd.come(IDLE)
        producers = [threading.Thread(target=produce, args=(number,)) for number in range(PRODUCERS)]
        for producer in producers:
            producer.start()
        for producer in producers:
            producer.join(PATIENCE_S)
        assert totals == [60] * PRODUCERS
        posted = server.post(FEED, records(30_000, 20)).json
        wait_until(lambda: server.request("GET", f"/feeds/{FEED}").json["lag"]["records"] == 0, "the engine")
        raised = listed(server, posted["first_seq"] - 1, posted["last_seq"])
        assert raised
        wait_until(lambda: all(crowd.have(seq) for seq in raised), "every viewer's alerts")
        assert server.metric("anomalyai_sockets_open") >= IDLE
        threads, grown = figure(worker, "Threads"), (figure(worker, "VmRSS") << 10) - before
    print(f"{threads} threads, {grown >> 20} MB more for {IDLE} viewers and {PRODUCERS} producers")
    assert threads <= THREADS_A_SOCKET * (IDLE + PRODUCERS) + OTHER_THREADS
    assert grown <= SOCKET_BYTES * (IDLE + PRODUCERS)
    wait_until(lambda: server.metric("anomalyai_sockets_open") == 0, "the places")
