"""The life of a server process: start, refusals, orderly stop, sudden deaths."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conftest import NewServer
from tests.serving import ServerProcess, children, receive

STOP_WITHIN_S = 10.0


def serve(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `anomalyai serve` that is expected to end by itself."""
    command = [sys.executable, "-m", "web.cli", "serve", "--port", "0", "--data", str(data), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def wait_ready(server: ServerProcess, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if server.request("GET", "/readyz").status == 200:
                return
        except OSError:
            pass  # between two workers
        assert time.monotonic() < deadline, server.stderr()
        time.sleep(0.05)


def test_a_second_server_on_the_same_data_is_refused(new_server: NewServer) -> None:
    first = new_server()
    began = time.monotonic()
    second = serve(first.data)
    assert second.returncode == 1
    assert second.stdout == ""
    assert f"in use by process {first.process.pid}" in second.stderr
    assert str(first.data) in second.stderr
    assert "Traceback" not in second.stderr
    assert time.monotonic() - began < 10, "a live server is not waited for"
    assert first.request("GET", "/readyz").status == 200


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = serve(tmp_path / "data", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert "port" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_data_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("a file")
    ended = serve(path)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr


def test_ready_means_ready(new_server: NewServer) -> None:
    server = new_server()
    assert server.request("GET", "/readyz").json == {"ready": True, "causes": []}
    assert server.post("f", {"a": 1}).status == 202


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_stopping_is_orderly(new_server: NewServer, sign: signal.Signals) -> None:
    server = new_server()
    (worker,) = server.workers()
    server.post("f", [{"a": i} for i in range(1000)])
    codes: list[int] = []

    def watch(path: str) -> None:
        with server.socket(path) as viewer:
            opened.release()
            try:
                while True:
                    viewer.recv(timeout=30)
            except ConnectionClosed as closed:
                codes.append(closed.rcvd.code if closed.rcvd else 1006)

    opened = threading.Semaphore(0)
    paths = ["/feeds/f/live"] * 20 + ["/feeds/f/ingest"] * 20
    viewers = [threading.Thread(target=watch, args=(path,)) for path in paths]
    for viewer in viewers:
        viewer.start()
    for _ in viewers:
        assert opened.acquire(timeout=30)
    code, took_s = server.stop(sign)
    for viewer in viewers:
        viewer.join(30)
    assert code == 0
    assert took_s < STOP_WITHIN_S
    assert codes == [1001] * len(paths)
    assert "Traceback" not in server.stderr()
    assert not Path(f"/proc/{worker}").exists()


def test_stopping_loses_nothing_that_was_acknowledged(new_server: NewServer) -> None:
    server = new_server()
    acks: list[dict[str, Any]] = []

    def produce() -> None:
        with server.socket("/feeds/f/ingest?producer=p") as producer:
            receive(producer)
            try:
                for number in range(10_000):
                    producer.send(f'[{{"a": {number}}}, {{"a": {number}}}]')
                    acks.append(receive(producer))
            except ConnectionClosed:
                return

    producing = threading.Thread(target=produce)
    producing.start()
    while len(acks) < 20:
        time.sleep(0.01)
    code, _ = server.stop()
    producing.join(30)
    assert code == 0
    again = new_server()
    feed = again.request("GET", "/feeds/f").json
    assert feed["last_seq"] >= acks[-1]["last_seq"]
    assert feed["last_seq"] - acks[-1]["last_seq"] <= 2 * 8, "no more than what was under way"


def test_a_killed_worker_is_replaced_and_recovers(new_server: NewServer) -> None:
    server = new_server()
    (first,) = server.workers()
    last_seq = server.post("f", [{"a": i} for i in range(100)]).json["last_seq"]
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while server.workers() in ([], [first]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    wait_ready(server)
    assert server.post("f", {"a": 1}).json["first_seq"] == last_seq + 1
    code, _ = server.stop()
    assert code == 0


def test_a_killed_master_takes_its_worker_along_and_the_next_start_waits(new_server: NewServer) -> None:
    first = new_server()
    (worker,) = first.workers()
    last_seq = first.post("f", {"a": 1}).json["last_seq"]
    port = int(first.url.rsplit(":", 1)[1])
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait(10)
    second = new_server(port=port)
    assert second.url == first.url
    assert not Path(f"/proc/{worker}").exists()
    assert second.post("f", {"a": 1}).json["first_seq"] == last_seq + 1


def test_the_address_is_announced_once(new_server: NewServer) -> None:
    server = new_server()
    killed = server.workers()[0]
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while killed in server.workers():
        assert time.monotonic() < deadline, "the dead worker was not taken away"
    wait_ready(server)
    assert server.process.stdout is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.stdout.read() == b""
    assert server.process.wait(30) == 0


def test_a_worker_that_keeps_dying_ends_the_server(new_server: NewServer) -> None:
    server = new_server()
    deadline = time.monotonic() + 90
    killed: set[int] = set()
    while server.process.poll() is None:
        assert time.monotonic() < deadline
        for worker in set(children(server.process.pid)) - killed:
            os.kill(worker, signal.SIGKILL)
            killed.add(worker)
        time.sleep(0.05)
    assert server.process.returncode == 1
    assert len(killed) == 5
    assert "died 5 times" in server.stderr()


@pytest.mark.parametrize("sign", [signal.SIGHUP, signal.SIGTTIN, signal.SIGUSR2])
def test_signals_that_would_start_a_second_engine_are_ignored(
    new_server: NewServer, sign: signal.Signals
) -> None:
    server = new_server()
    workers = server.workers()
    server.process.send_signal(sign)
    deadline = time.monotonic() + 20
    while "signal ignored" not in server.stderr():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.workers() == workers
    assert server.request("GET", "/readyz").status == 200
