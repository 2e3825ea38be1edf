"""K-means, DBSCAN and one-class SVM: scikit-learn's numbers in any batches, and ours on top."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai import state
from anomalyai.detectors.dbscan import DBSCAN
from anomalyai.detectors.kmeans import KMeans
from anomalyai.detectors.one_class_svm import EXACT_BELOW, OneClassSVM
from anomalyai.detectors.standardised import StandardisedDetector
from anomalyai.errors import ModelError, ParameterError, StateError

Rows = NDArray[np.float64]

DETECTORS: list[Callable[[], StandardisedDetector]] = [
    KMeans,
    DBSCAN,
    OneClassSVM,
    lambda: OneClassSVM(exact_below=0),
]


def rows_of(n: int, seed: int = 0, width: int = 7) -> Rows:
    """Return rows in three groups of unlike width, on unlike scales, some values missing."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 3, n)
    rows: Rows = rng.normal(size=(n, width)) * np.array([0.1, 1.0, 0.3])[group, None] + 4.0 * group[:, None]
    rows *= 10.0 ** np.arange(-3, width - 3)
    rows[rng.random(rows.shape) < 0.02] = np.nan
    return rows


def largest_difference(ours: Rows, theirs: Rows) -> float:
    """Return the largest difference, relative to the size of the numbers as a whole."""
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


@pytest.mark.parametrize(("exact_below", "solver"), [(EXACT_BELOW, "exact"), (0, "nystroem")])
@pytest.mark.parametrize("gamma", [None, 0.01, 2.0])
def test_one_class_svm_is_scikit_learns_decision_function(
    exact_below: int, solver: str, gamma: float | None
) -> None:
    detector = OneClassSVM(gamma=gamma, exact_below=exact_below, seed=1).fit(rows_of(3_000))
    assert detector.solver == solver
    rows = np.concatenate([rows_of(2_000, seed=1), 3.0 * rows_of(500, seed=2)])
    theirs = -detector.estimator.decision_function(detector.standardise(rows))
    assert largest_difference(detector.score_batch(rows), theirs) <= 1e-9
    assert (theirs > 0.0).any()
    assert (theirs < 0.0).any()


def test_one_class_svm_takes_the_descent_from_10000_rows_on() -> None:
    rows = rows_of(10_000, width=2)
    assert OneClassSVM(nu=0.01).fit(rows[:-1]).solver == "exact"
    assert OneClassSVM(nu=0.01, n_components=20).fit(rows).solver == "nystroem"


def test_one_class_svm_leaves_about_nu_of_the_rows_outside() -> None:
    rows = rows_of(3_000)
    for detector in (OneClassSVM(nu=0.1), OneClassSVM(nu=0.1, exact_below=0)):
        assert np.mean(detector.fit(rows).score_batch(rows) > 0.0) == pytest.approx(0.1, abs=0.03)


def test_the_voice_of_the_svm_is_its_lack_of_likeness_in_nats() -> None:
    rows = np.concatenate([rows_of(3_000), [[1e9] * 7]])
    for detector in (OneClassSVM(), OneClassSVM(exact_below=0)):
        voices = detector.fit(rows[:-1]).voice_batch(rows)
        assert np.median(voices[:-1]) == pytest.approx(np.log(2.0), abs=1e-9)
        assert np.count_nonzero(voices == 0.0) == pytest.approx(150, abs=2)
        assert voices[-1] == voices.max()
        assert (np.diff(voices[np.argsort(detector.score_batch(rows))]) >= 0.0).all()


def test_kmeans_measures_by_the_nearest_cluster_of_scikit_learn() -> None:
    detector = KMeans(n_clusters=3, seed=2).fit(rows_of(3_000))
    rows = rows_of(1_000, seed=1)
    scaled = detector.standardise(rows)
    distances = detector.estimator.transform(scaled)
    labels = detector.estimator.predict(scaled)
    training = detector.standardise(rows_of(3_000))
    own = detector.estimator.transform(training).min(axis=1)
    scales = np.array([np.median(own[detector.estimator.labels_ == c]) for c in range(3)])
    assert scales.max() > 3.0 * scales.min()
    theirs = distances[np.arange(len(rows)), labels] / scales[labels]
    assert largest_difference(detector.score_batch(rows), theirs) <= 1e-9
    assert np.median(detector.score_batch(rows)) == pytest.approx(1.0, abs=0.1)


def test_what_is_near_in_a_wide_cluster_is_far_from_a_tight_one() -> None:
    rng = np.random.default_rng(0)
    tight, wide = rng.normal(0.0, 0.1, (500, 2)), rng.normal(20.0, 2.0, (500, 2))
    detector = KMeans(n_clusters=2).fit(np.concatenate([tight, wide]))
    by_tight, by_wide = detector.score_batch([[2.0, 2.0], [22.0, 22.0]])
    assert by_tight > 10.0 * by_wide


def test_a_cluster_of_a_few_rows_is_no_kind_of_usual() -> None:
    rows = np.random.default_rng(0).normal(size=(1_000, 2))
    rows[:5] = 500.0
    detector = KMeans(n_clusters=2).fit(rows)
    assert len(detector.estimator.cluster_centers_) == 2
    assert detector.score_batch([[500.0, 500.0]])[0] > 100.0


@pytest.mark.parametrize("n", [1, 2, 40])
def test_rows_that_are_all_alike_can_be_trained_on(n: int) -> None:
    alike = np.full((n, 3), 5.0)
    for detector in (KMeans(), DBSCAN(min_samples=1), OneClassSVM(), OneClassSVM(exact_below=0)):
        same, other = detector.fit(alike).score_batch([[5.0, 5.0, 5.0], [5.0, 9.0, 5.0]])
        assert np.isfinite([same, other]).all()
        assert other > same


def test_dbscan_measures_to_scikit_learns_core_samples() -> None:
    detector = DBSCAN(eps=0.15, min_samples=6).fit(rows_of(2_000))
    rows = rows_of(500, seed=1)
    cores = detector.estimator.components_
    apart = np.linalg.norm(detector.standardise(rows)[:, None] - cores[None], axis=2)
    assert largest_difference(detector.score_batch(rows), apart.min(axis=1) / 0.15) <= 1e-9
    joined = detector.estimator.labels_ >= 0
    assert 0 < np.count_nonzero(~joined) < 1_000
    assert ((detector.score_batch(rows_of(2_000)) <= 1.0) == joined).all()


def test_dbscan_finds_a_radius_that_holds_most_rows() -> None:
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(950, 2)), rng.uniform(-40.0, 40.0, (50, 2))])
    detector = DBSCAN().fit(rows)
    outside = detector.score_batch(rows) > 1.0
    assert 0.1 < detector.radius < 5.0
    assert outside[:950].mean() < 0.1
    assert outside[950:].mean() > 0.6
    assert DBSCAN(eps=0.5).fit(rows).radius == 0.5


def test_dbscan_says_when_nothing_is_dense() -> None:
    rows = np.random.default_rng(0).normal(size=(100, 2))
    with pytest.raises(ModelError, match="none of 100 rows has 10 within 1e-06 spreads") as refused:
        DBSCAN(eps=1e-6).fit(rows)
    assert refused.value.code == "no_core_sample"
    with pytest.raises(ModelError, match="none of 5 rows has 10"):
        DBSCAN().fit(rows[:5])


def test_dbscan_looks_at_max_rows_drawn_by_its_seed() -> None:
    rows = rows_of(3_000)
    whole = DBSCAN(max_rows=300).fit(rows)
    assert len(whole.estimator.labels_) == 300
    scores = [DBSCAN(max_rows=300, seed=seed).fit(rows).score_batch(rows) for seed in (0, 0, 1)]
    assert (scores[0] == scores[1]).all()
    assert (scores[0] != scores[2]).any()


@pytest.mark.parametrize("new", DETECTORS)
@pytest.mark.parametrize("width", [1, 7, 33])
def test_no_cut_changes_a_bit_at_any_width(new: Callable[[], StandardisedDetector], width: int) -> None:
    detector = new().fit(rows_of(1_200, width=width))
    rows = rows_of(700, seed=3, width=width)
    for measure in (detector.score_batch, detector.voice_batch):
        whole = measure(rows)
        for step in (1, 7, 64):
            parts = [measure(rows[start : start + step]) for start in range(0, len(rows), step)]
            assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("new", DETECTORS)
def test_a_constant_column_and_missing_values_do_not_blow_up(new: Callable[[], StandardisedDetector]) -> None:
    rows = rows_of(1_000, width=2)
    flat = np.column_stack([rows, np.full(len(rows), 3.0), np.full(len(rows), np.nan)])
    detector = new().fit(flat)
    usual = detector.score_batch(flat)
    probes = np.array([[rows[4, 0], rows[4, 1], 3.0001, 0.01], [np.nan] * 4])
    assert detector.score_batch(probes).max() <= usual.max() + 1e-9


@pytest.mark.parametrize("new", DETECTORS)
def test_voices_rise_with_scores(new: Callable[[], StandardisedDetector]) -> None:
    detector = new().fit(rows_of(1_000))
    rows = rows_of(1_000, seed=1)
    rows[::9] *= 3.0
    order = np.argsort(detector.score_batch(rows))
    voices = detector.voice_batch(rows)[order]
    assert (np.diff(voices) >= 0.0).all()
    assert 0.5 < voices[-1] - voices[0] < 20.0


@pytest.mark.parametrize("new", DETECTORS)
def test_damaged_states_are_refused(new: Callable[[], StandardisedDetector]) -> None:
    detector = new().fit(rows_of(600))
    fields = state.loads(detector.kind, detector.dumps())
    damages: list[dict[str, object]] = [
        {"spread": np.zeros(7)},
        {"spread": np.ones(6)},
        {"centre": np.full(7, np.nan)},
        {"centre": "7"},
    ]
    damages += [{name: None} for name in fields if name != "solver"]
    damages += [{name: fields[name][:-1]} for name in ("weights", "scales") if name in fields]
    damages += [{name: -1.0} for name in ("radius", "usual_lack", "width_factor") if name in fields]
    for damage in damages:
        with pytest.raises(StateError):
            type(detector).loads(state.dumps(detector.kind, {**fields, **damage}))


def test_parameters_out_of_range_are_named() -> None:
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: KMeans(n_clusters=0), "expected n_clusters as a whole number from 1 to 1024, got 0"),
        (lambda: KMeans(seed=-1), "expected seed as a whole number from 0 to 4294967295, got -1"),
        (lambda: DBSCAN(eps=0.0), r"expected eps as a number above 0\.0 or None, got 0\.0"),
        (lambda: DBSCAN(min_samples=2.5), "min_samples"),  # type: ignore[arg-type]
        (lambda: OneClassSVM(nu=1.5), r"expected nu as a number above 0\.0 and up to 1\.0, got 1\.5\. Give"),
        (lambda: OneClassSVM(gamma=float("nan")), "gamma"),
        (lambda: OneClassSVM(n_components=True), "n_components"),
    ]
    for make, text in refused:
        with pytest.raises(ParameterError, match=text):
            make()


FITS = """
import hashlib
import numpy as np
from anomalyai.detectors.registry import DETECTORS
rows = np.random.default_rng(0).normal(size=(9_000, 20))
for _ in range(3):
    print(hashlib.sha256(DETECTORS["kmeans"](n_clusters=20).fit(rows).dumps()).hexdigest())
"""


def test_the_number_of_threads_changes_nothing() -> None:
    found = set()
    for threads in ("1", "2"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-W", "error", "-c", FITS]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        found |= set(run.stdout.split())
    assert len(found) == 1
