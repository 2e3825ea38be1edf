"""River's detectors behind our contract: River's own scores, scaled rows, signed snapshots, and refusals."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from river import anomaly, base, compose, linear_model, neighbors, preprocessing

from anomalyai import state
from anomalyai.checks import check_detector
from anomalyai.detectors.river_adapter import MAX_STATE_BYTES, RiverAdapter
from anomalyai.detectors.snapshot_key import SnapshotKey
from anomalyai.errors import ModelError, ParameterError, StateError

KEY = SnapshotKey(b"0123456789abcdef")


def rows_of(n: int, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) * [1.0, 100.0, 1e-3] + [0.0, 500.0, 0.0]


def trees(**parameters: Any) -> anomaly.HalfSpaceTrees:
    return anomaly.HalfSpaceTrees(n_trees=5, height=5, window_size=50, seed=1, **parameters)


MODELS: dict[str, base.AnomalyDetector | base.AnomalyFilter | compose.Pipeline] = {
    "trees": trees(),
    "loda": anomaly.LODA(seed=1),
    "svm": anomaly.OneClassSVM(nu=0.2),
    "quantile filter": anomaly.QuantileFilter(trees(), q=0.99, protect_anomaly_detector=True),
    "quantile filter without protection": anomaly.QuantileFilter(
        trees(), q=0.99, protect_anomaly_detector=False
    ),
    "threshold filter": anomaly.ThresholdFilter(trees(), threshold=0.9),
    "pipeline": preprocessing.MinMaxScaler() | trees(),
    "neighbours": anomaly.LocalOutlierFactor(n_neighbors=5, engine=neighbors.LazySearch(window_size=60)),
}


@pytest.mark.parametrize("name", MODELS)
def test_any_of_rivers_detectors_keeps_the_contract(name: str) -> None:
    check_detector(RiverAdapter(MODELS[name], warmup_rows=50, snapshot_key=KEY))


def test_scores_are_rivers_of_the_scaled_rows() -> None:
    rows = rows_of(400)
    rows[130::7, 1] = np.nan
    adapter = RiverAdapter(trees(), names=("a", "b", "c"), warmup_rows=100)
    ours = adapter.score_learn_batch(rows)
    low, high = rows[:100].min(axis=0), rows[:100].max(axis=0)
    low, span = low - 0.5 * (high - low), 2.0 * (high - low)
    theirs = trees()
    expected = []
    for place, row in enumerate(np.clip((rows - low) / span, 0.0, 1.0).tolist()):
        record = {name: value for name, value in zip("abc", row, strict=True) if value == value}
        expected.append(theirs.score_one(record) if place >= 100 else 0.0)  # type: ignore[no-untyped-call]
        theirs.learn_one(record)  # type: ignore[no-untyped-call]
    assert ours.tolist() == expected
    assert len(set(expected)) > 20


def test_rows_may_be_handed_over_as_they_are() -> None:
    rows = np.random.default_rng(0).random((200, 2))
    rows[0, 1] = np.nan
    adapter = RiverAdapter(trees(), warmup_rows=0)
    assert not adapter.is_warm
    ours = adapter.score_learn_batch(rows)
    theirs = trees()
    theirs.learn_one({0: rows[0, 0], 1: 0.5})  # type: ignore[no-untyped-call]
    for place, row in enumerate(rows[1:].tolist(), 1):
        assert ours[place] == theirs.score_one(dict(enumerate(row)))  # type: ignore[no-untyped-call]
        theirs.learn_one(dict(enumerate(row)))  # type: ignore[no-untyped-call]


def test_the_given_model_stays_as_it_is() -> None:
    model = trees()
    RiverAdapter(model).learn_batch(rows_of(300))
    assert model.trees == []


def test_one_outlier_in_the_warm_up_does_not_decide_after_it() -> None:
    adapter = RiverAdapter(trees(), warmup_rows=100)
    adapter.learn_batch(rows_of(300))
    usual, odd = adapter.score_batch([[0.0, 500.0, 0.0], [30.0, 9_000.0, 1.0]])
    assert adapter.is_warm
    assert odd > usual + 0.2


@pytest.mark.parametrize("model", [trees(), preprocessing.StandardScaler() | trees()])
def test_a_filter_that_never_teaches_is_refused_and_one_that_does_is_not(model: Any) -> None:
    protected = anomaly.ThresholdFilter(model, threshold=0.9, protect_anomaly_detector=True)
    adapter = RiverAdapter(protected, warmup_rows=20)
    adapter.learn_batch(rows_of(200))
    assert len(np.unique(adapter.score_batch(rows_of(50, seed=1)))) > 5
    never = anomaly.ThresholdFilter(model, threshold=0.9, protect_anomaly_detector=False)
    for given in (never, preprocessing.StandardScaler() | never):
        with pytest.raises(ParameterError, match=r"protect_anomaly_detector=False\) of River .* never does"):
            RiverAdapter(given)


@pytest.mark.parametrize(
    "model",
    [
        anomaly.GaussianScorer(),
        anomaly.ThresholdFilter(anomaly.GaussianScorer(), threshold=0.9),
        linear_model.LinearRegression(),
        preprocessing.StandardScaler() | linear_model.LinearRegression(),
        None,
    ],
)
def test_what_is_no_unsupervised_detector_is_refused(model: Any) -> None:
    with pytest.raises(ParameterError, match="expected a river"):
        RiverAdapter(model)


class Broken(base.AnomalyDetector):
    def learn_one(self, x: dict[Any, Any]) -> None:
        pass

    def score_one(self, x: dict[Any, Any]) -> float:
        return float("nan") if x.get(0, 0.0) == 1.0 else 0.5


def test_a_score_that_is_no_number_is_an_error() -> None:
    adapter = RiverAdapter(Broken(), warmup_rows=10)
    adapter.learn_batch(rows_of(20))
    assert adapter.score_batch(rows_of(5)).tolist() == [0.5] * 5
    with pytest.raises(ModelError, match="expected a finite score from Broken, got nan") as refused:
        adapter.score_batch([[1e9, 0.0, 0.0]])
    assert refused.value.code == "score_not_finite"


def test_there_is_no_snapshot_without_the_key() -> None:
    adapter = RiverAdapter(trees())
    with pytest.raises(StateError, match="expected a snapshot key, got none"):
        adapter.dumps()
    data = RiverAdapter(trees(), snapshot_key=KEY).dumps()
    with pytest.raises(StateError, match="expected a snapshot key, got none"):
        RiverAdapter.loads(data)
    with pytest.raises(StateError, match="signed with this key"):
        RiverAdapter.loads(data, SnapshotKey(b"another secret of 16"))
    assert "0123456789" not in repr(adapter) + repr(KEY)
    with pytest.raises(ParameterError, match="at least 16 bytes, got 3"):
        SnapshotKey(b"abc")


class Bomb:
    """Tells when it is unpickled."""

    burst = False

    def __reduce__(self) -> Any:
        return (setattr, (Bomb, "burst", True))


def test_nothing_is_unpickled_that_was_not_signed() -> None:
    adapter = RiverAdapter(trees(), snapshot_key=KEY)
    adapter.learn_batch(rows_of(150))
    signed = state.loads("river_adapter", adapter.dumps())
    body = state.loads("river_adapter", signed["body"])
    altered = state.dumps("river_adapter", {**body, "models": pickle.dumps(Bomb())})
    forged = [
        {**signed, "body": altered},
        {"body": altered, "signature": SnapshotKey(b"another secret of 16").sign(altered)},
        {"body": altered, "signature": b""},
        {"body": altered},
        body,
    ]
    for fields in forged:
        with pytest.raises(StateError, match="signed with this key"):
            RiverAdapter.loads(state.dumps("river_adapter", fields), KEY)
    assert not Bomb.burst
    again = RiverAdapter.loads(state.dumps("river_adapter", signed), KEY)
    assert again.score_batch(rows_of(9)).tolist() == adapter.score_batch(rows_of(9)).tolist()


def test_snapshots_of_another_river_are_refused() -> None:
    body = state.loads(
        "river_adapter", state.loads("river_adapter", RiverAdapter(trees(), snapshot_key=KEY).dumps())["body"]
    )
    other = state.dumps("river_adapter", {**body, "river": "0.1.0"})
    data = state.dumps("river_adapter", {"body": other, "signature": KEY.sign(other)})
    with pytest.raises(StateError, match=r"written by River 0\.1\.0"):
        RiverAdapter.loads(data, KEY)


def test_size_is_capped_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = RiverAdapter(trees(), snapshot_key=KEY)
    data = adapter.dumps()
    with pytest.raises(StateError, match=f"expected up to {MAX_STATE_BYTES} bytes"):
        RiverAdapter.loads(data + bytes(MAX_STATE_BYTES + 4_096), KEY)
    monkeypatch.setattr("anomalyai.detectors.river_adapter.MAX_STATE_BYTES", 100)
    with pytest.raises(StateError, match="Take a model that forgets"):
        adapter.dumps()
