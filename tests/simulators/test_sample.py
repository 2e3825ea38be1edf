"""`anomalyai sample`: what is asked for is in the file, the same each time, and can be read and measured."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from anomalyai.files import read_batches
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from simulators.fraud import FraudSimulator
from simulators.sample import KEPT, gapped, write_sample
from simulators.simulator import Chunk


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "web.cli", "sample", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def cells(chunks: list[Chunk], name: str) -> list[Any]:
    return [value for chunk in chunks for value in chunk.columns[name]]


def test_the_command_writes_file_and_declaration(tmp_path: Path) -> None:
    path = tmp_path / "flows.csv.gz"
    done = run("network", "--rows", 3_000, "--out", path, "--seed", 5, "--anomalies", 0.05, "--feed-toml")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["rows"] == 3_000
    assert said["out"] == str(path)
    rows = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert len(rows) == 3_001
    assert said["missing"] == sum(row.split(",").count("") for row in rows[1:])
    batches = read_batches(path, FeedSchema.from_file(tmp_path / "flows.toml"))
    labels = [label for item in batches if isinstance(item, RecordBatch) for label in item.label.tolist()]
    assert batches.rejected == 0
    assert sum(labels) == said["anomalies"]
    assert 50 < said["anomalies"] < 300


@pytest.mark.parametrize("scenario", ["fraud", "network"])
def test_missing_values_are_a_share_of_some_fields(scenario: str, tmp_path: Path) -> None:
    path = tmp_path / "s.ndjson"
    write_sample(scenario, path, 4_000, missing_share=0.2)
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for name in records[0]:
        share = sum(record[name] is None for record in records) / len(records)
        assert share == 0.0 if name in KEPT else share > 0.17
    amount = sum(record["amount" if scenario == "fraud" else "bytes_out"] is None for record in records)
    assert 0.17 < amount / 4_000 < 0.23


def test_all_may_be_missing_or_none(tmp_path: Path) -> None:
    whole = list(FraudSimulator(3).chunks(1_500))
    kept = list(gapped(FraudSimulator(3), 1_500, 0.0))
    gone = list(gapped(FraudSimulator(3), 1_500, 1.0))
    for name in whole[0].columns:
        assert cells(kept, name) == cells(whole, name)
        assert cells(gone, name) == (cells(whole, name) if name in KEPT else [None] * 1_500)


def test_the_same_seed_gives_the_same_bytes_and_a_longer_file_begins_alike(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv", "b.csv", "long.csv", "other.csv")]
    for path, rows, seed in zip(paths, (1_500, 1_500, 2_750, 1_500), (1, 1, 1, 2), strict=True):
        write_sample("fraud", path, rows, seed=seed)
    first, same, longer, other = (path.read_bytes() for path in paths)
    assert first == same
    assert longer.startswith(first)
    assert other != first


def test_wrong_use_is_said(tmp_path: Path) -> None:
    assert "expected a name that ends in" in run("fraud", "--rows", 5, "--out", tmp_path / "x.txt").stderr
    refused = run("fraud", "--rows", 5, "--out", tmp_path / "x.csv", "--missing", 1.5)
    assert refused.returncode == 2
    nowhere = run("fraud", "--rows", 5, "--out", tmp_path / "no" / "x.csv")
    assert nowhere.returncode == 1
    assert "No such file" in nowhere.stderr
