"""Preprocessing: what scikit-learn would make of the rows, in any cut, and safe with any column."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
)

from anomalyai.errors import ModelError, ParameterError
from anomalyai.features import Column
from anomalyai.training import ALGORITHMS, Preprocessing, TrainingOptions
from anomalyai.training.artefact import packed, unpacked
from anomalyai.training.fit import train_prepared
from anomalyai.training.preprocessing import Preparation, fit_preparation, without_gaps

COLUMNS = (
    Column("a", "value"),
    Column("b", "value"),
    Column("c", "value"),
    Column("kind", "rarity"),
    Column("card", "presence"),
    Column("a", "deviation", "card"),
    Column("kind", "code"),
)
PLAIN = COLUMNS[:-1]


def rows(count: int = 400, seed: int = 0) -> NDArray[np.float64]:
    """Return feature rows with gaps; the kinds' codes are 40 numbers, small ones more often."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(count, len(COLUMNS))) * [1.0, 1e4, 1e-3, 1.0, 1.0, 3.0, 0.0] + [
        0,
        5e4,
        0,
        2,
        2,
        0,
        0,
    ]
    found[:, -1] = np.floor(40 * rng.random(count) ** 3)
    found[rng.random(found.shape) < 0.05] = np.nan
    return found


def prepared(algorithm: str, columns: Sequence[Column] = PLAIN, **options: Any) -> Preparation:
    made = fit_preparation(algorithm, Preprocessing(**options), columns, rows()[:, : len(columns)])
    assert made is not None
    return made


def test_the_defaults_leave_it_to_the_detector() -> None:
    for algorithm in ALGORITHMS:
        assert fit_preparation(algorithm, Preprocessing(), PLAIN, rows()[:, :-1]) is None


@pytest.mark.parametrize("missing", ["median", "constant", "indicator"])
@pytest.mark.parametrize("scaling", ["robust", "standard", "min_max", "none"])
def test_it_is_what_scikit_learn_makes_of_the_rows(missing: str, scaling: str) -> None:
    if (missing, scaling) == ("median", "robust"):
        pytest.skip("the default: done by the detector")
    seen = rows()[:, :-1]
    scalers = {
        "robust": RobustScaler(unit_variance=True),
        "standard": StandardScaler(),
        "min_max": MinMaxScaler(),
        "none": FunctionTransformer(),
    }
    imputer = (
        SimpleImputer(strategy="constant", fill_value=0.002)
        if missing == "constant"
        else SimpleImputer(strategy="median")
    )
    pipeline = make_pipeline(imputer, scalers[scaling]).fit(seen)
    fresh = rows(seed=1)[:, :-1]
    expected = pipeline.transform(fresh)
    if scaling == "robust" and missing == "indicator":  # quartiles of the values that are there
        expected = np.nan_to_num(scalers[scaling].fit(seen).transform(fresh))
    if missing == "indicator":
        expected = np.hstack([expected, MissingIndicator().fit(seen).transform(fresh)])
    made = prepared("kmeans", missing=missing, scaling=scaling, constant=0.002)
    assert made.scales
    got = made.apply(fresh)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=1e-4 if scaling == "robust" else 1e-9, atol=1e-9)


def test_one_hot_columns_are_those_of_scikit_learn() -> None:
    seen, fresh = rows(2_000), rows(2_000, seed=1)
    fresh[::7, -1] = 999.0  # never seen
    made = prepared("kmeans", COLUMNS, categories="one_hot")
    made = fit_preparation("kmeans", Preprocessing(categories="one_hot"), COLUMNS, seen)
    assert made is not None
    encoder = OneHotEncoder(max_categories=21, handle_unknown="infrequent_if_exist", sparse_output=False)
    expected = encoder.fit(seen[:, -1:]).transform(fresh[:, -1:])
    got = made.apply(fresh)
    assert [COLUMNS[place].name for place in made.places] == [c.name for c in PLAIN if c.aspect != "rarity"]
    np.testing.assert_array_equal(got[:, len(made.places) :], expected)
    assert expected.shape[1] == 21


def test_few_values_have_a_column_each_and_unseen_ones_none() -> None:
    seen = rows()
    seen[:, -1] = np.tile([3.0, 4.0], 200)
    made = fit_preparation("kmeans", Preprocessing(categories="one_hot", scaling="none"), COLUMNS, seen)
    assert made is not None
    probes = rows()[:3].copy()
    probes[:, -1] = [4.0, 5.0, np.nan]
    assert made.apply(probes)[:, -2:].tolist() == [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]


@pytest.mark.parametrize(
    ("missing", "scaling", "categories"),
    list(product(["median", "constant", "indicator"], ["standard", "none"], ["rarity", "one_hot"])),
)
def test_any_cut_gives_the_same_bits_and_so_do_its_bytes(missing: str, scaling: str, categories: str) -> None:
    made = prepared("kmeans", COLUMNS, missing=missing, scaling=scaling, categories=categories)
    again = Preparation.loads(made.dumps())
    fresh = rows(97, seed=2)
    whole = made.apply(fresh)
    for size in (1, 7, 50):
        parts = [again.apply(fresh[a : a + size]) for a in range(0, 97, size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()


@pytest.mark.parametrize("scaling", ["robust", "standard", "min_max", "none"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_constant_empty_and_infinite_columns_do_no_harm(algorithm: str, scaling: str) -> None:
    seen = rows()[:, :-1]
    seen[:, 0] = 5.0
    seen[:, 1] = np.nan
    seen[::50, 2] = np.inf
    options = TrainingOptions(
        algorithm=algorithm, preprocessing=Preprocessing(missing="indicator", scaling=scaling)
    )
    model = train_prepared(PLAIN, seen, options)
    probes = np.array([[5.0, np.nan, 0.0, 2.0, 2.0, 0.0], [-np.inf, 3.0, np.inf, np.nan, 9.0, -1e300]])
    usual, odd = model.score_batch(probes)
    assert np.isfinite([usual, odd]).all()
    assert odd > usual


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_prepared_model_is_kept_whole(algorithm: str) -> None:
    options = TrainingOptions(
        algorithm=algorithm, preprocessing=Preprocessing(scaling="min_max", categories="one_hot")
    )
    model = train_prepared(COLUMNS, rows(), options, last_seq=400)
    again = unpacked(algorithm, packed(model), model.columns, model.last_seq)
    fresh = rows(50, seed=5)
    assert again.score_batch(fresh).tobytes() == model.score_batch(fresh).tobytes()
    assert again.voice_batch(fresh).tobytes() == model.voice_batch(fresh).tobytes()


def test_what_scale_was_asked_for_is_not_undone() -> None:
    seen = rows()[:, :-1]
    options = TrainingOptions(algorithm="kmeans", preprocessing=Preprocessing(scaling="none"))
    model = train_prepared(PLAIN, seen, options)
    centres = model.detector.estimator.cluster_centers_
    assert np.ptp(centres[:, 1]) > 1e3  # in the column's own units


def test_a_default_forest_is_given_its_columns_as_they_are() -> None:
    model = train_prepared(COLUMNS, rows(), TrainingOptions())
    assert model.preparation is None
    assert model.columns == tuple(column.name for column in PLAIN)
    only = TrainingOptions(preprocessing=Preprocessing(features=("a",)))
    preparation = train_prepared(COLUMNS, rows(), only).preparation
    assert preparation is not None
    assert preparation.places.tolist() == [0]  # what is measured against the card needs the card too
    assert np.isnan(preparation.fill).all()


def test_records_that_lack_a_field_are_dropped_but_not_for_what_is_derived() -> None:
    seen = rows()[:, :-1]
    seen[:, 1] = np.nan  # a field that no record has says nothing
    kept = without_gaps(Preprocessing(missing="drop"), PLAIN, seen)
    assert np.array_equal(kept, ~np.isnan(seen[:, [0, 2, 3, 4]]).any(axis=1))
    seen[::2, 0] = np.nan
    seen[1::2, 2] = np.nan
    with pytest.raises(ModelError, match=r"each of 400 records lacks some value, .* most often"):
        without_gaps(Preprocessing(missing="drop"), PLAIN, seen)


@pytest.mark.parametrize(("features", "text"), [(("a", "z"), 'got "z"'), ((), "one field at least")])
def test_fields_that_are_not_there_are_named(features: tuple[str, ...], text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        prepared("kmeans", features=features)
