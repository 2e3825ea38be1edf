"""A label is for the figures: whatever it says, and whether it is there, no score and no alert changes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from anomalyai.training import train
from tests.anomalyai.streams import DECLARED, Record, admitted, alerts, purchases, scores, take
from web.cli import cli

RECORDS = 2_600
LABELS = (np.random.default_rng(8).random(RECORDS) < 0.05).astype(int).tolist()

Relabel = Callable[[Sequence[int]], Sequence[Any]]

RELABELLED: dict[str, Relabel] = {
    "shuffled": lambda labels: np.random.default_rng(1).permutation(labels).tolist(),
    "flipped": lambda labels: [1 - label for label in labels],
    "all 1": lambda labels: [1] * len(labels),
    "now and then": lambda labels: [label if i % 7 else None for i, label in enumerate(labels)],
    "false and true": lambda labels: [bool(label) for label in labels],
    "from record 700 on": lambda labels: [None] * 700 + list(labels[700:]),
}


@cache
def unlabelled() -> list[Record]:
    """Return purchases of which the labelled ones stand out, so that a label could tell something."""
    records = purchases(RECORDS, seed=2)
    for record, label in zip(records, LABELS, strict=True):
        del record["label"]
        if label and record["amount"]:
            record["amount"] *= 40.0
    return records


def with_labels(labels: Sequence[Any]) -> list[Record]:
    return [{**record, "label": label} for record, label in zip(unlabelled(), labels, strict=True)]


def outcome(records: list[Record], schema: FeedSchema | None) -> tuple[bytes, list[bytes]]:
    """Return the scores' bits and the alerts' JSON but for the label in their record; a model joins in."""
    pipeline = Pipeline(schema, trainer=train, budget="1/200")
    parts = take(pipeline, admitted(records, Intake(schema)))
    assert pipeline.status()["maturity"] == "mature"
    found = []
    for alert in alerts(parts):
        assert alert.record is not None
        assert "label" not in alert.summary
        assert "label" not in {reason.field for reason in alert.reasons}
        record = {name: value for name, value in alert.record.items() if name != "label"}
        found.append(msgspec.json.encode(msgspec.structs.replace(alert, record=record)))
    return scores(parts).tobytes(), found


@cache
def expected(declared: bool) -> tuple[bytes, list[bytes]]:
    found = outcome(unlabelled(), DECLARED if declared else None)
    assert len(found[1]) > 8
    return found


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "inferred"])
@pytest.mark.parametrize("change", ["as it is", *RELABELLED])
def test_no_score_and_no_alert_changes(change: str, declared: bool) -> None:
    labels = RELABELLED[change](LABELS) if change in RELABELLED else LABELS
    assert outcome(with_labels(labels), DECLARED if declared else None) == expected(declared)


def test_the_label_reaches_the_batch_all_the_same() -> None:
    batches = [item for item in admitted(with_labels(LABELS)) if isinstance(item, RecordBatch)]
    assert np.concatenate([batch.label for batch in batches]).tolist() == LABELS


def backtested(path: Path, records: list[Record]) -> tuple[str, dict[str, Any]]:
    """Return OUT.csv, and the figures but for the speed, of `anomalyai backtest`."""
    names = list(records[0])
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(
            ["" if record[name] is None else record[name] for name in names] for record in records
        )
    out = path.with_suffix(".out.csv")
    done = CliRunner().invoke(
        cli, ["backtest", str(path), "--scores", str(out), "--json", "--budget", "1/200"]
    )
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout.splitlines()[-1])
    del printed["events_per_second"]
    return out.read_text(), printed


def test_a_backtest_writes_the_same_scores(tmp_path: Path) -> None:
    plain, figures = backtested(tmp_path / "plain.csv", unlabelled())
    assert plain.count("\n") == RECORDS + 1
    of_labels = {"average_precision", "roc_auc", "precision_at_budget", "recall_at_budget"}
    assert figures["average_precision"] is figures["roc_auc"] is None
    precisions = set()
    for change, labels in {"as it is": LABELS, **{name: f(LABELS) for name, f in RELABELLED.items()}}.items():
        written, found = backtested(tmp_path / f"{change}.csv", with_labels(labels))
        assert written == plain, change
        assert {name: found[name] for name in found.keys() - of_labels} == {
            name: figures[name] for name in figures.keys() - of_labels
        }
        precisions.add(found["average_precision"])
    assert len(precisions) >= 4  # the labels were read: the figures tell them apart
