"""Back-test and score: a file in event order, rows in file order, figures as scikit-learn has them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anomalyai.backtest import figures, score_file
from anomalyai.evaluation import default_warmup, measure
from anomalyai.schema import FeedSchema

KEYS = [
    "events", "warmup", "average_precision", "roc_auc", "precision_at_budget", "recall_at_budget", "alerts",
    "promised_rate", "realised_rate", "events_per_second",
]  # fmt: skip


def write(path: Path, order: np.ndarray) -> Path:
    """Write 1,500 readings in some order, planted anomalies labelled, row 11 of a wrong type."""
    rng = np.random.default_rng(0)
    values = rng.normal(50.0, 2.0, len(order))
    values[900::120] = 400.0
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["ts", "sensor", "reading", "label"])
        for place, i in enumerate(order):
            reading = "broken" if place == 1_210 else f"{values[i]:.3f}"
            rows.writerow([1_700_000_000 + 60 * int(i), f"s{i % 5}", reading, int(values[i] > 100)])
    return path


@pytest.fixture
def ordered(tmp_path: Path) -> Path:
    return write(tmp_path / "ordered.csv", np.arange(1_500))


def test_the_file_order_does_not_matter(tmp_path: Path, ordered: Path) -> None:
    schema = FeedSchema.from_toml(
        '[feed]\ntime = "ts"\nentities = ["sensor"]\nnumbers = ["reading"]\nlabel = "label"'
    )
    order = np.random.default_rng(1).permutation(1_500)
    straight, shuffled = score_file(ordered, schema), score_file(write(tmp_path / "s.csv", order), schema)
    assert straight.rejections[0].index == shuffled.rejections[0].index == 1_210
    assert np.isnan(straight.score[1_210])
    clean = score_file(write(tmp_path / "again.csv", np.arange(1_500)), schema)
    assert np.array_equal(clean.score, straight.score, equal_nan=True)
    assert np.all(np.diff(shuffled.order[np.argsort(order[shuffled.order])]) != 0)
    assert figures(shuffled).average_precision == pytest.approx(1.0, abs=0.1)
    assert np.array_equal(order[shuffled.order], np.sort(order[shuffled.order]))


def test_the_commands_speak_as_agreed(tmp_path: Path, ordered: Path) -> None:
    base = [sys.executable, "-m", "web.cli"]
    done = subprocess.run(
        [*base, "backtest", str(ordered), "--json", "--scores", str(tmp_path / "out.csv")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    printed = json.loads(done.stdout.strip().splitlines()[-1])
    assert list(printed) == KEYS
    assert printed["events"] == 1_499
    assert printed["average_precision"] > 0.9
    assert "row 1211" in done.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert list(rows[0]) == ["seq", "score", "one_in", "flagged"]
    assert [int(row["seq"]) for row in rows] == list(range(1, 1_501))
    assert rows[1_210]["score"] == ""
    assert rows[900]["flagged"] == "1"
    subprocess.run(
        [*base, "score", str(ordered), "--out", str(tmp_path / "s.csv")], check=True, capture_output=True
    )
    scored = list(csv.DictReader((tmp_path / "s.csv").read_text().splitlines()))
    assert scored[900]["anomaly"] == "Anomaly detected"
    assert [row["score"] for row in scored] == [row["score"] for row in rows]


def test_figures_are_scikit_learns() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(0)
    label = (rng.random(500) < 0.1).astype(float)
    score = rng.normal(size=500) + label
    found = measure(score, score > 1.5, label, warmup=100, promised_rate=0.05, elapsed_s=2.0)
    assert found.average_precision == pytest.approx(average_precision_score(label[100:], score[100:]))
    assert found.roc_auc == pytest.approx(roc_auc_score(label[100:], score[100:]))
    assert found.precision_at_budget == pytest.approx(label[100:][score[100:] > 1.5].mean())
    assert found.recall_at_budget == pytest.approx((score[100:] > 1.5)[label[100:] == 1].mean())
    assert found.events_per_second == 250.0
    assert found.realised_rate == pytest.approx((score[100:] > 1.5).mean())


def test_what_is_undefined_is_said_to_be() -> None:
    nothing = measure(np.zeros(10), np.zeros(10, bool), np.zeros(10), warmup=2, promised_rate=0.1)
    assert nothing.average_precision is nothing.roc_auc is nothing.precision_at_budget is None
    unlabelled = measure(np.zeros(10), np.ones(10, bool), np.full(10, np.nan), warmup=0, promised_rate=0.1)
    assert unlabelled.average_precision is None
    assert unlabelled.alerts == 10
    assert [default_warmup(n) for n in (10, 1_000, 10**6)] == [2, 200, 5_000]
