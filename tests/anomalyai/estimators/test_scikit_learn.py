"""The scikit-learn estimators: its own checks, its sign, and our detectors' scores underneath."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from anomalyai.errors import ModelError, ParameterError
from anomalyai.estimators import scikit_learn
from anomalyai.estimators.scikit_learn import (
    DBSCANEstimator,
    HalfSpaceTreesEstimator,
    IsolationForestEstimator,
    KMeansEstimator,
    OneClassSVMEstimator,
)

ESTIMATORS = [getattr(scikit_learn, name) for name in scikit_learn.__all__]
NOT_RUN = {"check_array_api_input"}
"""scikit-learn itself leaves it out where SciPy was not told to take other arrays than NumPy's."""


def rows_of(n: int = 600, seed: int = 0) -> np.ndarray[Any, Any]:
    rows = np.random.default_rng(seed).normal(size=(n, 3))
    rows[:5] += 12.0
    rows[7::50, 1] = np.nan
    return rows


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_passes_the_checks_of_scikit_learn(estimator: Any) -> None:
    found = check_estimator(estimator(), on_skip=None, on_fail=None)
    failed = [(row["check_name"], row["exception"]) for row in found if row["status"] == "failed"]
    assert failed == []
    assert {row["check_name"] for row in found if row["status"] != "passed"} <= NOT_RUN
    assert len(found) > 40


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_scores_are_the_detectors_with_the_sign_flipped(estimator: Any) -> None:
    rows = rows_of()
    fitted = estimator(contamination=0.05).fit(rows)
    scores = fitted.score_samples(rows)
    given = rows
    if estimator is HalfSpaceTreesEstimator:
        low, high = np.nanmin(rows, axis=0), np.nanmax(rows, axis=0)
        given = np.clip((rows - (low - 0.5 * (high - low))) / (2.0 * (high - low)), 0.0, 1.0)
    assert scores == pytest.approx(-fitted.detector_.score_batch(given), rel=1e-12)
    assert scores[:5].max() < np.quantile(scores, 0.1)
    assert np.array_equal(fitted.decision_function(rows), scores - fitted.offset_)
    outside = fitted.predict(rows) == -1
    assert 0 < outside.sum() <= 0.05 * len(rows) + 1
    assert (outside == (fitted.decision_function(rows) < 0.0)).all()
    assert np.array_equal(estimator(contamination=0.05).fit_predict(rows), fitted.predict(rows))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_pickled_estimator_scores_the_same(estimator: Any) -> None:
    rows = rows_of()
    fitted = estimator().fit(rows)
    again = pickle.loads(pickle.dumps(fitted))
    assert again.score_samples(rows).tobytes() == fitted.score_samples(rows).tobytes()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_works_in_a_pipeline_of_scikit_learn(estimator: Any) -> None:
    rows = rows_of()
    pipeline = make_pipeline(StandardScaler(), estimator()).fit(rows)
    assert pipeline.predict(rows[:5]).tolist() == [-1] * 5
    assert repr(clone(pipeline)) == repr(pipeline)


def test_parameters_reach_the_detectors() -> None:
    rows = rows_of()
    fitted: Any
    for fitted, shown in (
        (IsolationForestEstimator(n_trees=7, max_samples=64, random_state=1), "7, max_samples=64, seed=1"),
        (OneClassSVMEstimator(nu=0.2, gamma=0.5), "nu=0.2, gamma=0.5"),
        (KMeansEstimator(n_clusters=2, random_state=3), "n_clusters=2, seed=3"),
        (DBSCANEstimator(eps=0.9, min_samples=4), "eps=0.9, min_samples=4"),
        (HalfSpaceTreesEstimator(n_trees=5, window_size=10_000), "n_trees=5, height=8, window_size=600"),
    ):
        assert shown in repr(fitted.fit(rows).detector_)


def test_random_state_may_be_drawn() -> None:
    rows = rows_of()
    first, same = (
        KMeansEstimator(random_state=np.random.RandomState(5)).fit(rows).score_samples(rows) for _ in range(2)
    )
    assert np.array_equal(first, same)
    drawn = IsolationForestEstimator(n_trees=5, random_state=None).fit(rows)
    assert np.isfinite(drawn.score_samples(rows)).all()


def test_what_cannot_be_trained_is_said() -> None:
    with pytest.raises(ParameterError, match="expected contamination as a number above"):
        KMeansEstimator(contamination=0.0).fit(rows_of())
    with pytest.raises(ParameterError, match="expected n_clusters as a whole number"):
        KMeansEstimator(n_clusters=0).fit(rows_of())
    with pytest.raises(ValueError, match="minimum of 10 is required"):
        DBSCANEstimator().fit(rows_of(9))
    with pytest.raises(ModelError, match="none of 600 rows"):
        DBSCANEstimator(eps=1e-9).fit(rows_of())
