"""Back-test: a file in event order, every record scored before it is learnt."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from anomalyai.alert import one_in
from anomalyai.backtest import figures, score_file
from anomalyai.errors import AnomalyAIError
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from anomalyai.training import train
from web.cli import cli

KEYS = [
    "events", "warmup", "average_precision", "roc_auc", "precision_at_budget", "recall_at_budget", "alerts",
    "promised_rate", "realised_rate", "events_per_second",
]  # fmt: skip

SCHEMA = FeedSchema.from_toml("""
[feed]
time = "ts"
entities = ["sensor"]
numbers = ["reading"]
label = "label"
""")

ROWS, BROKEN = 2_700, 1_210


def readings(order: NDArray[np.int64]) -> list[dict[str, str]]:
    """Return readings in some order, planted anomalies labelled, one row of a wrong type."""
    rng = np.random.default_rng(0)
    values = rng.normal(50.0, 2.0, len(order))
    values[900::120] = 400.0
    rows = []
    for place, i in enumerate(order):
        reading = "broken" if place == BROKEN else f"{values[i]:.3f}"
        rows.append(
            {
                "ts": str(1_700_000_000 + 60 * int(i)),
                "sensor": f"s{i % 5}",
                "reading": reading,
                "label": str(int(values[i] > 100.0)),
            }
        )
    return rows


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["ts", "sensor", "reading", "label"])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def ordered(tmp_path: Path) -> Path:
    return write(tmp_path / "ordered.csv", readings(np.arange(ROWS)))


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "feed.toml"
    path.write_text('[feed]\ntime = "ts"\nentities = ["sensor"]\nnumbers = ["reading"]\nlabel = "label"\n')
    return path


def test_it_is_the_pipeline_on_the_same_records(ordered: Path) -> None:
    records = [
        {
            "ts": int(row["ts"]),
            "sensor": row["sensor"],
            "reading": float(row["reading"]),
            "label": int(row["label"]),
        }
        for place, row in enumerate(readings(np.arange(ROWS)))
        if place != BROKEN
    ]
    batch = RecordBatch.from_records(records, SCHEMA)
    pipeline = Pipeline(batch.schema, trainer=train)
    live = np.concatenate([pipeline.process(batch.slice(i, i + 100)).score for i in range(0, batch.n, 100)])
    assert pipeline.status()["maturity"] == "mature"
    tested = score_file(ordered, SCHEMA)
    assert np.array_equal(np.delete(tested.score, BROKEN), live)
    assert np.isnan(tested.score[BROKEN])
    assert [rejection.index for rejection in tested.rejections] == [BROKEN]
    assert np.delete(tested.label, BROKEN).tolist() == [record["label"] for record in records]
    assert np.array_equal(tested.order, np.delete(np.arange(ROWS), BROKEN))


def test_a_file_out_of_order_is_scored_in_event_order(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(ROWS)
    shuffled = readings(order)
    tested = score_file(write(tmp_path / "shuffled.csv", shuffled), SCHEMA)
    assert np.array_equal(order[tested.order], np.delete(np.arange(ROWS), order[BROKEN]))
    in_order = [shuffled[place] for place in np.argsort(order) if place != BROKEN]
    straight = score_file(write(tmp_path / "straight.csv", in_order), SCHEMA)
    assert np.array_equal(tested.score[tested.order], straight.score)
    assert np.array_equal(tested.flagged[tested.order], straight.flagged)
    assert figures(tested).average_precision == figures(straight).average_precision


def test_equal_times_keep_their_order(tmp_path: Path) -> None:
    rows = readings(np.arange(60))
    for row in rows[:30]:
        row["ts"] = "1700000500"
    for row in rows[30:]:
        row["ts"] = "1700000400"
    tested = score_file(write(tmp_path / "ties.csv", rows), SCHEMA)
    assert tested.order.tolist() == [*range(30, 60), *range(30)]


def test_later_rows_change_no_score_before_them(tmp_path: Path, ordered: Path) -> None:
    rows = readings(np.arange(ROWS))
    whole = score_file(ordered, SCHEMA)
    part = score_file(write(tmp_path / "part.csv", rows[:2_400]), SCHEMA)
    assert np.array_equal(part.score, whole.score[:2_400], equal_nan=True)


def test_labels_are_for_the_figures_only(tmp_path: Path, ordered: Path) -> None:
    rows = readings(np.arange(ROWS))
    for row in rows:
        row["label"] = "0"
    unlabelled = score_file(write(tmp_path / "unlabelled.csv", rows), SCHEMA)
    labelled = score_file(ordered, SCHEMA)
    assert np.array_equal(unlabelled.score, labelled.score, equal_nan=True)
    assert figures(unlabelled).average_precision is None
    assert figures(labelled).average_precision == pytest.approx(1.0, abs=0.02)


def test_the_warm_up_is_left_out_of_the_figures(ordered: Path) -> None:
    tested = score_file(ordered, SCHEMA)
    assert figures(tested).warmup == 539
    assert figures(tested, warmup=0).alerts == np.count_nonzero(tested.flagged)
    assert figures(tested, warmup=2_600).alerts == np.count_nonzero(tested.flagged[2_601:])
    assert figures(tested, elapsed_s=2.0).events_per_second == (ROWS - 1) / 2.0


@pytest.mark.parametrize(
    ("declared", "given", "promised"),
    [(None, None, 1e-3), ("1/50", None, 0.02), ("1/50", "1/200", 0.005), (None, "1/200", 0.005)],
)
def test_a_budget_that_is_given_stands_before_the_declared_one(
    ordered: Path, declared: str | None, given: str | None, promised: float
) -> None:
    tested = score_file(ordered, SCHEMA.replace(budget=declared), budget=given)
    assert tested.promised_rate == pytest.approx(promised)


def test_progress_ends_at_the_whole(ordered: Path) -> None:
    told: list[tuple[int, int]] = []
    score_file(ordered, SCHEMA, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (ROWS - 1, ROWS - 1)
    assert told == sorted(told)


def test_a_file_without_records_has_no_figures(tmp_path: Path) -> None:
    found = figures(score_file(write(tmp_path / "empty.csv", [])))
    assert found.events == found.alerts == 0
    assert found.average_precision is None
    assert found.realised_rate is None


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text('[{"x": 1')
    with pytest.raises(AnomalyAIError):
        score_file(path)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_backtest_command_speaks_as_agreed(tmp_path: Path, ordered: Path, toml: Path) -> None:
    out = tmp_path / "out.csv"
    arguments = ["backtest", str(ordered), "--feed", str(toml), "--json", "--scores", str(out)]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout.strip().splitlines()[-1])
    assert list(printed) == KEYS
    tested = score_file(ordered, SCHEMA)
    expected = msgspec.to_builtins(figures(tested))
    assert {**printed, "events_per_second": None} == expected
    assert printed["events_per_second"] > 0
    assert f"row {BROKEN + 1}" in done.stderr
    rows = read(out)
    assert list(rows[0]) == ["seq", "score", "one_in", "flagged"]
    assert [int(row["seq"]) for row in rows] == list(range(1, ROWS + 1))
    assert list(rows[BROKEN].values()) == [str(BROKEN + 1), "", "", ""]
    scored = [row for place, row in enumerate(rows) if place != BROKEN]
    assert [float(row["score"]) for row in scored] == np.delete(tested.score, BROKEN).tolist()
    assert all(float(row["one_in"]) == one_in(float(row["score"])) for row in scored)
    assert [row["flagged"] == "1" for row in scored] == np.delete(tested.flagged, BROKEN).tolist()


def test_options_reach_the_backtest(ordered: Path, toml: Path) -> None:
    toml.write_text(toml.read_text() + 'budget = "1/40"\n')
    plain = ["backtest", str(ordered), "--feed", str(toml), "--json"]
    declared = json.loads(CliRunner().invoke(cli, plain).stdout)
    assert declared["promised_rate"] == pytest.approx(1 / 40)
    given = json.loads(CliRunner().invoke(cli, [*plain, "--budget", "1/300", "--warmup", "7"]).stdout)
    assert given["promised_rate"] == pytest.approx(1 / 300)
    assert given["warmup"] == 7
    refused = CliRunner().invoke(cli, [*plain, "--budget", "often"])
    assert refused.exit_code == 1
    assert "20/day" in refused.stderr
    table = CliRunner().invoke(cli, plain[:-1]).stdout
    assert "average_precision" in table


def test_the_score_command_says_it_in_words(tmp_path: Path, ordered: Path, toml: Path) -> None:
    out = tmp_path / "scores.csv"
    arguments = ["score", str(ordered), "--feed", str(toml)]
    done = CliRunner().invoke(cli, [*arguments, "--out", str(out)])
    assert done.exit_code == 0, done.output
    rows = read(out)
    assert list(rows[0]) == ["seq", "score", "one_in", "flagged", "anomaly"]
    words = {"1": "Anomaly detected", "0": "Normal", "": ""}
    assert [row["anomaly"] for row in rows] == [words[row["flagged"]] for row in rows]
    assert rows[900]["anomaly"] == "Anomaly detected"
    assert f"{ROWS - 1:,} of {ROWS:,} rows" in done.stderr
    assert CliRunner().invoke(cli, arguments).stdout == out.read_text()


@pytest.mark.parametrize("arguments", [["backtest"], ["backtest", "missing.csv"], ["score", "x", "--bad"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, arguments).exit_code == 2
