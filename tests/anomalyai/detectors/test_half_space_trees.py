"""Half-space trees: River's scores to the last bit, on any cut of the stream, from any saved state."""

import itertools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from river.anomaly import HalfSpaceTrees as RiverHalfSpaceTrees

from anomalyai import state
from anomalyai.detectors.half_space_trees import KIND, HalfSpaceTrees
from anomalyai.errors import StateError

Rows = NDArray[np.float64]


def awkward_rows(n: int, n_features: int, seed: int, missing: float = 0.004) -> Rows:
    """Return rows around [0, 1] with missing (NaN), infinite, far and repeated values; row 0 is complete."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0.5, 0.3, (n, n_features))
    rows[rng.random(n) < 0.3] = 0.25  # a dense cell, so that walks go deep
    for value, share in ((np.inf, 0.003), (-np.inf, 0.003), (1e300, 0.001), (np.nan, missing)):
        rows[rng.random(rows.shape) < share] = value
    rows[0] = 0.5
    return rows


def record(row: Rows) -> dict[int, float]:
    """Return the row as River takes it: without what is missing."""
    return {j: value for j, value in enumerate(row.tolist()) if value == value}


def score_learn_river(model: RiverHalfSpaceTrees, rows: Rows, learn: NDArray[np.bool_] | None = None) -> Rows:
    scores = np.empty(len(rows))
    for i, row in enumerate(rows):
        x = record(row)
        scores[i] = model.score_one(x)  # type: ignore[no-untyped-call]
        if learn is None or learn[i]:
            model.learn_one(x)  # type: ignore[no-untyped-call]
    return scores


def test_equals_river_over_20000_records() -> None:
    rows = awkward_rows(20_000, 10, seed=1)
    assert np.isnan(rows).any(axis=1).sum() > 500
    ours = HalfSpaceTrees(10, seed=7).score_learn_batch(rows)
    theirs = score_learn_river(RiverHalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=7), rows)
    assert np.abs(ours - theirs).max() == 0.0
    assert len(np.unique(theirs)) > 1_000


@pytest.mark.parametrize(
    ("n_trees", "height", "window_size", "n_features", "limits", "seed"),
    [
        (1, 1, 1, 1, (0.0, 1.0), 0),
        (3, 4, 7, 2, (-1.0, 2.0), 1),
        (10, 8, 100, 5, (0.0, 1.0), 42),
        (5, 6, 256, 3, ((0.0, 1.0), (0.25, 0.25), (-5.0, 5.0)), 3),
        (4, 12, 1_000, 4, (0.0, 1.0), -9),
        (7, 5, 999, 40, (0.1, 0.7), 2**70),
    ],
)
@pytest.mark.parametrize("missing", [0.0, 0.004, 0.4])
def test_equals_river_with_other_parameters(
    n_trees: int, height: int, window_size: int, n_features: int, limits: Any, seed: int, missing: float
) -> None:
    rows = awkward_rows(2_500, n_features, seed=5, missing=missing)
    pairs = limits if isinstance(limits[0], tuple) else (limits,) * n_features
    theirs = RiverHalfSpaceTrees(
        n_trees=n_trees, height=height, window_size=window_size, limits=dict(enumerate(pairs)), seed=seed
    )
    ours = HalfSpaceTrees(n_features, n_trees, height, window_size, limits, seed)
    assert np.abs(ours.score_learn_batch(rows) - score_learn_river(theirs, rows)).max() == 0.0


def test_a_nan_that_river_finds_present_is_plus_infinity_here() -> None:
    rows = awkward_rows(1_500, 3, seed=2, missing=0.05)
    model = RiverHalfSpaceTrees(n_trees=5, height=6, window_size=100, seed=4)
    theirs = np.empty(len(rows))
    for i, row in enumerate(rows):
        present = dict(enumerate(row.tolist()))
        theirs[i] = model.score_one(present)  # type: ignore[no-untyped-call]
        model.learn_one(present)  # type: ignore[no-untyped-call]
    ours = HalfSpaceTrees(3, 5, 6, 100, seed=4)
    assert (ours.score_learn_batch(np.where(np.isnan(rows), np.inf, rows)) == theirs).all()


def test_values_at_a_threshold_go_where_river_sends_them() -> None:
    ours = HalfSpaceTrees(2, 5, 6, 50, seed=3)
    cuts = ours.shapes.thresholds[ours.shapes.thresholds > 0.0]
    rows = np.random.default_rng(1).choice(cuts, (1_000, 2))
    theirs = RiverHalfSpaceTrees(n_trees=5, height=6, window_size=50, seed=3)
    assert (ours.score_learn_batch(rows) == score_learn_river(theirs, rows)).all()


def test_rows_masked_out_are_scored_and_not_learnt() -> None:
    rows = awkward_rows(2_000, 4, seed=3)
    learn = np.random.default_rng(3).random(len(rows)) < 0.7
    learn[0] = True
    theirs = score_learn_river(RiverHalfSpaceTrees(n_trees=6, height=5, window_size=64, seed=1), rows, learn)
    ours = HalfSpaceTrees(4, 6, 5, 64, seed=1)
    assert (ours.score_learn_batch(rows, learn) == theirs).all()
    assert ours.rows_to_pivot == 64 - learn.sum() % 64


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_no_cut_of_the_stream_changes_scores_or_state(data: st.DataObject) -> None:
    rows = awkward_rows(700, 3, seed=data.draw(st.integers(0, 99)), missing=0.05)
    learn = np.random.default_rng(0).random(len(rows)) < data.draw(st.sampled_from([0.5, 1.0]))
    window_size = data.draw(st.sampled_from([1, 5, 50, 300]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=12)))
    whole = HalfSpaceTrees(3, 4, 5, window_size, seed=8)
    pieces = HalfSpaceTrees(3, 4, 5, window_size, seed=8)
    scores = whole.score_learn_batch(rows, learn)
    parts = []
    for start, stop in itertools.pairwise([0, *cuts, len(rows)]):
        parts.append(pieces.score_learn_batch(rows[start:stop], learn[start:stop]))
        if data.draw(st.booleans()):
            pieces = HalfSpaceTrees.loads(pieces.dumps())
    assert (np.concatenate(parts) == scores).all()
    assert pieces.dumps() == whole.dumps()


def test_scoring_changes_nothing_and_learning_apart_equals_both_at_once() -> None:
    rows = awkward_rows(1_000, 3, seed=6)
    both, apart = HalfSpaceTrees(3, seed=2), HalfSpaceTrees(3, seed=2)
    both.score_learn_batch(rows)
    apart.learn_batch(rows)
    before = apart.dumps()
    first = apart.score_batch(rows)
    assert (apart.score_batch(rows) == first).all()
    assert apart.dumps() == before == both.dumps()
    assert (first[:1] == apart.score_batch(rows[:1])).all()


def test_is_cold_for_exactly_one_window() -> None:
    rows = awkward_rows(250, 2, seed=7)
    detector = HalfSpaceTrees(2, window_size=250)
    assert (detector.score_learn_batch(rows[:249]) == 0.0).all()
    assert not detector.is_warm
    assert detector.rows_to_pivot == 1
    assert detector.score_learn_batch(rows[249:]).tolist() == [0.0]
    assert detector.is_warm
    assert detector.rows_to_pivot == 250
    assert (detector.score_batch(rows) > 0.0).all()


def test_high_is_anomalous() -> None:
    rng = np.random.default_rng(0)
    detector = HalfSpaceTrees(5)
    detector.learn_batch(rng.normal(0.5, 0.02, (500, 5)))
    usual, odd = detector.score_batch([[0.5] * 5, [0.95, 0.05, 0.9, 0.1, 0.99]])
    assert odd > usual


def test_goes_on_from_a_river_model_and_back() -> None:
    rows = awkward_rows(1_700, 4, seed=9)
    theirs = RiverHalfSpaceTrees(n_trees=6, height=5, window_size=300, limits={2: (-2.0, 2.0)}, seed=11)
    score_learn_river(theirs, rows[:800])
    ours = HalfSpaceTrees.from_river(theirs, range(4))
    assert ours.limits == ((0.0, 1.0), (0.0, 1.0), (-2.0, 2.0), (0.0, 1.0))
    assert (ours.score_learn_batch(rows[800:1_200]) == score_learn_river(theirs, rows[800:1_200])).all()
    back = ours.to_river()
    assert (score_learn_river(back, rows[1_200:]) == score_learn_river(theirs, rows[1_200:])).all()
    assert (
        HalfSpaceTrees.from_river(back, range(4)).dumps()
        == HalfSpaceTrees.from_river(theirs, range(4)).dumps()
    )


@pytest.mark.parametrize("n_learnt", [0, 10, 40])
def test_goes_to_river_before_and_after_the_first_window(n_learnt: int) -> None:
    rows = awkward_rows(200, 2, seed=10)
    ours = HalfSpaceTrees(2, 3, 4, 40, seed=5)
    ours.learn_batch(rows[:n_learnt])
    theirs = ours.to_river()
    assert (score_learn_river(theirs, rows[n_learnt:]) == ours.score_learn_batch(rows[n_learnt:])).all()


def test_takes_over_a_river_model_that_has_seen_nothing() -> None:
    theirs = RiverHalfSpaceTrees(n_trees=3, height=4, window_size=40, seed=5)
    assert (
        HalfSpaceTrees.from_river(theirs, range(2)).dumps()
        == HalfSpaceTrees(2, 3, 4, 40, ((0.0, 1.0), (0.0, 1.0)), 5).dumps()
    )


def test_refuses_river_models_whose_trees_it_cannot_rebuild() -> None:
    unseeded = RiverHalfSpaceTrees(seed=None)
    with pytest.raises(ValueError, match="integer seed"):
        HalfSpaceTrees.from_river(unseeded, ["a"])
    narrow = RiverHalfSpaceTrees(seed=1)
    narrow.learn_one({"a": 0.5})  # type: ignore[no-untyped-call]
    with pytest.raises(ValueError, match="must have had all of them"):
        HalfSpaceTrees.from_river(narrow, ["a", "b"])
    with pytest.raises(ValueError, match="sorted"):
        HalfSpaceTrees(2).to_river(["b", "a"])


def test_named_features_go_to_river_in_sorted_order() -> None:
    rows = np.random.default_rng(1).random((300, 2))
    ours = HalfSpaceTrees(2, 3, 4, 50, seed=6)
    ours.learn_batch(rows)
    theirs = ours.to_river(["amount", "hour"])
    for (amount, hour), score in zip(rows.tolist(), ours.score_batch(rows), strict=True):
        assert theirs.score_one({"hour": hour, "amount": amount}) == score  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("window_size", "mass_bytes"), [(250, 1), (255, 1), (256, 2), (1_000, 2), (70_000, 4)]
)
def test_the_state_is_as_small_as_stated(window_size: int, mass_bytes: int) -> None:
    detector = HalfSpaceTrees(100, window_size=window_size)
    detector.learn_batch(np.random.default_rng(0).random((600, 100)))
    overhead = len(detector.dumps()) - 2 * 25 * 256 * mass_bytes
    assert 0 < overhead < 300


def test_refuses_a_damaged_state() -> None:
    detector = HalfSpaceTrees(2, 3, 4, 40)
    detector.learn_batch(np.random.default_rng(0).random((50, 2)))
    good = state.loads(KIND, detector.dumps())
    shifted = good["current"].copy()
    shifted[0] += 1
    damages: list[dict[str, Any]] = [
        {"counter": 11},
        {"counter": 40},
        {"current": shifted},
        {"reference": shifted},
        {"current": good["current"][:-1]},
    ]
    for damage in damages:
        with pytest.raises(StateError, match="expected the masses of HalfSpaceTrees"):
            HalfSpaceTrees.loads(state.dumps(KIND, {**good, **damage}))
    for damage in ({"limits": None}, {"height": 99}, {"current": "x"}, {"n_trees": 2.5}, {"limits": [1.0]}):
        with pytest.raises(StateError, match="expected the whole state of a half_space_trees"):
            HalfSpaceTrees.loads(state.dumps(KIND, {**good, **damage}))
    with pytest.raises(StateError, match="does not fit: 'seed'"):
        HalfSpaceTrees.loads(state.dumps(KIND, {name: good[name] for name in good if name != "seed"}))
    with pytest.raises(StateError):
        HalfSpaceTrees.loads(b"\xc1")


def test_pickles_small_and_goes_on() -> None:
    rows = awkward_rows(700, 3, seed=13)
    detector = HalfSpaceTrees(3, window_size=200, seed=4)
    detector.learn_batch(rows[:300])
    data = pickle.dumps(detector)
    assert len(data) < len(detector.dumps()) + 200
    again = pickle.loads(data)
    assert (again.score_learn_batch(rows[300:]) == detector.score_learn_batch(rows[300:])).all()
    assert again.dumps() == detector.dumps()


def test_detectors_that_differ_in_window_share_their_trees() -> None:
    short, long = HalfSpaceTrees(3, window_size=250, seed=1), HalfSpaceTrees(3, window_size=1_000, seed=1)
    assert short.shapes is long.shapes
    with pytest.raises(ValueError, match="read-only"):
        short.shapes.thresholds[1] = 0.0


def test_takes_rows_in_any_memory_layout() -> None:
    rows = awkward_rows(400, 3, seed=12)
    expected = HalfSpaceTrees(3).score_learn_batch(rows)
    frozen = rows.copy()
    frozen.flags.writeable = False
    wide = np.repeat(rows, 2, axis=1)[:, ::2]
    for form in (np.asfortranarray(rows), frozen, wide, rows.tolist()):
        assert (HalfSpaceTrees(3).score_learn_batch(form) == expected).all()
    assert HalfSpaceTrees(3).score_learn_batch(np.empty((0, 3))).shape == (0,)


def test_says_what_rows_and_masks_it_expects() -> None:
    detector = HalfSpaceTrees(3)
    with pytest.raises(ValueError, match=r"expected rows \[n, 3\]"):
        detector.score_batch(np.zeros((2, 4)))
    with pytest.raises(ValueError, match=r"expected rows \[n, 3\]"):
        detector.learn_batch(np.zeros(3))
    with pytest.raises(ValueError, match=r"expected learn as bool \[2\]"):
        detector.learn_batch(np.zeros((2, 3)), np.ones(3, dtype=bool))
    with pytest.raises(ValueError, match=r"expected learn as bool \[2\]"):
        detector.learn_batch(np.zeros((2, 3)), np.ones(2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_features": 0},
        {"n_features": 65_537},
        {"n_trees": 0},
        {"height": 0},
        {"height": 16},
        {"window_size": 0},
        {"window_size": 2**32},
        {"window_size": 2**31, "height": 15, "n_trees": 10_000},
        {"limits": (1.0, 0.0)},
        {"limits": (0.0, np.inf)},
        {"limits": (0.5, 0.5)},
        {"limits": ((0.0, 1.0), (0.0, 1.0))},
    ],
)
def test_refuses_parameters_out_of_range(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        HalfSpaceTrees(**{"n_features": 3, **parameters})


def test_repr_names_the_parameters() -> None:
    assert repr(HalfSpaceTrees(2, seed=3)) == (
        "HalfSpaceTrees(n_features=2, n_trees=25, height=8, window_size=250, limits=(0.0, 1.0), seed=3)"
    )


def test_leaves_score_and_learn_as_the_rows_do() -> None:
    rng = np.random.default_rng(5)
    rows = rng.random((1_700, 4))
    by_rows, by_leaves = (HalfSpaceTrees(4, n_trees=7, height=5, window_size=150, seed=3) for _ in range(2))
    for start in range(0, 1_700, 170):
        part = rows[start : start + 170]
        leaves = by_leaves.leaves(part)
        assert leaves.shape == (7, 170)
        assert np.array_equal(by_leaves.score_leaves(leaves), by_rows.score_batch(part))
        learnt = rng.random(170) < 0.8
        by_rows.learn_batch(part, learnt)
        by_leaves.learn_leaves(leaves[:, learnt])
        assert by_leaves.dumps() == by_rows.dumps()
    assert by_leaves.is_warm


def test_a_row_that_lacks_a_feature_has_no_leaf_of_its_own() -> None:
    with pytest.raises(ValueError, match="missing"):
        HalfSpaceTrees(2).leaves([[0.5, np.nan]])
