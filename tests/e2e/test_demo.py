"""The demo from outside: a starter model, a simulated feed, a first anomaly soon, and a clean end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.serving import ServerProcess, children, receive

FIRST_ANOMALY_S = 60.0
DEMO = {"arguments": ("demo", "--rate", "200")}


def simulator_of(server: ServerProcess, timeout_s: float = 20.0, other_than: int | None = None) -> int:
    """Return the process id of the demo's simulator, a child of its worker."""
    deadline = time.monotonic() + timeout_s
    while True:
        for worker in children(server.process.pid):
            for child in children(worker):
                command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if b"simulate" in command and child != other_than:
                    return child
        assert time.monotonic() < deadline, server.stderr()
        time.sleep(0.1)


def gone(pid: int, timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or ") Z " in status.read_text():
            return True
        time.sleep(0.05)
    return False


def test_a_first_anomaly_is_on_the_live_socket_within_a_minute(new_server: NewServer) -> None:
    began = time.monotonic()
    server = new_server(**DEMO)
    with server.socket("/feeds/fraud/live?after=0") as socket:
        message = receive(socket)
        while message["type"] != "alert":
            message = receive(socket)
    assert time.monotonic() - began < FIRST_ANOMALY_S
    assert message["alert"]["feed"] == "fraud"
    model_line, page_line = server.read_line(10), server.read_line(10)
    assert "trained just now" in model_line
    assert server.url in page_line
    feed = server.request("GET", "/feeds/fraud").json
    assert feed["model"]["id"] in model_line
    assert feed["rejected"] == 0
    assert feed["schema"]["name"] == "Card payments"


def test_a_later_start_loads_the_model_and_goes_on(new_server: NewServer) -> None:
    first = new_server(**DEMO)
    trained = first.read_line(10)
    seq = wait_for_records(first, 600)
    assert first.stop()[0] == 0
    second = new_server(**DEMO)
    loaded = second.read_line(10)
    assert "loaded" in loaded
    assert loaded.split(",")[0] == trained.split(",")[0]
    assert wait_for_records(second, seq + 200) > seq
    feed = second.request("GET", "/feeds/fraud").json
    assert feed["model"]["id"] in loaded
    assert feed["maturity"] == "mature"
    assert second.stop()[0] == 0


def wait_for_records(server: ServerProcess, count: int) -> int:
    deadline = time.monotonic() + 60
    while True:
        accepted: int = server.request("GET", "/feeds/fraud").json["accepted"]
        if accepted >= count:
            return accepted
        assert time.monotonic() < deadline, server.stderr()
        time.sleep(0.1)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_with_its_children(new_server: NewServer, sign: signal.Signals) -> None:
    server = new_server(**DEMO)
    (worker,) = server.workers()
    simulator = simulator_of(server)
    wait_for_records(server, 50)
    code, took_s = server.stop(sign)
    assert code == 0
    assert took_s < 15
    assert gone(worker)
    assert gone(simulator)
    assert "Traceback" not in server.stderr()
    log = (server.data / "simulator.log").read_text()
    assert "Traceback" not in log


def test_a_simulator_that_dies_is_started_again(new_server: NewServer) -> None:
    server = new_server(**DEMO)
    simulator = simulator_of(server)
    wait_for_records(server, 50)
    os.kill(simulator, signal.SIGKILL)
    again = simulator_of(server, other_than=simulator)
    assert again != simulator
    assert "simulator ended" in server.stderr()
    before = server.request("GET", "/feeds/fraud").json["accepted"]
    assert wait_for_records(server, before + 50) > before


def test_sudden_deaths_leave_no_orphans(new_server: NewServer) -> None:
    server = new_server(**DEMO)
    first_worker = server.workers()[0]
    first = simulator_of(server)
    wait_for_records(server, 50)
    os.kill(first_worker, signal.SIGKILL)
    assert gone(first, 8.0), "the simulator outlived its worker"  # left alone, it would try to reconnect
    second = simulator_of(server, other_than=first, timeout_s=60)
    (second_worker,) = server.workers()
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(10)
    assert gone(second_worker, 30)
    assert gone(second, 30), "the simulator outlived its master"
