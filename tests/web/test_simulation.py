"""Simulators and replays over HTTP, on a real server: what runs, what was caught, what is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import NewServer
from tests.serving import ServerProcess, children
from web.runs import MAX_RUNNING


def begin(server: ServerProcess, **body: Any) -> dict[str, Any]:
    answer = server.request("POST", "/simulations", json.dumps({"scenario": "fraud", **body}))
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.json
    return found


def wait_until(server: ServerProcess, run: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask for a run until something holds of it."""
    deadline_s = time.monotonic() + 60.0
    while True:
        found: dict[str, Any] = server.request("GET", f"/simulations/{run}").json
        if holds(found):
            return found
        assert time.monotonic() < deadline_s, found
        time.sleep(0.1)


def test_a_simulator_runs_to_its_end_and_knows_what_was_caught(server: ServerProcess) -> None:
    run = begin(server, feed="sim-end", rate=5_000, records=3_000, anomaly_share=0.02)
    assert (run["state"], run["accepted"], run["ended"]) == ("running", 0, None)
    done = wait_until(server, run["id"], lambda found: found["state"] != "running")
    assert (done["state"], done["accepted"], done["error"]) == ("done", 3_000, None)
    truth = server.request("GET", "/feeds/sim-end").json["truth"]
    assert {name: done[name] for name in ("caught", "missed", "false_alarms")} == {
        name: truth[name] for name in ("caught", "missed", "false_alarms")
    }
    assert done["caught"] + done["missed"] > 30
    assert done["caught"] + done["false_alarms"] == done["alerts"]
    assert sum(truth.values()) == 3_000


def test_a_run_is_steered_without_losing_a_record(server: ServerProcess) -> None:
    run = begin(server, feed="sim-steer", rate=400, anomaly_share=0.0)
    wait_until(server, run["id"], lambda found: found["accepted"] > 100)
    answer = server.request("PATCH", f"/simulations/{run['id']}", json.dumps({"anomaly_share": 0.5}))
    assert answer.status == 200
    assert (answer.json["plan"]["anomaly_share"], answer.json["plan"]["rate"]) == (0.5, 400)
    found = wait_until(server, run["id"], lambda found: found["caught"] + found["missed"] > 20)
    assert found["state"] == "running"
    assert server.request("DELETE", f"/simulations/{run['id']}").status == 202
    ended = wait_until(server, run["id"], lambda found: found["state"] != "running")
    assert ended["state"] == "stopped"
    feed = server.request("GET", "/feeds/sim-steer").json
    assert (feed["accepted"], feed["rejected"]) == (ended["accepted"], 0)
    answer = server.request("PATCH", f"/simulations/{run['id']}", json.dumps({"rate": 5}))
    assert (answer.status, answer.error["code"]) == (409, "not_steerable")


def test_a_file_that_cannot_be_replayed_says_why(server: ServerProcess) -> None:
    lines = b'{"amount": 1.5, "label": 0}\n' * 20
    answer = server.request(
        "POST", "/replays?feed=sim-file&speed=2", lines, {"Content-Type": "application/x-ndjson"}
    )
    assert answer.status == 201, answer.body
    failed = wait_until(server, answer.json["id"], lambda found: found["state"] != "running")
    assert failed["state"] == "failed"
    assert "time" in failed["error"]
    answer = server.request("POST", "/replays?feed=sim-file", lines, {"Content-Type": "application/x-ndjson"})
    done = wait_until(server, answer.json["id"], lambda found: found["state"] != "running")
    assert (done["state"], done["accepted"]) == ("done", 20)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("POST", "/simulations", {"scenario": "weather"}, 400, "scenario"),
        ("POST", "/simulations", {"scenario": "fraud", "rate": 0}, 400, "rate"),
        ("POST", "/simulations", {"scenario": "fraud", "feed": "No!"}, 400, "feed"),
        ("POST", "/simulations", {"scenario": "fraud", "anomaly_share": 0.9}, 400, "anomaly_share"),
        ("POST", "/replays", None, 400, "feed"),
        ("GET", "/simulations/fraud-99", None, 404, "id"),
        ("DELETE", "/simulations/fraud-99", None, 404, "id"),
        ("PATCH", "/simulations/fraud-99", {"rate": 1}, 404, "id"),
    ],
)
def test_a_refusal_names_what_was_wrong(
    server: ServerProcess, method: str, path: str, body: dict[str, Any] | None, status: int, field: str
) -> None:
    answer = server.request(method, path, None if body is None else json.dumps(body))
    assert (answer.status, answer.error["field"]) == (status, field), answer.body


def test_runs_are_bounded_and_end_with_the_server(new_server: NewServer) -> None:
    server = new_server()
    for number in range(MAX_RUNNING):
        begin(server, feed=f"f{number}", rate=1)
    again = server.request("POST", "/simulations", json.dumps({"scenario": "fraud", "feed": "f0"}))
    assert (again.status, again.error["code"]) == (409, "simulation_runs")
    more = server.request("POST", "/simulations", json.dumps({"scenario": "network"}))
    assert (more.status, more.error["code"]) == (409, "too_many_simulations")
    [worker] = server.workers()
    senders = children(worker)
    assert len(senders) == MAX_RUNNING
    code, _ = server.stop()
    assert code == 0, server.stderr()
    assert [pid for pid in senders if is_running(pid)] == []


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
