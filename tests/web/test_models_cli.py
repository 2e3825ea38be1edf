"""`anomalyai models` and `anomalyai score --model`: against a server, and against a data directory alone."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from anomalyai.model_store import ModelStore
from stream.secret import instance_secret
from tests.serving import ServerProcess
from tests.stream.champion.trained import COUNT, keep
from tests.stream.feeding import records
from web.cli import cli


def anomalyai(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_models_are_listed_put_in_and_taken_back(server: ServerProcess, feed: str) -> None:
    store = ModelStore(server.data / "models", instance_secret(server.data))
    forest, kmeans = keep(store, feed=feed).id, keep(store, "kmeans", feed=feed).id
    to = ("--to", server.url)
    listed = anomalyai("models", "list", "--feed", feed, *to)
    assert [line.split()[:2] for line in listed.stdout.splitlines()] == [
        [forest, "isolation_forest"],
        [kmeans, "kmeans"],
    ]
    assert f"{forest} scores {feed} from log entry" in anomalyai("models", "promote", forest, *to).stdout
    assert anomalyai("models", "promote", forest, *to).stdout == f"{forest} scores {feed} already\n"
    promoted = json.loads(anomalyai("models", "promote", kmeans, "--note", "try", *to, "--json").stdout)
    assert (promoted["model"], promoted["previous"]) == (kmeans, forest)
    assert f"before it {kmeans}" in anomalyai("models", "rollback", feed, *to).stdout
    shown = anomalyai("models", "show", forest, *to).stdout
    assert f"scores       {feed}" in shown
    assert "back in" in shown
    refused = anomalyai("models", "rollback", feed, *to)
    assert (refused.exit_code, "no model before" in refused.stderr) == (1, True)
    assert anomalyai("models", "show", "nothing", *to).exit_code == 1


def test_a_data_directory_is_listed_and_left_as_it_is(tmp_path: Path) -> None:
    empty = anomalyai("models", "list", "--data", str(tmp_path))
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert list(tmp_path.iterdir()) == []
    store = ModelStore(tmp_path / "models", instance_secret(tmp_path))
    model = keep(store).id
    (tmp_path / "models" / "other.json").write_text("{}", encoding="utf-8")
    found = json.loads(anomalyai("models", "list", "--data", str(tmp_path), "--json").stdout)
    assert [one["id"] for one in found["models"]] == [model]
    assert [one["id"] for one in found["refused"]] == ["other"]


def test_a_file_is_scored_by_a_stored_model(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models", instance_secret(tmp_path))
    model = keep(store).id
    file, out = tmp_path / "records.ndjson", tmp_path / "scores.csv"
    fresh = records(COUNT, 300)
    fresh[7] = {"amount": "a lot"}
    file.write_text("\n".join(map(json.dumps, fresh)), encoding="utf-8")
    arguments = ("score", str(file), "--model", model, "--data", str(tmp_path), "--out", str(out))
    scored = anomalyai(*arguments)
    assert scored.exit_code == 0, scored.output
    assert "scored 299 of 300 rows" in scored.stderr
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == ["seq", "score", "one_in", "flagged", "anomaly"]
    assert [row["seq"] for row in rows if row["score"] == ""] == ["8"]
    odd = [str(i + 1) for i in range(300) if (COUNT + i) % 97 == 96]
    assert {row["seq"] for row in rows if row["anomaly"] == "Anomaly detected"} >= set(odd)
    assert anomalyai(*arguments, "--budget", "1/10").exit_code == 2


@pytest.mark.parametrize("model", ["nothing", "../secret"])
def test_a_model_that_is_not_there_is_an_error(tmp_path: Path, model: str) -> None:
    instance_secret(tmp_path)
    (tmp_path / "a.csv").write_text("a\n1\n", encoding="utf-8")
    told = anomalyai("score", str(tmp_path / "a.csv"), "--model", model, "--data", str(tmp_path))
    assert (told.exit_code, "model" in told.stderr) == (1, True)
