"""Real labelled streams, replayed into a running server: every record acknowledged, anomalies found.

`ANOMALYAI_STREAMS` names a folder of `NAME.csv.gz` files with `NAME.toml` beside them; without it these tests
are skipped. They hold the mechanics, not the quality.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from anomalyai.client import alerts, feed_status
from tests.serving import ServerProcess

FOLDER = os.environ.get("ANOMALYAI_STREAMS")
ROWS = 6_000

pytestmark = pytest.mark.skipif(FOLDER is None, reason="ANOMALYAI_STREAMS names no folder of streams")


def streams() -> list[str]:
    """Return the names of the streams that have a declaration."""
    found = sorted(Path(FOLDER).glob("*.csv.gz")) if FOLDER else []
    return [path.name.removesuffix(".csv.gz") for path in found if path.with_name(_toml(path)).is_file()]


def _toml(path: Path) -> str:
    return path.name.replace(".csv.gz", ".toml")


def sliced(name: str, to: Path) -> int:
    """Write the first rows of a stream to a CSV file; returns how many."""
    assert FOLDER is not None
    with (
        gzip.open(Path(FOLDER) / f"{name}.csv.gz", "rt", newline="") as source,
        to.open("w", newline="") as out,
    ):
        rows = csv.writer(out, lineterminator="\n")
        return sum(1 for row in itertools.islice(csv.reader(source), ROWS + 1) if rows.writerow(row)) - 1


@pytest.mark.parametrize("name", streams())
def test_a_slice_is_acknowledged_to_the_last_record(name: str, server: ServerProcess, tmp_path: Path) -> None:
    assert FOLDER is not None
    file = tmp_path / f"{name}.csv"
    rows = sliced(name, file)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "web.cli", "replay", str(file)),
            *("--feed", str(Path(FOLDER) / f"{name}.toml"), "--name", name, "--to", server.url),
        ],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.strip().splitlines()[-1])
    assert (last["sent"], last["accepted"], last["rejected"]) == (rows, rows, 0)
    status = feed_status(server.url, name)
    assert status is not None
    assert status["last_seq"] == rows
    assert status["lag"]["records"] == 0
    assert status["dead_letters"] == 0
    raised = list(alerts(server.url, name))
    assert len(raised) == status["alerts"] == last["alerts"]
    assert all(alert["summary"] and alert["reasons"] for alert in raised)
