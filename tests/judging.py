"""A feed with odd records that are alike, to be judged over HTTP on a real server."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from tests.anomalyai.streams import purchases
from tests.serving import ServerProcess

RECORDS = 1_560
"""Too few for a model to be trained, which would take longer than everything else."""

FIRST_ODD, ODD_EVERY = 900, 40
ODD = {"amount": 260.0, "items": 9, "load": 2.8, "channel": "app"}
TOML = """
[feed]
time = "time"
id = "id"
entities = ["customer", "shop"]
categories = ["channel"]
numbers = ["amount", "items", "load"]
budget = "1/200"
"""


def odd_purchases(n: int = RECORDS) -> list[dict[str, Any]]:
    """Return purchases with ids from r1 on, an odd one now and then."""
    rng = np.random.default_rng(3)
    made = purchases(n, missing=0.0)
    for i, record in enumerate(made):
        del record["label"]
        record["id"] = f"r{i + 1}"
        if i >= FIRST_ODD and i % ODD_EVERY == 0:
            record.update(ODD, amount=round(float(260.0 * np.exp(0.05 * rng.normal())), 2))
    return made


def is_odd(seq: int) -> bool:
    """Tell whether a record is one of the odd ones."""
    return seq > FIRST_ODD and (seq - 1) % ODD_EVERY == 0


def next_odd() -> dict[str, Any]:
    """Return the record that comes after the others: odd as they are, of a customer seen before."""
    last = odd_purchases()[-1]
    return {**last, **ODD, "id": "next", "time": last["time"] + 60.0}


def send_all(server: ServerProcess, feed: str, records: list[dict[str, Any]]) -> None:
    """Declare the feed, post the records, and wait until all are scored."""
    assert server.request("PUT", f"/feeds/{feed}", TOML).status in (200, 201)
    for start in range(0, len(records), 500):
        assert server.post(feed, records[start : start + 500]).status == 202
    wait_scored(server, feed)


def wait_scored(server: ServerProcess, feed: str) -> None:
    """Wait until the engine has come to the last record."""
    deadline = time.monotonic() + 60.0
    while server.request("GET", f"/feeds/{feed}").json["lag"]["records"]:
        assert time.monotonic() < deadline, "the engine does not come to an end"
        time.sleep(0.02)


def alerts_of(server: ServerProcess, feed: str) -> dict[int, dict[str, Any]]:
    """Return the feed's alerts by seq."""
    found = server.request("GET", f"/feeds/{feed}/alerts?limit=1000").json["alerts"]
    return {alert["seq"]: alert for alert in found}
