"""`anomalyai train`: a file to a model in the store, with figures, or one line that says what is wrong."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from anomalyai.model_store import ModelStore
from anomalyai.pipeline import Pipeline
from stream.secret import instance_secret
from tests.anomalyai.streams import DECLARED, batch_of, purchases
from web.cli import cli

TOML = """[feed]
name = "tills"
time = "time"
label = "label"
entities = ["customer", "shop"]
categories = ["channel"]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("train")
    records = purchases(900, seed=3)
    for record in records[300::30]:
        record.update(amount=5e6, label=1)
    with (found / "Shop sales.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, records[0])
        writer.writeheader()
        writer.writerows(records)
    (found / "feed.toml").write_text(TOML)
    return found


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    given = ["train", str(folder / "Shop sales.csv"), "--data", str(folder / "data"), *arguments]
    ended = CliRunner().invoke(cli, given)
    assert ended.exit_code == code, ended.output
    return ended.output


def test_a_file_becomes_a_model_in_the_store_with_figures_beside_baselines(folder: Path) -> None:
    shown = run(folder, "--feed", str(folder / "feed.toml"), "--algorithm", "kmeans")
    assert "kmeans" in shown.splitlines()[0]
    model_id = shown.split()[1]
    assert model_id.startswith("tills-kmeans-")
    assert "900, trained on 8" in shown
    assert "of the last 180 records: 6 labelled as anomalies" in shown
    assert [line.split()[0] for line in shown.splitlines()[4:]] == [
        "average_precision", "roc_auc", "precision_at_budget", "recall_at_budget", "rate",
        "agreement", "stability",
    ]  # fmt: skip
    store = ModelStore(folder / "data" / "models", instance_secret(folder / "data"))
    manifest = store.manifest(model_id)
    assert (manifest.created_by, manifest.rows, manifest.parameters) == (
        "command line",
        900,
        {"n_clusters": 8},
    )
    start = store.start(model_id)
    assert start is not None
    pipeline = Pipeline(DECLARED, feed="tills")
    pipeline.start_from(start, model_id, store.load(model_id))
    assert len(pipeline.predict(batch_of(purchases(5), DECLARED))) == 5


def test_options_reach_the_training_and_the_last_line_is_json(folder: Path) -> None:
    shown = run(
        folder, "--name", "other", "--label", "label", "--algorithm", "dbscan",
        "--parameter", "min_samples=5", "--parameter", "eps=2.5", "--missing", "indicator",
        "--scaling", "standard", "--seed", "9",
        "--features", "amount,items,load", "--json",
    )  # fmt: skip
    made: dict[str, Any] = msgspec.json.decode(shown.splitlines()[-1])
    assert (made["feed"], made["rows"]) == ("other", 900)
    assert made["parameters"] == {"eps": 2.5, "min_samples": 5, "max_rows": 5000}
    assert made["metrics"]["anomalies"] == 6
    store = ModelStore(folder / "data" / "models", instance_secret(folder / "data"))
    manifest = store.manifest(made["id"])
    assert manifest.preprocessing["features"] == ["amount", "items", "load"]
    assert manifest.seed == 9
    again = store.load(made["id"])
    assert again.preparation is not None
    assert again.preparation.width == 3 + 3  # a column says where each number is missing


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--parameter", "n_trees=0"], 1, "expected n_trees as a whole number from 1 to 10000, got 0"),
        (["--parameter", "depth=3"], 1, 'unknown parameter "depth" of isolation_forest. Known ones: n_trees'),
        (["--parameter", "n_trees"], 2, "expected NAME=VALUE"),
        (["--features", "amount,colour"], 1, 'got "colour"'),
        (["--label", "channel"], 1, 'expected a label of 0 or 1, got "'),
        (["--label", "colour"], 1, 'got "colour", which no record has'),
        (["--name", "Not a name"], 2, "expected a name of a-z"),
        (["--algorithm", "lof"], 2, "isolation_forest"),
    ],
)
def test_what_cannot_be_done_is_one_line(folder: Path, arguments: list[str], code: int, text: str) -> None:
    shown = run(folder, *arguments, code=code)
    assert text in shown
    assert "Traceback" not in shown
