"""`anomalyai backtest` clause by clause: what it prints and writes, worked out again from the file itself."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import average_precision_score, roc_auc_score

from web.cli import cli

Row = dict[str, Any]


def rows_of(n: int, *, seed: int = 0) -> list[Row]:
    """Return readings in event order, one in 150 spoilt and labelled so."""
    rng = np.random.default_rng(seed)
    found: list[Row] = [
        {"ts": 1_700_000_000 + 60 * i, "sensor": f"s{i % 5}", "reading": round(float(value), 3), "label": 0}
        for i, value in enumerate(rng.normal(50.0, 2.0, n))
    ]
    for i in range(140, n, 150):
        found[i].update(reading=round(float(rng.choice([70.0, 400.0])), 3), label=1)
    return found


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def backtest(file: Path, *options: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the last line's figures and the rows of OUT.csv."""
    out = file.parent / "out.csv"
    done = CliRunner().invoke(cli, ["backtest", str(file), "--json", "--scores", str(out), *options])
    assert done.exit_code == 0, done.output
    with out.open(newline="") as written:
        return json.loads(done.stdout.splitlines()[-1]), list(csv.DictReader(written))


def test_the_figures_are_those_of_the_file_in_event_order_after_the_warm_up(tmp_path: Path) -> None:
    """26,000 rows out of order, two of them unreadable, in more than one chunk; no option given."""
    rows = rows_of(26_000)
    order = np.random.default_rng(3).permutation(len(rows))
    shuffled = [dict(rows[i]) for i in order]
    broken = (700, 25_500)
    for place in broken:
        shuffled[place]["reading"] = "broken"
    printed, written = backtest(write(tmp_path / "shuffled.csv", shuffled))

    assert [int(row["seq"]) for row in written] == list(range(1, 26_001))
    assert [place for place, row in enumerate(written) if row["score"] == ""] == list(broken)
    assert all(written[place]["flagged"] == written[place]["one_in"] == "" for place in broken)
    in_event_order = [place for place in np.argsort(order).tolist() if place not in broken]
    counted = in_event_order[5_000:]  # the default: min(20 %, 5,000)
    score = [float(written[place]["score"]) for place in counted]
    flagged = np.array([written[place]["flagged"] == "1" for place in counted])
    label = np.array([shuffled[place]["label"] for place in counted])
    assert printed["events"] == 25_998
    assert printed["warmup"] == 5_000
    assert printed["average_precision"] == pytest.approx(average_precision_score(label, score))
    assert printed["roc_auc"] == pytest.approx(roc_auc_score(label, score))
    assert printed["alerts"] == flagged.sum() > 10
    assert printed["precision_at_budget"] == pytest.approx(label[flagged].mean())
    assert printed["recall_at_budget"] == pytest.approx(flagged[label == 1].mean())
    assert printed["promised_rate"] == pytest.approx(1 / 1_000)
    assert printed["realised_rate"] == pytest.approx(flagged.mean())

    straight, in_order = backtest(write(tmp_path / "straight.csv", [shuffled[i] for i in in_event_order]))
    scores = [written[place]["score"] for place in in_event_order]
    assert [row["score"] for row in in_order][500:] == scores[500:]  # kinds are provisional before
    del printed["events_per_second"], straight["events_per_second"]
    assert straight == printed


def test_without_a_time_the_file_is_in_event_order(tmp_path: Path) -> None:
    rows = [{key: row[key] for key in ("sensor", "reading", "label")} for row in rows_of(900)]
    printed, written = backtest(write(tmp_path / "timeless.csv", rows))
    numbered = [{"n": i, **row} for i, row in enumerate(rows)]  # the same in the order of a declared time
    (tmp_path / "feed.toml").write_text('[feed]\ntime = "n"\n')
    timed, again = backtest(write(tmp_path / "n.csv", numbered), "--feed", str(tmp_path / "feed.toml"))
    assert printed["events"] == timed["events"] == 900
    assert [row["seq"] for row in written] == [row["seq"] for row in again]
    assert printed["warmup"] == 180
    backwards, reversed_scores = backtest(write(tmp_path / "backwards.csv", rows[::-1]))
    assert [float(row["score"]) for row in reversed_scores[:8]] == [0.0] * 8  # the first rows come first
    assert backwards["warmup"] == 180
    label = np.array([row["label"] for row in rows[180:]])
    score = [float(row["score"]) for row in written[180:]]
    assert printed["average_precision"] == pytest.approx(average_precision_score(label, score))


@pytest.mark.parametrize("last", [False, True], ids=["in order", "one row out of order"])
def test_a_row_without_a_time_stays_behind_the_row_before_it(tmp_path: Path, last: bool) -> None:
    rows = rows_of(600)
    for place in (0, 250, 251, 430):
        rows[place]["ts"] = ""
    if last:
        rows = [*rows[1:], rows_of(1)[0]]  # the earliest record, late
    declared = tmp_path / "feed.toml"
    declared.write_text(
        '[feed]\ntime = "ts"\nentities = ["sensor"]\nnumbers = ["reading"]\nlabel = "label"\n'
    )
    _, written = backtest(write(tmp_path / "gaps.csv", rows), "--feed", str(declared))
    straight = [rows[-1], *rows[:-1]] if last else rows
    _, expected = backtest(write(tmp_path / "straight.csv", straight), "--feed", str(declared))
    scores = [row["score"] for row in expected]
    assert [row["score"] for row in written] == ([*scores[1:], scores[0]] if last else scores)
    assert written[200]["score"] != "0.0"


@pytest.mark.parametrize("events", [7, 400])
def test_what_is_undefined_is_null(tmp_path: Path, events: int) -> None:
    unlabelled = [{key: row[key] for key in ("ts", "sensor", "reading")} for row in rows_of(events)]
    printed, written = backtest(write(tmp_path / "unlabelled.csv", unlabelled), "--budget", "1/1000000")
    assert printed["average_precision"] is printed["roc_auc"] is printed["recall_at_budget"] is None
    assert printed["precision_at_budget"] is None
    assert printed["warmup"] == events // 5
    assert printed["realised_rate"] is not None
    after_all, _ = backtest(tmp_path / "unlabelled.csv", "--warmup", str(events))
    assert after_all["realised_rate"] is None
    assert after_all["alerts"] == 0
    assert len(written) == events
    all_anomalies = [{**row, "label": 1} for row in unlabelled]
    printed, _ = backtest(write(tmp_path / "anomalies.csv", all_anomalies))
    assert printed["average_precision"] == pytest.approx(1.0)
    assert printed["roc_auc"] is None
    all_normal = [{**row, "label": 0} for row in unlabelled]
    printed, _ = backtest(write(tmp_path / "normal.csv", all_normal))
    assert printed["average_precision"] is printed["roc_auc"] is printed["recall_at_budget"] is None


def test_an_empty_file_has_figures_of_nothing(tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_text("ts,reading\n")
    printed, written = backtest(file)
    assert written == []
    counted = {name: printed.pop(name) for name in ("events", "warmup", "alerts", "promised_rate")}
    assert counted == {"events": 0, "warmup": 0, "alerts": 0, "promised_rate": 0.001}
    printed.pop("events_per_second")
    assert set(printed.values()) == {None}


def test_every_format_gives_the_same_scores(tmp_path: Path) -> None:
    rows = rows_of(700)
    rows[600]["reading"] = "broken"
    expected = backtest(write(tmp_path / "file.csv", rows))[1]
    assert expected[600]["score"] == ""
    lines = "\n".join(json.dumps(row) for row in rows)
    (tmp_path / "file.ndjson").write_text(lines)
    (tmp_path / "file.json").write_text(json.dumps(rows))
    with gzip.open(tmp_path / "file.csv.gz", "wt", newline="") as file:
        file.write((tmp_path / "file.csv").read_text())
    for name in ("file.ndjson", "file.json", "file.csv.gz"):
        assert backtest(tmp_path / name)[1] == expected, name


def test_scores_do_not_depend_on_the_warm_up_and_flags_do_on_the_budget(tmp_path: Path) -> None:
    file = write(tmp_path / "file.csv", rows_of(1_500))
    printed, plain = backtest(file)
    assert printed["warmup"] == 300
    none_left_out, same = backtest(file, "--warmup", "0")
    assert none_left_out["warmup"] == 0
    assert same == plain  # the warm-up is in OUT.csv either way
    assert none_left_out["alerts"] == sum(row["flagged"] == "1" for row in plain)
    assert none_left_out["realised_rate"] == pytest.approx(none_left_out["alerts"] / 1_500)
    daily, _ = backtest(file, "--budget", "10/day")
    assert daily["promised_rate"] == pytest.approx(10 / 1_440, rel=0.05)  # a record a minute
    for row in plain:
        assert (row["flagged"] == "1") <= (float(row["score"]) >= 3.0)
        assert float(row["one_in"]) == pytest.approx(10.0 ** float(row["score"]))
