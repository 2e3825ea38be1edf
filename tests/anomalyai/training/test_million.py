"""A million rows are trained on, and scored, within stated time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

ROWS, CUSTOMERS = 1_000_000, 50_000
MAX_S, MAX_MB = 240, 2_000
"""What README states."""


@pytest.fixture(scope="module")
def million(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a CSV file of payments: 18 columns, one row in a thousand an anomaly."""
    rng = np.random.default_rng(1)
    customer = rng.integers(0, CUSTOMERS, ROWS)
    usual = rng.normal(3.0, 1.0, CUSTOMERS)
    frame = pd.DataFrame(
        {
            "time": 1.7e9 + 2.0 * np.arange(ROWS),
            "customer": np.char.add("c", customer.astype(str)),
            "channel": rng.choice(["web", "pos", "app", "atm"], ROWS, p=[0.5, 0.3, 0.15, 0.05]),
            "amount": np.round(np.exp(usual[customer] + rng.normal(0.0, 0.5, ROWS)), 2),
            **{f"x{j}": np.round(rng.normal(0.0, 10.0 ** (j % 4), ROWS), 4) for j in range(13)},
            "label": (rng.random(ROWS) < 0.001).astype(int),
        }
    )
    odd = frame["label"] == 1
    frame.loc[odd, "x0"] = 40.0
    frame.loc[odd, "amount"] *= 30.0
    path = tmp_path_factory.mktemp("million") / "million.csv"
    frame.to_csv(path, index=False)
    return path


def run(what: str, path: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.anomalyai.training.million_rows", what, str(path)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["rows"] == ROWS
    assert found["cpu_s"] < MAX_S, found  # the machine may be busy with other tests
    assert found["peak_mb"] < MAX_MB, found
    return found


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("algorithm", ["isolation_forest", "kmeans", "one_class_svm", "dbscan"])
def test_a_million_rows_are_trained_on(algorithm: str, million: Path) -> None:
    found = run(algorithm, million)
    if algorithm in ("isolation_forest", "kmeans"):
        assert not found["sampled"]
        assert found["rows_used"] > 0.99 * ROWS
    else:
        assert found["sampled"]
        assert found["rows_used"] <= 50_000
    assert found["average_precision"]["model"] > 5 * found["average_precision"]["random"]
    print(algorithm, found)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_million_rows_are_scored(million: Path) -> None:
    print(run("score", million))
