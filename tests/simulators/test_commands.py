"""`anomalyai simulate` and `anomalyai replay` as programs: last line, exit codes, files, progress."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators.fraud import FraudSimulator
from simulators.network import NetworkSimulator
from simulators.reading import RecordFile
from tests.simulators.ingest_server import IngestServer

COMMAND = [sys.executable, "-m", "web.cli"]
KEYS = {"feed", "sent", "accepted", "rejected", "alerts", "seconds"}


@pytest.fixture
def server() -> Iterator[IngestServer]:
    with IngestServer() as running:
        yield running


def run(*arguments: object, stderr: Any = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=60, check=False)


def last_line(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert ended.returncode == 0, ended.stderr
    summary: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    assert set(summary) == KEYS
    return summary


@pytest.mark.parametrize("name", ["f.csv", "f.csv.gz", "f.ndjson", "f.jsonl.gz"])
def test_a_simulated_file_holds_the_stream(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    summary = last_line(run("simulate", "fraud", "--records", 2_000, "--seed", 7, "--out", path))
    assert (summary["feed"], summary["sent"], summary["accepted"]) == ("fraud", 2_000, None)
    with RecordFile(path) as file:
        pieces = list(file.pieces())
    if name.startswith("f.csv"):
        (piece,) = pieces
        assert piece.columns is not None
        read = [
            dict(zip(piece.columns, row, strict=True)) for row in zip(*piece.columns.values(), strict=True)
        ]
    else:
        read = [json.loads(raw) for piece in pieces for raw in piece.raw]
    assert read == list(FraudSimulator(7).records(2_000))


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        last_line(run("simulate", "network", "--records", 500, "--seed", 1, "--out", tmp_path / name))
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_a_simulated_stream_is_declared_and_sent(server: IngestServer) -> None:
    ended = run("simulate", "network", "--records", 2_500, "--seed", 3, "--name", "lan", "--to", server.url)
    summary = last_line(ended)
    assert (summary["feed"], summary["sent"], summary["accepted"], summary["rejected"]) == (
        "lan",
        2_500,
        2_500,
        0,
    )
    assert server.declared == {"lan": NetworkSimulator.feed_toml}
    sent = [{k: v for k, v in r.items() if v is not None} for r in NetworkSimulator(3).records(2_500)]
    assert server.records["lan"] == sent
    assert ended.stdout.count("\n") == 1


def test_a_simulation_goes_on_where_the_feed_ends(server: IngestServer) -> None:
    for _ in range(2):
        last_line(run("simulate", "fraud", "--records", 800, "--infer", "--to", server.url))
    records = server.records["fraud"]
    assert server.declared == {}
    assert [r["transaction_id"] for r in records] == [f"t{n:09d}" for n in range(1, 1_601)]
    times = [r["time"] for r in records]
    assert times == sorted(times)
    assert records[800:810] != records[:10]


def test_a_signal_prints_the_last_line(server: IngestServer) -> None:
    command = [*COMMAND, "simulate", "fraud", "--rate", "200", "--to", server.url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while len(server.records.get("fraud", [])) < 100:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    summary = json.loads(out)
    assert process.returncode == 0
    assert summary["sent"] == summary["accepted"] == len(server.records["fraud"]) >= 100


def test_a_file_is_replayed(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "My Payments.csv.gz"
    last_line(run("simulate", "fraud", "--records", 3_000, "--seed", 2, "--out", path))
    summary = last_line(run("replay", path, "--to", server.url))
    assert (summary["feed"], summary["sent"], summary["accepted"]) == ("my-payments", 3_000, 3_000)
    sent = [{k: v for k, v in r.items() if v is not None} for r in FraudSimulator(2).records(3_000)]
    assert server.records["my-payments"] == sent
    toml = tmp_path / "f.toml"
    toml.write_text(FraudSimulator.feed_toml)
    summary = last_line(run("replay", path, "--feed", toml, "--name", "tills", "--to", server.url))
    assert summary["feed"] == "tills"
    assert server.declared == {"tills": FraudSimulator.feed_toml}


def test_rows_that_cannot_be_read_are_counted_and_said(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n3\n4,5\n")
    ended = run("replay", path, "--to", server.url)
    summary = last_line(ended)
    assert (summary["sent"], summary["accepted"], summary["rejected"]) == (3, 2, 1)
    assert "data row 2 was left out: expected 2 cells as in the header, got 1" in ended.stderr


def test_progress_is_a_bar_on_a_terminal_only(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n\n" + "1\n" * 30_000)
    assert run("replay", path, "--to", server.url).stderr == ""
    ours, theirs = pty.openpty()
    try:
        last_line(run("replay", path, "--to", server.url, stderr=theirs))
        shown = os.read(ours, 65_536).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "replay" in shown
    assert "100%" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "weather"),
        ("simulate", "fraud", "--rate", "0"),
        ("simulate", "fraud", "--records", "0"),
        ("simulate", "fraud", "--anomaly-share", "0.9"),
        ("simulate", "fraud", "--name", "Not A Feed"),
        ("simulate", "fraud", "--to", "localhost"),
        ("simulate", "fraud", "--out", "a.csv"),
        ("simulate", "fraud", "--records", "5", "--rate", "5", "--out", "a.csv"),
        ("simulate", "fraud", "--records", "5", "--out", "a.parquet"),
        ("simulate", "fraud", "--records", "5", "--out", "a.csv", "--to", "http://127.0.0.1:1"),
        ("replay", "no-such-file.csv"),
        ("replay", __file__, "--speed", "fast"),
        ("replay", __file__, "--speed", "-1"),
        ("replay", __file__, "--speed", "nan"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_reason(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert "Error: " in ended.stderr


def test_no_server_ends_with_1_and_one_line_that_helps(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    for arguments in (("simulate", "fraud", "--records", 5), ("replay", path)):
        ended = run(*arguments, "--to", url)
        assert ended.returncode == 1
        assert ended.stdout == ""
        assert ended.stderr.startswith(f"Error: no server answers at {url}")
        assert "anomalyai serve" in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_a_file_that_breaks_off_ends_with_1(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[{"a":1},{"a"')
    ended = run("replay", path, "--to", server.url)
    assert ended.returncode == 1
    assert "expected a JSON value" in ended.stderr


def test_event_time_that_is_not_there_is_wrong_usage(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    ended = run("replay", path, "--speed", "10", "--to", server.url)
    assert ended.returncode == 2
    assert "no event time" in ended.stderr
