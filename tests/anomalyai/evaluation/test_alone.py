"""Evaluation of files: nothing is learnt from what comes later, and the figures are those of a back-test."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from anomalyai.backtest import figures, score_file
from anomalyai.errors import ModelError
from anomalyai.evaluation.alone import evaluate_algorithm, evaluate_model, evaluate_pipeline, score_of
from anomalyai.evaluation.evaluation import Evaluation
from anomalyai.evaluation.reading import Reading, read
from anomalyai.schema import FeedSchema
from anomalyai.training import ALGORITHMS, TrainingOptions, train
from anomalyai.training.training_set import TrainingSet
from simulators.fraud import FraudSimulator
from simulators.sample import write_sample

ROWS, WARMUP = 2_400, 1_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("evaluate") / "payments.csv"
    write_sample("fraud", target, ROWS, seed=3, anomaly_share=0.03)
    return target


SCHEMA = FeedSchema.from_toml(FraudSimulator.feed_toml)


@cache
def reading(path: Path) -> Reading:
    return read(path, SCHEMA)


def test_the_whole_pipeline_has_the_figures_of_a_back_test(path: Path) -> None:
    known = read(path, SCHEMA, trainer=train)
    result = score_file(path, SCHEMA)
    expected = figures(result, warmup=WARMUP)
    found = evaluate_pipeline(known, WARMUP)
    truth = found.ground_truth
    assert truth is not None
    assert truth.scorers[0].average_precision is not None
    assert truth.scorers[0].average_precision.value == expected.average_precision
    assert truth.scorers[0].roc_auc == expected.roc_auc
    assert truth.precision is not None
    assert truth.precision.value == expected.precision_at_budget
    assert found.alerting.flagged == expected.alerts
    assert [scorer.name for scorer in truth.scorers] == ["whole pipeline", "random", "extreme value"]
    assert found.basis.records == ROWS - WARMUP
    assert found.entity == "customer"
    assert all(part.name is not None and part.name.startswith("c") for part in found.by_entity)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_algorithm_alone_beats_chance_and_learns_nothing_from_later_records(
    algorithm: str, path: Path, tmp_path: Path
) -> None:
    options = msgspec.convert({"algorithm": algorithm}, TrainingOptions)
    found = evaluate_algorithm(reading(path), options, WARMUP)
    assert found.ground_truth is not None
    own, chance, _ = found.ground_truth.scorers
    assert own.average_precision is not None
    assert chance.average_precision is not None
    assert own.average_precision.value > 2 * chance.average_precision.value
    assert [a.other for a in found.stability] == ["another seed", "first half", "second half"]
    shorter = tmp_path / "shorter.csv"
    lines = path.read_text().splitlines(keepends=True)
    shorter.write_text("".join(lines[:1_801]))
    part = evaluate_algorithm(read(shorter, SCHEMA), options, WARMUP)
    assert part.alerting.threshold == found.alerting.threshold
    assert part.basis.learnt_rows == found.basis.learnt_rows
    times = [p.first_time_s for p in part.by_time]
    assert times[0] == found.by_time[0].first_time_s


def test_a_stored_model_is_scored_frozen_and_stands_beside_as_the_previous_one(path: Path) -> None:
    known = reading(path)
    rows = known.features[:WARMUP].astype(np.float64)
    names = tuple(column.name for column in known.columns)
    model = train(TrainingSet(features=rows, columns=names, last_seq=WARMUP), "kmeans")
    found: Evaluation = evaluate_model(known, "pay-kmeans-1", score_of(known, "pay-kmeans-1", model), WARMUP)
    later = known.features[WARMUP:].astype(np.float64)
    assert found.ground_truth is not None
    assert found.ground_truth.scorers[0].average_precision is not None
    assert found.ground_truth.scorers[0].average_precision.value == pytest.approx(
        average_precision_score(known.label[WARMUP:], model.score_batch(later))
    )
    options = msgspec.convert({"algorithm": "dbscan"}, TrainingOptions)
    beside = evaluate_algorithm(known, options, WARMUP, previous=score_of(known, "old", model))
    assert beside.ground_truth is not None
    assert beside.ground_truth.scorers[-1].name == "previous version"
    assert beside.ground_truth.scorers[-1].roc_auc == found.ground_truth.scorers[0].roc_auc
    assert not any("no previous version" in note for note in beside.notes)


def test_a_model_of_other_columns_or_nothing_to_learn_from_is_refused(path: Path) -> None:
    known = reading(path)
    rows = np.random.default_rng(0).normal(size=(60, 1))
    stranger = train(TrainingSet(features=rows, columns=("value(other)",), last_seq=60), "kmeans")
    with pytest.raises(ModelError, match=r"of which the file lacks value\(other\)"):
        score_of(known, "stranger", stranger)
    with pytest.raises(ModelError, match="expected records to learn from"):
        evaluate_algorithm(known, TrainingOptions(), 0)


def test_order_in_the_file_does_not_count_but_time(path: Path, tmp_path: Path) -> None:
    head, *lines = path.read_text().splitlines(keepends=True)
    lines = list({line.split(",")[0]: line for line in lines}.values())  # of equal times the file decides
    ordered, shuffled = tmp_path / "ordered" / path.name, tmp_path / "shuffled" / path.name
    order = np.random.default_rng(0).permutation(len(lines))
    for target, rows in ((ordered, lines), (shuffled, [lines[i] for i in order])):
        target.parent.mkdir()
        target.write_text(head + "".join(rows))
    options = TrainingOptions()
    expected = evaluate_algorithm(read(ordered, SCHEMA), options, WARMUP)
    found = evaluate_algorithm(read(shuffled, SCHEMA), options, WARMUP)
    assert found.ground_truth is not None
    assert expected.ground_truth is not None
    assert found.ground_truth.scorers == expected.ground_truth.scorers
    assert found.by_entity == expected.by_entity
