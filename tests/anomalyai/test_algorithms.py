"""The batch algorithms as a feed's model: trained, heard by the ensemble, stored, and run end to end."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from anomalyai.detectors.isolation_forest import FOREST_NATS, IsolationForestModel
from anomalyai.ensemble import MEMBERS, Ensemble
from anomalyai.errors import ModelError, ParameterError
from anomalyai.features import Column
from anomalyai.model_store import ModelStore
from anomalyai.pipeline import Pipeline
from anomalyai.training import ALGORITHMS, TrainedModel, TrainingSet, train
from tests.anomalyai.streams import SCHEMA, batch_of, purchases, run, scores

COLUMNS = ("value(a)", "value(b)", "value(c)")


def training_set(rows: int = 500, seed: int = 3) -> TrainingSet:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(rows, 3)) * [1.0, 1e3, 1e-4]
    features[::20, 1] = np.nan
    return TrainingSet(features=features, columns=COLUMNS, last_seq=rows, seed=seed)


PROBES = np.array([[0.0, 0.0, 0.0], [0.5, 300.0, np.nan], [9.0, 9e3, 9e-4], [np.inf, -np.inf, 1e300]])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_trains_a_model_that_speaks_in_nats(algorithm: str) -> None:
    found = training_set()
    model = train(found, algorithm)
    assert model.algorithm == algorithm
    assert (model.columns, model.last_seq) == (COLUMNS, 500)
    assert type(model.detector.estimator).__module__.startswith("sklearn.")
    usual, missing, far, farthest = model.voice_batch(PROBES)
    assert far > usual + 0.3
    assert far > missing
    assert farthest >= far
    voices = model.voice_batch(found.features)
    assert np.isfinite(voices).all()
    assert 0.05 < np.std(voices) < 3.0
    order = np.argsort(model.score_batch(found.features))
    assert (np.diff(voices[order]) >= 0.0).all()


def test_the_voice_of_the_forest_is_its_path_length_in_nats_to_the_last_bit() -> None:
    found = training_set()
    model = train(found)
    assert isinstance(model.detector, IsolationForestModel)
    same = IsolationForestModel.fit(found.features, seed=3)
    expected = 10.244770920116851 * np.log(same.score_batch(found.features))
    assert model.voice_batch(found.features).tobytes() == expected.tobytes()
    assert FOREST_NATS == 10.244770920116851


@pytest.mark.parametrize(
    ("algorithm", "parameters", "attribute", "value"),
    [
        ("isolation_forest", {"n_trees": 7}, "n_estimators", 7),
        ("kmeans", {"n_clusters": 2}, "n_clusters", 2),
        ("dbscan", {"eps": 0.75}, "eps", 0.75),
        ("one_class_svm", {"nu": 0.25}, "nu", 0.25),
    ],
)
def test_parameters_reach_the_estimator(
    algorithm: str, parameters: dict[str, Any], attribute: str, value: float
) -> None:
    assert getattr(train(training_set(), algorithm, **parameters).detector.estimator, attribute) == value


@pytest.mark.parametrize("algorithm", ["isolation_forest", "kmeans"])
def test_the_seed_is_the_training_sets_unless_given(algorithm: str) -> None:
    rows = training_set().features
    own, same = train(training_set(seed=5), algorithm), train(training_set(seed=6), algorithm, seed=5)
    assert np.array_equal(own.score_batch(rows), same.score_batch(rows))
    other = train(training_set(seed=6), algorithm)
    assert not np.array_equal(own.score_batch(rows), other.score_batch(rows))


def test_what_cannot_be_trained_is_said() -> None:
    with pytest.raises(ParameterError, match=r'expected algorithm as one of isolation_forest, .* got "lof"'):
        train(training_set(), "lof")
    with pytest.raises(
        ParameterError, match=r'unknown parameter "n_trees" of kmeans\. Known ones: n_clusters'
    ):
        train(training_set(), "kmeans", n_trees=3)
    with pytest.raises(ParameterError, match=r"expected nu as a number above 0\.0 and up to 1\.0, got 0"):
        train(training_set(), "one_class_svm", nu=0)
    with pytest.raises(ModelError, match="at least 50"):
        train(training_set(10), "dbscan")
    with pytest.raises(ModelError, match="Raise eps") as refused:
        train(training_set(), "dbscan", eps=1e-9)
    assert refused.value.code == "no_core_sample"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_stored_model_comes_back_as_it_was(algorithm: str, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    found = training_set()
    model = train(found, algorithm)
    manifest = store.save("pay", model)
    assert manifest.id.startswith(f"pay-{algorithm}-")
    assert manifest.algorithm == algorithm
    assert store.save("pay", train(found, algorithm)).id == manifest.id
    again = store.load(manifest.id)
    assert again.algorithm == algorithm
    assert (again.columns, again.last_seq) == (COLUMNS, 500)
    assert repr(again.detector.estimator) == repr(model.detector.estimator)
    for rows in (found.features, PROBES):
        assert again.score_batch(rows).tobytes() == model.score_batch(rows).tobytes()
        assert again.voice_batch(rows).tobytes() == model.voice_batch(rows).tobytes()


def test_an_altered_or_mistaken_model_is_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    kmeans = store.save("pay", train(training_set(), "kmeans"))
    forest = store.save("pay", train(training_set()))
    path = tmp_path / f"{kmeans.id}.joblib"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="not the one its manifest names"):
        store.load(kmeans.id)
    for algorithm, code in (("lof", "model_algorithm"), ("kmeans", "model_altered")):
        mistaken = msgspec.structs.replace(forest, algorithm=algorithm)
        (tmp_path / f"{forest.id}.json").write_bytes(msgspec.json.encode(mistaken))
        with pytest.raises(ModelError) as refused:
            store.load(forest.id)
        assert refused.value.code == code


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_ensemble_hears_any_of_them(algorithm: str) -> None:
    rng = np.random.default_rng(0)
    columns = (Column("x", "value"), Column("y", "value"), Column("k", "rarity"))
    clean = np.column_stack([rng.normal(size=(1_000, 2)), rng.choice([0.1, 2.5], 1_000, p=[0.9, 0.1])])
    ensemble = Ensemble(columns)
    ensemble.rescale(clean)
    model = train(TrainingSet(clean, tuple(c.name for c in columns), 1_000), algorithm)
    ensemble.swap(model, clean)
    probes = np.array([[0.0, 0.0, 0.1], [7.0, -7.0, 0.1]])
    voices = ensemble.hear(probes).voices[:, MEMBERS.index("forest")]
    assert voices.tobytes() == model.voice_batch(probes).tobytes()
    heard = ensemble.combine(ensemble.hear(probes).voices)
    silent = ensemble.hear(probes).voices
    silent[:, MEMBERS.index("forest")] = np.nan
    assert 0.5 < heard[1] - ensemble.combine(silent)[1] < 10.0


BATCH = batch_of(purchases(3_000))


def pipeline_with(algorithm: str) -> Pipeline:
    """Return a pipeline that trains the algorithm in place."""
    return Pipeline(SCHEMA, trainer=partial(train, algorithm=algorithm))


@cache
def whole(algorithm: str) -> tuple[np.ndarray[Any, Any], bytes]:
    """Return scores and state after the whole feed in one batch."""
    pipeline = pipeline_with(algorithm)
    return scores(run(pipeline, BATCH)), pipeline.dumps()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_pipeline_runs_any_of_them_in_any_batches(algorithm: str) -> None:
    expected, state = whole(algorithm)
    pipeline = pipeline_with(algorithm)
    cuts = [*range(0, 2_300, 230), *range(2_300, 2_400), *range(2_400, 3_000, 7)]
    assert scores(run(pipeline, BATCH, cuts)).tobytes() == expected.tobytes()
    assert pipeline.dumps() == state
    assert pipeline.status()["model"] is not None
    if algorithm != "isolation_forest":
        assert not np.array_equal(expected[2_500:], whole("isolation_forest")[0][2_500:])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_pipeline_goes_on_from_its_bytes_and_the_stored_model(algorithm: str, tmp_path: Path) -> None:
    expected, state = whole(algorithm)
    trained: list[TrainedModel] = []

    def keep(found: TrainingSet) -> TrainedModel:
        trained.append(train(found, algorithm))
        return trained[0]

    first = Pipeline(SCHEMA, trainer=keep)
    run(first, BATCH.slice(0, 2_600))
    store = ModelStore(tmp_path)
    stored = store.load(store.save("pay", trained[0]).id)
    model_id = first.model_id
    assert model_id is not None
    again = Pipeline.loads(first.dumps(), {model_id: stored})
    rest = scores(run(again, BATCH.slice(2_600, 3_000), range(0, 400, 13)))
    assert rest.tobytes() == expected[2_600:].tobytes()
    assert again.dumps() == state
