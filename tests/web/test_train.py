"""`POST /train` and `/jobs` on a real server: what is taken, what is refused, and jobs from start to end."""

from __future__ import annotations

import gzip
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import ClientConnection

from tests.serving import Answer, ServerProcess, children, receive

ALGORITHMS = ("isolation_forest", "one_class_svm", "kmeans", "dbscan")
FINISHED = ("done", "failed", "cancelled")
LIMIT_BYTES = 300_000
JOB_S = 120.0
FORM = "multipart/form-data; boundary=xxBOUNDxx"
SERVER = {
    "ANOMALYAI_TRAINING__MAX_UPLOAD_BYTES": str(LIMIT_BYTES),
    "ANOMALYAI_TRAINING__MAX_QUEUED": "2",
}


def payments(n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(3)
    return [
        {
            "time": f"2026-03-{1 + i // 86_400:02d}T{i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}Z",
            "customer": f"c{int(rng.integers(20))}",
            "country": ("DE", "FR", "US")[int(rng.integers(3))],
            "amount": round(float(rng.normal(50.0, 5.0)), 2),
        }
        for i in range(n)
    ]


def csv_of(records: list[dict[str, Any]]) -> bytes:
    lines = [",".join(records[0]), *(",".join(str(value) for value in row.values()) for row in records)]
    return ("\n".join(lines) + "\n").encode()


def form(*parts: tuple[str, str | None, bytes], end: bytes = b"--xxBOUNDxx--\r\n") -> bytes:
    body = b""
    for name, filename, data in parts:
        named = f'; filename="{filename}"' if filename else ""
        body += f'--xxBOUNDxx\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode()
        body += data + b"\r\n"
    return body + end


CSV = csv_of(payments(400))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("train") / "data", environ=SERVER).start()
    try:
        yield running
        code, _ = running.stop()
        assert code == 0, running.stderr()
    finally:
        running.kill()


def train(
    server: ServerProcess, body: bytes, media: str | None = "text/csv", path: str = "?feed=payments"
) -> Answer:
    return server.request("POST", f"/train{path}", body, {"Content-Type": media} if media else {})


def started(answer: Answer) -> str:
    assert answer.status == 202, answer
    job = answer.json["job"]
    assert job["state"] in ("queued", "running")
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    return str(job["id"])


def ended(server: ServerProcess, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + JOB_S
    while (job := server.request("GET", f"/jobs/{job_id}").json)["state"] not in FINISHED:
        assert time.monotonic() < deadline, job
        time.sleep(0.1)
    return dict(job)


def files(server: ServerProcess) -> list[str]:
    folders = (server.data / name for name in ("uploads", "training"))
    return [path.name for folder in folders if folder.is_dir() for path in folder.iterdir()]


def training_processes(server: ServerProcess) -> list[int]:
    """Return the training processes below a server, however deep they are."""
    found, waiting = [], [server.process.pid]
    while waiting:
        below = children(waiting.pop())
        waiting += below
        found += [pid for pid in below if b"stream.training.worker" in command_of(pid)]
    return found


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def everything(socket: ClientConnection) -> list[dict[str, Any]]:
    """Receive until the server closes the socket in order."""
    told: list[dict[str, Any]] = []
    try:
        while True:
            told.append(receive(socket, JOB_S))
    except ConnectionClosedOK:
        return told


def wait_for_process(server: ServerProcess) -> int:
    deadline = time.monotonic() + JOB_S
    while not (found := training_processes(server)):
        assert time.monotonic() < deadline, server.stderr()
        time.sleep(0.05)
    return found[0]


def test_every_form_of_upload_trains_and_progress_comes_in_order_to_every_watcher(
    server: ServerProcess,
) -> None:
    kmeans = b'{"algorithm": "kmeans", "parameters": {"n_clusters": 4}, "seed": 7}'
    job_id = started(
        train(server, form(("file", "p.csv.gz", gzip.compress(CSV)), ("options", None, kmeans)), FORM)
    )
    with server.socket(f"/jobs/{job_id}/live") as first, server.socket(f"/jobs/{job_id}/live") as second:
        told, others = everything(first), everything(second)
        assert first.close_code == 1000
    assert others[-1] == told[-1] == ended(server, job_id)
    states = [job["state"] for job in told]
    assert states == sorted(states, key=("queued", "running", "done").index)
    fractions = [job["fraction"] for job in told]
    assert fractions == sorted(fractions)
    assert len({job["stage"] for job in told} & {"reading", "describing", "measuring", "fitting"}) >= 2
    assert told[-1]["state"] == "done", told[-1]
    assert told[-1]["created_by"] == "hand"
    assert told[-1]["source"] == "upload"
    model = server.request("GET", f"/models/{told[-1]['model']}").json
    assert (model["algorithm"], model["feed"], model["rows"]) == ("kmeans", "payments", 400)
    assert (model["seed"], model["parameters"]["n_clusters"]) == (7, 4)
    assert model["created_by"] == "hand"
    assert model["start_sha256"] is not None
    assert files(server) == []
    assert server.request("GET", "/feeds/payments").status == 404, "training brings no feed into being"


def test_records_and_the_log_train_too_and_jobs_are_listed_the_newest_first(server: ServerProcess) -> None:
    assert server.post("logged", payments(600)).status == 202
    lines = "\n".join(json.dumps(record) for record in payments(120)).encode()
    ids = [
        started(train(server, lines, "application/x-ndjson", "?feed=payments&algorithm=isolation_forest")),
        started(train(server, b'{"source": "log", "last": "7d"}', None, "?feed=logged&algorithm=kmeans")),
    ]
    jobs = [ended(server, job_id) for job_id in ids]
    assert [(job["state"], job["error"]) for job in jobs] == [("done", None)] * 2
    assert [job["source"] for job in jobs] == ["upload", "log"]
    listed = server.request("GET", "/jobs").json["jobs"]
    assert [job["id"] for job in listed][:2] == ids[::-1]
    assert [job["id"] for job in server.request("GET", "/jobs?feed=logged").json["jobs"]] == ids[1:]
    assert len(server.request("GET", "/jobs?limit=1").json["jobs"]) == 1
    model = server.request("GET", f"/models/{jobs[1]['model']}").json
    assert (model["feed"], model["rows"], model["algorithm"]) == ("logged", 600, "kmeans")
    assert server.metric("anomalyai_jobs") >= 2
    assert server.metric("anomalyai_training_seconds_total") > 0


OPTIONS = "%7B%22parameters%22%3A%7B%22n_clusters%22%3A0%7D%7D"
REFUSALS: dict[str, tuple[str, bytes, str | None, int, str]] = {
    "no feed": ("", CSV, "text/csv", 400, "bad_query"),
    "no such name of a feed": ("?feed=No", CSV, "text/csv", 400, "feed_name"),
    "unknown algorithm": ("?feed=f&algorithm=magic", CSV, "text/csv", 400, "bad_query"),
    "unknown parameter": ("?feed=f&seed=1", CSV, "text/csv", 400, "bad_query"),
    "options that are no JSON": ("?feed=f&options=x", CSV, "text/csv", 400, "bad_options"),
    "a hyperparameter out of range": (
        f"?feed=f&algorithm=kmeans&options={OPTIONS}", CSV, "text/csv", 400, "parameter_invalid",
    ),
    "nothing": ("?feed=f", b"", None, 400, "unreadable_body"),
    "no records": ("?feed=f", b"hello", None, 400, "unreadable_body"),
    "half an array": ("?feed=f", b'[{"a": 1}, {"a"', "application/json", 400, "truncated_body"),
    "too few rows": ("?feed=f", csv_of(payments(49)), "text/csv", 400, "too_few_rows"),
    "another media type": ("?feed=f", CSV, "application/xml", 415, "unsupported_media_type"),
    "another charset": ("?feed=f", CSV, "text/csv; charset=latin-1", 415, "unsupported_media_type"),
    "a pickle": ("?feed=f", b"\x80\x04\x95" + bytes(100), "application/octet-stream", 400, "unreadable_body"),
    "half a gzip": ("?feed=f", gzip.compress(CSV)[:200], "text/csv", 400, "body_broken"),
    "a form without a boundary": ("?feed=f", CSV, "multipart/form-data", 400, "bad_form"),
    "a form of rubbish": ("?feed=f", b"rubbish" * 100, FORM, 400, "bad_form"),
    "a form without a file": ("?feed=f", form(("options", None, b"{}")), FORM, 400, "bad_form"),
    "a form with another part": ("?feed=f", form(("model", "m.pkl", b"x")), FORM, 400, "bad_form"),
    "a form with two files": (
        "?feed=f", form(("file", "a.csv", CSV), ("file", "b.csv", CSV)), FORM, 400, "bad_form",
    ),
    "a form that is cut short": ("?feed=f", form(("file", "a.csv", CSV), end=b""), FORM, 400, "bad_form"),
    "a form's options that are no options": (
        "?feed=f", form(("file", "a.csv", CSV), ("options", None, b'{"depth": 3}')), FORM, 400, "bad_options",
    ),
    "a form's options without end": (
        "?feed=f", form(("options", None, b" " * 70_000), ("file", "a.csv", CSV)), FORM, 400, "bad_form",
    ),
    "two algorithms": (
        "?feed=f&algorithm=kmeans",
        form(("file", "a.csv", CSV), ("options", None, b'{"algorithm": "dbscan"}')), FORM, 400, "bad_options",
    ),
    "the log of no feed": ("?feed=nobody", b'{"source": "log"}', None, 404, "unknown_feed"),
    "another source": ("?feed=f", b'{"source": "web"}', None, 400, "bad_request"),
    "no length of time": ("?feed=f", b'{"source": "log", "last": "7w"}', None, 400, "bad_request"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_trained_on_is_refused_at_once(server: ServerProcess, case: str) -> None:
    path, body, media, status, code = REFUSALS[case]
    before = server.request("GET", "/jobs").json
    answer = train(server, body, media, path)
    assert (answer.status, answer.error["code"]) == (status, code), answer
    assert not [name for name in files(server) if name.startswith(".incoming")]
    assert server.request("GET", "/jobs").json == before


def test_refusals_name_what_is_wrong(server: ServerProcess) -> None:
    options = form(("file", "a.csv", CSV), ("options", None, b'{"preprocessing": {"missing": "guess"}}'))
    error = train(server, options, FORM).error
    assert error["field"] == "preprocessing.missing"
    assert "guess" in error["message"]
    few = [*payments(30), {"customer": "c1", "country": "DE", "amount": "wrong"}]
    error = train(server, json.dumps(few).encode(), "application/json").error
    assert "got 30" in error["message"]
    assert "row 31" in error["message"]
    assert server.post("young", payments(20)).status == 202
    error = train(server, b'{"source": "log"}', None, "?feed=young").error
    assert (error["code"], error["field"]) == ("too_few_rows", "feed")


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_above_the_limit_is_refused_also_when_it_is_packed(
    server: ServerProcess, packed: bool
) -> None:
    large = csv_of(payments(9_000))
    assert len(large) > LIMIT_BYTES
    body = gzip.compress(large) if packed else large
    answers = [
        train(server, body),
        train(server, form(("file", "large.csv", body)), FORM),
    ]
    assert [(answer.status, answer.error["code"]) for answer in answers] == [(413, "too_large")] * 2
    assert not [name for name in files(server) if name.startswith(".incoming")]


def test_a_job_is_cancelled_with_its_process_others_wait_and_too_many_are_refused(
    server: ServerProcess,
) -> None:
    running = started(train(server, CSV))
    pid = wait_for_process(server)
    waiting = [started(train(server, CSV)) for _ in range(2)]
    refused = train(server, CSV)
    assert (refused.status, refused.error["code"]) == (429, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    cancelled = [server.request("DELETE", f"/jobs/{job_id}") for job_id in (*waiting, running)]
    assert [answer.json["state"] for answer in cancelled] == ["cancelled"] * 3
    assert b"stream.training.worker" not in command_of(pid)
    assert files(server) == []
    again = server.request("DELETE", f"/jobs/{running}")
    assert (again.status, again.error["code"]) == (409, "job_finished")
    unknown = server.request("DELETE", "/jobs/nobody")
    assert (unknown.status, unknown.error["code"]) == (404, "unknown_job")
    assert server.request("GET", "/jobs/nobody").status == 404


def test_a_killed_server_trains_again_and_lists_what_was(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "data").start()
    try:
        cancelled = started(train(server, CSV))
        assert server.request("DELETE", f"/jobs/{cancelled}").json["state"] == "cancelled"
        job_id = started(train(server, CSV))
        pid = wait_for_process(server)
        for worker in (pid_of_worker(server), server.process.pid):
            os.kill(worker, signal.SIGKILL)
        server.kill()
        deadline = time.monotonic() + 30
        while b"stream.training.worker" in command_of(pid):
            assert time.monotonic() < deadline, "the process outlives its server"
            time.sleep(0.05)
        server.start()
        job = ended(server, job_id)
        assert (job["state"], job["error"]) == ("done", None)
        listed = server.request("GET", "/jobs").json["jobs"]
        assert [(each["id"], each["state"]) for each in listed] == [
            (job_id, "done"), (cancelled, "cancelled"),
        ]  # fmt: skip
        assert server.request("GET", f"/models/{job['model']}").status == 200
        assert files(server) == []
        server.stop()
        server.start()
        assert server.request("GET", "/jobs").json["jobs"] == listed
    finally:
        server.kill()


def pid_of_worker(server: ServerProcess) -> int:
    """Return the process that has the engine: the parent of the training process."""
    [training] = training_processes(server)
    status: Mapping[str, str] = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{training}/status").read_text().splitlines()
        if ":\t" in line
    )
    return int(status["PPid"])
