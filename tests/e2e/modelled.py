"""Payments with a planted one, and models trained on them over HTTP: what several tests begin with."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from tests.serving import ServerProcess

JOB_S = 100.0
ROWS = 900
USUAL = {"time": "2026-03-02T10:00:00Z", "customer": "c3", "country": "DE", "amount": 50.0, "items": 3}
ODD = {**USUAL, "amount": 9_000.0, "items": 400}


def payments(first: int, n: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng([5, first])
    return [
        {
            "time": f"2026-03-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}Z",
            "customer": f"c{int(rng.integers(20))}",
            "country": ("DE", "FR", "US")[int(rng.integers(3))],
            "amount": round(float(rng.normal(50.0, 5.0)), 2),
            "items": int(rng.integers(1, 6)),
        }
        for i in range(first, first + n)
    ]


def csv_of(records: list[dict[str, Any]]) -> bytes:
    lines = [",".join(records[0]), *(",".join(str(value) for value in row.values()) for row in records)]
    return ("\n".join(lines) + "\n").encode()


BODIES = {
    "text/csv": csv_of(payments(0, ROWS)),
    "application/json": json.dumps(payments(0, ROWS)).encode(),
}


def started(server: ServerProcess, feed: str, algorithm: str, media: str) -> str:
    """Start a training on an upload; returns the job's address."""
    answer = server.request(
        "POST", f"/train?feed={feed}&algorithm={algorithm}", BODIES[media], {"Content-Type": media}
    )
    assert answer.status == 202, answer
    return answer.headers["location"]


def trained(server: ServerProcess, address: str, algorithm: str) -> str:
    """Wait for a job; returns its model's id."""
    deadline = time.monotonic() + JOB_S
    while (job := server.request("GET", address).json)["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
    assert (job["state"], job["error"], job["algorithm"]) == ("done", None, algorithm)
    return str(job["model"])


def present_model(server: ServerProcess, feed: str) -> str | None:
    model = server.request("GET", f"/feeds/{feed}").json["model"]
    return None if model is None else str(model["id"])


def settled(server: ServerProcess, feed: str, seq: int) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while (described := server.request("GET", f"/feeds/{feed}").json)["lag"]["records"]:
        assert time.monotonic() < deadline, described
        time.sleep(0.05)
    assert described["last_seq"] == seq
    return dict(described)
