"""The compiled isolation forest: scikit-learn's scores with the sign flipped, missing values included."""

import io
import itertools
import pickle
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest as Estimator

from anomalyai import state
from anomalyai.detectors.isolation_forest import FOREST_NATS, IsolationForest, IsolationForestModel
from anomalyai.detectors.isolation_forest_kernel import LARGEST
from anomalyai.detectors.isolation_forest_layout import Heaps, NodeList, average_path_length, lay_out
from anomalyai.errors import ModelError, StateError

Rows = NDArray[np.float64]


def rows_of(n: int, n_features: int, seed: int, *, missing: bool) -> Rows:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, n_features))
    rows[:, 0] = np.round(rows[:, 0], 1)  # ties
    if missing:
        for value, share in ((np.nan, 0.05), (np.inf, 0.003), (-np.inf, 0.003), (1e300, 0.001)):
            rows[rng.random(rows.shape) < share] = value
    return rows


def reference_scores(model: IsolationForestModel, rows: Rows) -> Rows:
    """Return what scikit-learn says of the clipped rows, high being anomalous."""
    scores: Rows = -model.estimator.score_samples(np.clip(rows, -LARGEST, LARGEST))
    return scores


@pytest.mark.parametrize("trained_with_missing", [False, True])
@pytest.mark.parametrize("scored_with_missing", [False, True])
def test_equals_scikit_learn_over_20000_records(
    trained_with_missing: bool, scored_with_missing: bool
) -> None:
    model = IsolationForestModel.fit(rows_of(5_000, 10, seed=1, missing=trained_with_missing), seed=3)
    rows = rows_of(20_000, 10, seed=2, missing=scored_with_missing)
    assert np.abs(model.score_batch(rows) - reference_scores(model, rows)).max() < 1e-12


@pytest.mark.parametrize(
    ("n_trees", "max_samples", "n_features"),
    [(1, 1, 1), (5, 2, 1), (7, 3, 2), (20, 1_024, 3), (10, 3_000, 4)],
)
def test_equals_scikit_learn_at_any_depth(n_trees: int, max_samples: int, n_features: int) -> None:
    training = rows_of(3_000, n_features, seed=3, missing=True)
    model = IsolationForestModel.fit(training, n_trees=n_trees, max_samples=max_samples, seed=5)
    assert isinstance(lay_out(model.estimator), NodeList if max_samples > 1_024 else Heaps)
    rows = rows_of(3_000, n_features, seed=4, missing=True)
    assert np.abs(model.score_batch(rows) - reference_scores(model, rows)).max() < 1e-12


@pytest.mark.parametrize("max_samples", [256, 2_000])
def test_equals_scikit_learn_where_trees_see_some_features(max_samples: int) -> None:
    rows = rows_of(2_500, 8, seed=5, missing=False)
    estimator = Estimator(max_features=0.5, max_samples=max_samples, random_state=1).fit(rows)
    model = IsolationForestModel.from_estimator(estimator)
    rows[::3, ::2] = np.nan
    assert np.abs(model.score_batch(rows) - reference_scores(model, rows)).max() < 1e-12


def test_a_column_that_is_always_missing_is_taken() -> None:
    rows = rows_of(1_000, 3, seed=6, missing=False)
    rows[:, 1] = np.nan
    model = IsolationForestModel.fit(rows)
    assert np.abs(model.score_batch(rows) - reference_scores(model, rows)).max() < 1e-12


def test_values_at_a_threshold_go_where_scikit_learn_sends_them() -> None:
    training = np.random.default_rng(7).normal(size=(500, 1)).astype(np.float32).astype(np.float64)
    model = IsolationForestModel.fit(training, seed=2)
    cuts = np.concatenate([tree.tree_.threshold for tree in model.estimator.estimators_])
    near = cuts.astype(np.float32)
    infinity = np.float32(np.inf)
    rows = np.concatenate([cuts, near, np.nextafter(near, infinity), np.nextafter(near, -infinity)])[:, None]
    assert np.abs(model.score_batch(rows) - reference_scores(model, rows)).max() < 1e-12


def test_values_beyond_the_float32_range_are_clipped_in_training_and_scoring() -> None:
    training = rows_of(600, 2, seed=8, missing=False)
    training[0], training[1] = [1e300, np.inf], [-np.inf, -1e300]
    clipped = np.clip(training, -LARGEST, LARGEST)
    model, other = IsolationForestModel.fit(training, seed=1), IsolationForestModel.fit(clipped, seed=1)
    assert (model.score_batch(training) == other.score_batch(clipped)).all()


def test_high_is_anomalous() -> None:
    model = IsolationForestModel.fit(rows_of(1_000, 4, seed=9, missing=False))
    usual, odd = model.score_batch([[0.0] * 4, [9.0, -9.0, 9.0, -9.0]])
    assert 0.0 < usual < 0.5 < odd < 1.0


@pytest.mark.parametrize("max_samples", [256, 2_000])
def test_no_cut_into_batches_changes_a_score(max_samples: int) -> None:
    rows = rows_of(2_100, 10, seed=10, missing=True)
    model = IsolationForestModel.fit(rows, max_samples=max_samples)
    whole = model.score_batch(rows)
    for cuts in ([0, 1, 7, 204, 205, 1_000, 2_100], list(range(0, 2_101, 3)), list(range(300))):
        parts = [model.score_batch(rows[start:stop]) for start, stop in itertools.pairwise(cuts)]
        assert (np.concatenate(parts) == whole[: cuts[-1]]).all()


def test_a_stored_model_is_the_estimator_alone() -> None:
    rows = rows_of(500, 3, seed=11, missing=True)
    model = IsolationForestModel.fit(rows, n_trees=20)
    assert list(model.__getstate__()) == ["estimator"]
    again = pickle.loads(pickle.dumps(model))
    buffer = io.BytesIO()
    joblib.dump(model.estimator, buffer)
    buffer.seek(0)
    restored = IsolationForestModel.from_estimator(joblib.load(buffer))
    expected = model.score_batch(rows)
    assert (again.score_batch(rows) == expected).all()
    assert (restored.score_batch(rows) == expected).all()


def test_the_seed_decides_the_forest() -> None:
    rows = rows_of(500, 3, seed=12, missing=False)
    one, same, other = (
        IsolationForestModel.fit(rows, n_trees=10, seed=seed).score_batch(rows) for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).any()


def test_learning_leaves_the_forest_as_it_is() -> None:
    rows = rows_of(300, 3, seed=13, missing=False)
    model = IsolationForestModel.fit(rows, n_trees=10)
    before = model.score_batch(rows)
    model.learn_batch(rows + 5.0)
    assert model.is_warm
    assert (model.score_batch(rows) == before).all()


def test_takes_rows_in_any_memory_layout() -> None:
    rows = rows_of(300, 3, seed=14, missing=True)
    model = IsolationForestModel.fit(rows, n_trees=10)
    expected = model.score_batch(rows)
    frozen = rows.copy()
    frozen.flags.writeable = False
    for form in (np.asfortranarray(rows), frozen, rows.tolist()):
        assert (model.score_batch(form) == expected).all()
    assert model.score_batch(np.empty((0, 3))).shape == (0,)


def test_says_what_it_expects() -> None:
    with pytest.raises(ModelError, match="expected a fitted IsolationForest"):
        IsolationForestModel.from_estimator(Estimator())
    with pytest.raises(ValueError, match=r"expected rows \[n, features\]"):
        IsolationForestModel.fit(np.empty((0, 3)))
    model = IsolationForestModel.fit(np.zeros((10, 3)), n_trees=2)
    with pytest.raises(ValueError, match=r"expected rows \[n, 3\]"):
        model.score_batch(np.zeros((2, 2)))


@pytest.mark.parametrize("max_samples", [1, 256, 2_000])
def test_the_detector_is_the_model_and_comes_back_from_bytes(max_samples: int) -> None:
    rows = rows_of(2_500, 4, seed=15, missing=True)
    detector = IsolationForest(n_trees=15, max_samples=max_samples, seed=3).fit(rows)
    model = IsolationForestModel.fit(rows, n_trees=15, max_samples=max_samples, seed=3)
    assert isinstance(model.layout, NodeList if max_samples > 1_024 else Heaps)
    expected = model.score_batch(rows).tobytes()
    assert detector.score_batch(rows).tobytes() == expected
    again = IsolationForest.loads(detector.dumps())
    assert again.score_batch(rows).tobytes() == expected
    assert again.width == 4
    assert again.estimator is None
    assert again.dumps() == detector.dumps()


@pytest.mark.parametrize("max_samples", [256, 2_000])
def test_no_damaged_state_reaches_the_kernels(max_samples: int) -> None:
    detector = IsolationForest(n_trees=5, max_samples=max_samples).fit(
        rows_of(2_500, 2, seed=16, missing=False)
    )
    good = state.loads("isolation_forest", detector.dumps())
    arrays = [name for name, value in good.items() if isinstance(value, np.ndarray)]
    assert len(arrays) == (6 if max_samples > 1_024 else 3)
    damages: list[dict[str, Any]] = [{"layout": "Hedge"}, {"layout": None}, {"width": 1}, {"width": "two"}]
    damages += [{"mean_length": value} for value in (-1.0, np.inf, np.nan, "9", 9)]
    damages += [{name: None} for name in good]
    damages += [{name: good[name][:0]} for name in arrays]
    damages += [{name: good[name][:-1]} for name in arrays]
    damages += [{name: good[name].astype(np.int32)} for name in arrays]
    damages += [{"lengths": -1.0 - good["lengths"]}, {"features": good["features"] + np.uint16(4)}]
    if max_samples > 1_024:
        damages += [
            {name: good[name] + good[name].dtype.type(10**6)} for name in ("children", "roots", "depths")
        ]
        damages += [{name: -1 - good[name]} for name in ("roots", "depths")]
    else:
        damages += [{"n_leaves": value} for value in (0, 3, -256, 2**11, 2.0, True, "8")]
    for damage in damages:
        with pytest.raises(StateError):
            IsolationForest.loads(state.dumps("isolation_forest", {**good, **damage}))


def test_the_voice_is_the_path_length_in_nats() -> None:
    model = IsolationForestModel.fit(rows_of(500, 3, seed=17, missing=False))
    rows = rows_of(50, 3, seed=18, missing=True)
    assert (model.voice_batch(rows) == FOREST_NATS * np.log(model.score_batch(rows))).all()
    depths = -model.voice_batch(rows) / np.log(2.0)
    assert (
        pytest.approx(-np.log2(model.score_batch(rows)) * average_path_length(np.array([256]))[0]) == depths
    )
