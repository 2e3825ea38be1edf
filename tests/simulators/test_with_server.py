"""Client, simulators and replay against the real server: exactly once, same types, same scores."""

from __future__ import annotations

import csv
import io
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from anomalyai.client import Producer, Refused, Subscriber, Superseded, alerts, declare, feed_status, post
from simulators.fraud import FraudSimulator
from simulators.network import NetworkSimulator
from simulators.replay import replay
from simulators.simulation import Simulation
from simulators.simulator import Simulator
from tests.conftest import NewServer
from tests.serving import ServerProcess
from tests.simulators.test_commands import last_line, run

MAKE: list[type[Simulator]] = [FraudSimulator, NetworkSimulator]


def record(server: ServerProcess, feed: str, seq: int) -> dict[str, Any]:
    found: dict[str, Any] = server.request("GET", f"/feeds/{feed}/events/{seq}").json
    return found


def test_nothing_is_lost_or_doubled_when_the_server_is_killed(new_server: NewServer) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = new_server(port=port)
    reached = threading.Event()
    producer = Producer(running.url, "card", producer="till-7", frame_records=100, patience_s=90)
    frames = 300

    def send() -> None:
        with producer:
            for start in range(0, 100 * frames, 100):
                producer.send([{"n": n, "text": f"r{n}"} for n in range(start, start + 100)])
                if producer.totals.accepted > 5_000:
                    reached.set()

    thread = threading.Thread(target=send)
    thread.start()
    assert reached.wait(60)
    running.kill()
    running = new_server(port=port)
    thread.join(120)
    assert not thread.is_alive()
    totals = producer.totals
    assert totals.reconnects >= 1
    assert (totals.sent, totals.accepted, totals.first_seq, totals.last_seq) == (30_000, 30_000, 1, 30_000)
    status = feed_status(running.url, "card")
    assert status is not None
    assert status["last_seq"] == 30_000
    for seq in range(1, 30_001, 997):
        assert record(running, "card", seq)["record"] == {"n": seq - 1, "text": f"r{seq - 1}"}


def test_a_second_producer_of_the_name_closes_the_first(server: ServerProcess, feed: str) -> None:
    with Producer(server.url, feed, producer="a") as first:
        first.send([{"n": 1}])
        assert first.flush(20)
        with Producer(server.url, feed, producer="a") as second:
            second.send([{"n": 2}])
        with pytest.raises(Superseded):
            send_until_closed(first)
        first.close()
    assert second.totals.first_seq == 2


def send_until_closed(producer: Producer) -> None:
    for n in range(1_000):
        producer.send([{"n": n}])
        producer.flush(20)


def test_rejections_name_record_and_field(server: ServerProcess, feed: str) -> None:
    with Producer(server.url, feed, frame_records=10) as producer:
        producer.send([{"n": n, "x": 1.5} for n in range(20)])
        producer.send([{"n": n, "x": "text" if n == 27 else 2.5} for n in range(20, 40)])
        producer.send_raw([b'{"n": 1, "x": 3}', b'{"n": 1, "n": 2}', b"17"])
    assert (producer.totals.accepted, producer.totals.rejected) == (40, 3)
    assert producer.rejections[0].field == "x"
    assert [item.index for item in producer.rejections] == [27, 41, 42]


@pytest.mark.parametrize("make", MAKE)
def test_a_simulated_feed_is_accepted_whole(server: ServerProcess, feed: str, make: type[Simulator]) -> None:
    for declares in (True, False):
        name = f"{feed}-{declares}".lower()
        simulation = Simulation(make.name, name, 5, 0.02)
        summary = simulation.send(server.url, 4_000, None, declares=declares)
        assert (summary.sent, summary.accepted, summary.rejected) == (4_000, 4_000, 0)
        status = feed_status(server.url, name)
        assert status is not None
        assert summary.alerts == status["alerts"] == len(list(alerts(server.url, name)))
        sent = list(make(5, 0.02).records(4_000))
        for seq in (1, 999, 4_000):
            arrived = record(server, name, seq)["record"]
            assert {k: v for k, v in arrived.items() if v is not None} == {
                k: v for k, v in sent[seq - 1].items() if v is not None
            }


@pytest.mark.parametrize("make", MAKE)
def test_inference_finds_what_the_declaration_says(
    server: ServerProcess, feed: str, make: type[Simulator]
) -> None:
    Simulation(make.name, feed, 1, 0.005).send(server.url, 1_000, None, declares=False)
    inferred = {field["name"]: field["kind"] for field in status_of(server, feed)["schema"]["fields"]}
    declare(server.url, f"{feed}-d", make.feed_toml)
    declared = {field["name"]: field["kind"] for field in status_of(server, f"{feed}-d")["schema"]["fields"]}
    unlike = {name for name in declared if inferred[name] != declared[name]}
    assert unlike <= {"dst_port"}


def status_of(server: ServerProcess, feed: str) -> dict[str, Any]:
    status = feed_status(server.url, feed)
    assert status is not None
    return status


def test_a_replayed_file_scores_as_an_uploaded_one(server: ServerProcess, feed: str, tmp_path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["ts", "card", "zip", "amount", "kind", "few"])
    for i, r in enumerate(FraudSimulator(3, 0.02).records(3_000)):
        card = 3508169504374335123 + int(r["customer"][1:]) % 50
        cell = "" if i % 11 == 0 else r["amount"]
        writer.writerow([r["time"], card, f"0{i % 90:04d}", cell, r["category"], 7 if i % 3 else ""])
    path = tmp_path / "cards.csv"
    path.write_text(text.getvalue())
    toml = '[feed]\ntime = "ts"\nentities = ["card"]\n'
    for name in (f"{feed}-up", f"{feed}-re"):
        declare(server.url, name, toml)
    answer = server.request("POST", f"/feeds/{feed}-up/events", text.getvalue(), {"Content-Type": "text/csv"})
    assert answer.status == 202, answer
    replay(path, server.url, f"{feed}-re", toml=None, speed=None, stop=threading.Event())
    assert status_of(server, f"{feed}-up")["schema"] == status_of(server, f"{feed}-re")["schema"]
    assert record(server, f"{feed}-re", 5)["record"]["card"].startswith("35081695043743351")
    wait_until_scored(server, f"{feed}-up")
    for seq in range(1, 3_001, 271):
        uploaded, replayed = (record(server, f"{feed}-{how}", seq) for how in ("up", "re"))
        for key in ("record", "score", "time", "flagged"):
            assert uploaded[key] == replayed[key], (seq, key)
        assert uploaded["score"] is not None


def wait_until_scored(server: ServerProcess, feed: str) -> None:
    waiting = threading.Event()
    for _ in range(600):
        if status_of(server, feed)["lag"]["records"] == 0:
            return
        waiting.wait(0.1)
    raise AssertionError(status_of(server, feed))


def test_a_subscriber_sees_every_alert_once(server: ServerProcess, feed: str) -> None:
    post(server.url, feed, [{"a": 1}])
    stop = threading.Event()
    seen: dict[str, int] = {}
    ready = threading.Event()

    def watch() -> None:
        for message in Subscriber(server.url, feed, after=0, stop=stop):
            if message["type"] == "caught_up":
                ready.set()
            if message["type"] == "alert":
                assert message["alert"]["revision"] > seen.get(message["alert"]["id"], -1)
                seen[message["alert"]["id"]] = message["alert"]["revision"]

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert ready.wait(20)
        Simulation("fraud", feed, 3, 0.05).send(server.url, 6_000, None, declares=False)
        expected = [alert["id"] for alert in alerts(server.url, feed)]
        assert len(expected) >= 3
        pause = threading.Event()
        for _ in range(200):
            if set(expected) <= set(seen):
                break
            pause.wait(0.1)
    finally:
        stop.set()
        watcher.join(10)
    assert set(seen) == set(expected)


def test_the_commands_work_together(server: ServerProcess, feed: str, tmp_path: Path) -> None:
    path = tmp_path / "flows.ndjson.gz"
    last_line(run("simulate", "network", "--records", 2_000, "--out", path))
    summary = last_line(run("replay", path, "--name", feed, "--to", server.url))
    assert (summary["sent"], summary["accepted"], summary["feed"]) == (2_000, 2_000, feed)
    summary = last_line(
        run("simulate", "network", "--records", 100, "--name", feed, "--infer", "--to", server.url)
    )
    assert summary["accepted"] == 100
    times = [record(server, feed, seq)["record"]["time"] for seq in (2_000, 2_001)]
    assert times == sorted(times)


def test_a_conflicting_declaration_is_one_line_and_1(
    server: ServerProcess, feed: str, tmp_path: Path
) -> None:
    post(server.url, feed, [{"amount": n, "kind": "a"} for n in range(600)])
    toml = tmp_path / "f.toml"
    toml.write_text('[feed]\ncategories = ["amount"]\n')
    data = tmp_path / "a.json"
    data.write_text(json.dumps([{"amount": 1}]))
    with pytest.raises(Refused) as error:
        declare(server.url, feed, toml.read_text())
    assert error.value.status == 409
    ended = run("replay", data, "--feed", toml, "--name", feed, "--to", server.url)
    assert ended.returncode == 1
    assert "409" in ended.stderr
    assert "amount" in ended.stderr
    assert ended.stderr.count("\n") == 1
