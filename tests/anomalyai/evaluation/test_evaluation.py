"""An evaluation as a whole: what stands beside it, what it is measured on, and what it refuses to say."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from anomalyai.evaluation import Basis, Entities, LabelClock, Scorers, evaluate, held_out_report
from anomalyai.evaluation.agreement import agreement
from anomalyai.evaluation.evaluation import Evaluation

N = 3_000
RNG = np.random.default_rng(3)
LABEL = (RNG.random(N) < 0.03).astype(float)
FEATURES = np.column_stack([RNG.normal(size=N) + 2.0 * LABEL, RNG.normal(size=N)])
REFERENCE = RNG.normal(size=(1_000, 2))
SCORE = FEATURES[:, 0] + 0.3 * RNG.normal(size=N)
FLAGGED = SCORE >= 3.0
TIME_S = 1e9 + 60.0 * np.arange(N)
ENTITY = RNG.integers(1, 30, N).astype(np.uint64)
UNKNOWN = np.full(N, np.nan)


def found(label: Any = LABEL, **options: Any) -> Evaluation:
    basis = Basis(scorer="kmeans", how="trained on the first 1,000", learnt_rows=1_000)
    return evaluate(
        SCORE,
        FLAGGED,
        label,
        TIME_S,
        Entities("customer", ENTITY, {1: "anna"}),
        **{"budget_rate": 0.01, "threshold": 3.0, "basis": basis, **options},
    )


def test_figures_are_scikit_learns_beside_a_random_scorer() -> None:
    evaluation = found(scorers=Scorers({"extreme value": np.abs(FEATURES).max(axis=1)}))
    truth = evaluation.ground_truth
    assert truth is not None
    assert [scorer.name for scorer in truth.scorers] == ["kmeans", "random", "extreme value"]
    own, chance, extreme = truth.scorers
    assert own.average_precision is not None
    assert own.average_precision.value == pytest.approx(average_precision_score(LABEL, SCORE))
    assert own.roc_auc == pytest.approx(roc_auc_score(LABEL, SCORE))
    assert extreme.roc_auc == pytest.approx(roc_auc_score(LABEL, np.abs(FEATURES).max(axis=1)))
    assert chance.average_precision is not None
    assert truth.anomaly_share == LABEL.mean()
    assert chance.average_precision.value < 3 * LABEL.mean() < own.average_precision.value
    assert truth.precision is not None
    assert truth.precision.value == pytest.approx(LABEL[FLAGGED].mean())
    assert truth.recall is not None
    assert truth.recall.value == pytest.approx(FLAGGED[LABEL == 1.0].mean())
    assert own.at_budget.records == 30
    top = np.argsort(-SCORE)[:30]
    assert own.at_budget.precision is not None
    assert own.at_budget.precision.value == pytest.approx(LABEL[top].mean())
    assert truth.delay.episodes > 20
    assert evaluation.basis.records == N
    assert (evaluation.basis.first_time_s, evaluation.basis.last_time_s) == (TIME_S[0], TIME_S[-1])
    assert evaluation.by_entity[0].records == np.bincount(ENTITY.astype(int)).max()
    assert "anna" in {part.name for part in evaluation.by_entity} or ENTITY.tolist().count(1) < 100
    json.loads(msgspec.json.encode(evaluation))


def test_rejected_records_are_left_out() -> None:
    score = SCORE.copy()
    score[::7] = np.nan
    kept = np.isfinite(score)
    evaluation = evaluate(score, FLAGGED, LABEL, TIME_S, budget_rate=0.01)
    same = evaluate(SCORE[kept], FLAGGED[kept], LABEL[kept], TIME_S[kept], budget_rate=0.01)
    assert evaluation == same


def test_verdicts_and_ground_truth_are_never_mixed() -> None:
    verdict = np.where(FLAGGED, 1.0 - LABEL, np.nan)  # people say the opposite
    clock = LabelClock(verdict, TIME_S + 120.0)
    evaluation = found(verdicts=clock, known_s=TIME_S + 7 * 86_400.0)
    plain = found()
    assert evaluation.ground_truth is not None
    assert plain.ground_truth is not None
    assert evaluation.ground_truth.confusion == plain.ground_truth.confusion
    assert evaluation.ground_truth.known_after_s == 7 * 86_400.0
    assert plain.ground_truth.known_after_s is None
    verdicts = evaluation.verdicts
    assert verdicts is not None
    assert verdicts.known_after_s == 120.0
    assert verdicts.labelled == verdicts.flagged_labelled == np.count_nonzero(FLAGGED)
    assert verdicts.precision is not None
    assert verdicts.precision.value == pytest.approx(1.0 - LABEL[FLAGGED].mean())
    assert any("Verdicts cover" in note for note in evaluation.notes)


def test_without_labels_nothing_is_said_of_accuracy() -> None:
    evaluation = found(UNKNOWN, scorers=Scorers(again={"another seed": SCORE + 0.1 * RNG.normal(size=N)}))
    assert evaluation.ground_truth is None
    assert evaluation.verdicts is None
    assert evaluation.notes[0].startswith("No record has a ground-truth label")
    assert all(part.average_precision is None for part in (*evaluation.by_time, *evaluation.by_entity))
    assert sum(evaluation.histogram.unlabelled) == N
    assert evaluation.alerting.realised_rate is not None
    assert evaluation.alerting.realised_rate.value == FLAGGED.mean()
    assert evaluation.stability[0].rank_correlation is not None
    assert evaluation.stability[0].rank_correlation > 0.95
    assert evaluation.agreement[0].other == "random"


def test_undefined_accuracy_is_none_with_labels_of_one_kind() -> None:
    evaluation = found(np.zeros(N))
    assert evaluation.ground_truth is not None
    assert evaluation.ground_truth.scorers[0].average_precision is None
    assert evaluation.ground_truth.recall is None
    assert "is an anomaly: recall" in evaluation.notes[0]


def test_no_record_at_all_is_no_error() -> None:
    nothing = np.empty(0)
    evaluation = evaluate(nothing, nothing > 0, nothing, nothing, budget_rate=0.01)
    assert evaluation.basis.records == 0
    assert evaluation.ground_truth is None
    assert evaluation.alerting.realised_rate is None
    msgspec.json.encode(evaluation)


def test_agreement_is_spearmans_and_the_overlap_of_the_budgets() -> None:
    other = SCORE + RNG.normal(size=N)
    compared = agreement("previous version", SCORE, other, 0.01)
    assert compared.rank_correlation == pytest.approx(spearmanr(SCORE, other).statistic)
    shared = set(np.argsort(-SCORE)[:30]) & set(np.argsort(-other)[:30])
    assert compared.shared_at_budget == len(shared) / 30
    assert compared.chance == 0.01
    assert agreement("constant", SCORE, np.zeros(N), 0.01).rank_correlation is None
    assert agreement("itself", SCORE, SCORE, 0.01).shared_at_budget == 1.0


def test_what_a_manifest_keeps_is_small_and_has_the_rivals_beside_it() -> None:
    kept = held_out_report(
        SCORE, FEATURES, REFERENCE, ["value(a)", "rarity(b)"],
        label=LABEL, time_s=TIME_S, budget_rate=0.01, threshold=3.0,
        entities=Entities("customer", ENTITY), previous=-SCORE,
    )  # fmt: skip
    encoded = msgspec.json.encode(kept)
    assert len(encoded) < 60_000
    report = msgspec.json.decode(encoded, type=Evaluation)
    assert report.basis.first_time_s == TIME_S[0]
    assert report.alerting.flagged == np.count_nonzero(FLAGGED)
    assert report.ground_truth is not None
    own, *others = report.ground_truth.scorers
    assert [other.name for other in others] == ["random", "extreme value", "previous version"]
    assert own.average_precision is not None
    assert own.average_precision.value == pytest.approx(average_precision_score(LABEL, SCORE), rel=1e-3)
    extreme = np.abs(FEATURES[:, 0] - np.median(REFERENCE[:, 0]))  # numbers alone, not how rare a value is
    assert others[1].roc_auc == pytest.approx(roc_auc_score(LABEL, extreme), rel=1e-3)
    assert report.agreement[-1].rank_correlation == -1.0


def test_without_labels_the_manifest_holds_no_accuracy() -> None:
    kept = held_out_report(
        SCORE, FEATURES, REFERENCE, ["value(a)", "value(b)"],
        label=UNKNOWN, time_s=UNKNOWN, budget_rate=0.01, threshold=3.0, again={"another seed": SCORE},
    )  # fmt: skip
    assert kept["ground_truth"] is None
    assert kept["verdicts"] is None
    assert kept["stability"][0]["rank_correlation"] == 1.0
    assert kept["alerting"]["realised_rate"]["value"] == pytest.approx(FLAGGED.mean(), rel=1e-3)
