"""The contract's own machinery: parameters from the signature, one row from many, bytes, one wording."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from anomalyai import state
from anomalyai.base import Detector, as_rows, reference_rows, stored_array
from anomalyai.constraint import Choice, Real, Whole, check_parameters
from anomalyai.errors import AnomalyAIError, ModelError, ParameterError, StateError


class Mean(Detector):
    """Scores by the distance of a row's first value to the mean of those learnt."""

    kind = "mean"
    constraints: ClassVar = {"weight": Real(0.0, 10.0, above=True), "sides": Whole(1, 2)}

    def __init__(self, weight: float = 1.0, sides: int = 2, tags: tuple[str, ...] = ()) -> None:
        self.weight = weight
        self.sides = sides
        self.tags = tags
        self._check_parameters()
        self.total, self.rows = 0.0, 0

    @property
    def width(self) -> int:
        return 2

    @property
    def is_warm(self) -> bool:
        return self.rows > 0

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        rows = as_rows(X, 2)
        return self.weight * np.abs(rows[:, 0] - self.total / max(self.rows, 1))

    def learn_batch(self, X: ArrayLike) -> None:
        for value in as_rows(X, 2)[:, 0].tolist():
            self.total += value
            self.rows += 1

    def _learnt(self) -> dict[str, Any]:
        return {"total": self.total, "rows": self.rows}

    def _take(self, fields: dict[str, Any]) -> None:
        self.total, self.rows = float(fields["total"]), int(fields["rows"])


class Nothing(Mean):
    """Is trained once, and not incremental."""

    kind = "nothing"
    incremental = False
    learn_batch = Detector.learn_batch

    def _learnt(self) -> dict[str, Any]:
        return {}

    _take = Detector._take


def test_the_signature_is_the_list_of_parameters() -> None:
    mean = Mean(2.5, tags=("a", "b"))
    assert mean.parameters() == {"weight": 2.5, "sides": 2, "tags": ("a", "b")}
    assert repr(mean) == "Mean(weight=2.5, sides=2, tags=('a', 'b'))"
    mean.learn_one([1.0, 0.0])
    clone = mean.clone()
    assert (repr(clone), clone.rows) == (repr(mean), 0)


def test_one_row_is_a_batch_of_one() -> None:
    mean = Mean()
    mean.learn_one([2.0, 9.0])
    assert mean.score_one([5.0, 0.0]) == 3.0
    assert mean.score_batch([[5.0, 0.0], [2.0, 0.0]]).tolist() == [3.0, 0.0]
    assert mean.fit([[4.0, 0.0]]) is mean
    assert mean.score_one([5.0, 0.0]) == 2.0


def test_scoring_comes_before_learning_row_by_row() -> None:
    mean = Mean()
    assert mean.score_learn_batch([[2.0, 0.0], [4.0, 0.0], [3.0, 0.0]]).tolist() == [2.0, 2.0, 0.0]
    assert mean.rows == 3


def test_what_is_not_incremental_stays_as_it_is() -> None:
    nothing = Nothing()
    with pytest.raises(ModelError, match=r"Nothing\(.*\) is not trained yet\. Call fit first"):
        nothing.learn_batch([[1.0, 0.0]])
    nothing.rows = 1
    nothing.learn_batch([[1.0, 0.0]])
    assert nothing.score_learn_batch([[1.0, 0.0], [3.0, 0.0]]).tolist() == [1.0, 3.0]
    assert nothing.total == 0.0


def test_an_incremental_class_that_does_not_say_how_it_learns_is_refused() -> None:
    with pytest.raises(TypeError, match="Forgetful is incremental: define learn_batch"):
        type("Forgetful", (Mean,), {"learn_batch": Detector.learn_batch})


def test_bytes_hold_parameters_and_what_was_learnt() -> None:
    mean = Mean(np.float64(2.5), tags=("a",))
    mean.learn_batch([[1.0, 0.0], [2.0, 0.0]])
    again = Mean.loads(mean.dumps())
    assert (again.parameters(), again.total, again.rows) == (
        {"weight": 2.5, "sides": 2, "tags": ("a",)},
        3.0,
        2,
    )
    assert again.dumps() == mean.dumps() == mean.restored(mean.dumps()).dumps()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"parameters": {}},
        {"parameters": {"width": 3}, "total": 0.0, "rows": 0},
        {"parameters": {"weight": -1.0}, "total": 0.0, "rows": 0},
        {"parameters": [], "total": 0.0, "rows": 0},
        {"parameters": {}, "total": "x", "rows": 0},
    ],
)
def test_bytes_that_do_not_fit_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(StateError, match="expected the whole state of a mean") as refused:
        Mean.loads(state.dumps("mean", fields))
    assert refused.value.code == "state_unreadable"


def test_bytes_of_what_learns_nothing_hold_nothing() -> None:
    assert Nothing.loads(Nothing(3.0).dumps()).weight == 3.0
    with pytest.raises(StateError, match="nothing is learnt, but there are total"):
        Nothing.loads(state.dumps("nothing", {"parameters": {}, "total": 1.0}))
    with pytest.raises(StateError, match="expected the state of a mean"):
        Mean.loads(Nothing().dumps())


def test_a_parameter_out_of_range_is_named_with_what_to_do() -> None:
    with pytest.raises(ParameterError) as refused:
        Mean(weight=0.0)
    assert str(refused.value) == (
        "expected weight as a number above 0.0 and up to 10.0, got 0.0. "
        "Give another weight, or leave it out for the default"
    )
    assert refused.value.field == "weight"
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, AnomalyAIError)


@pytest.mark.parametrize(
    ("constraint", "allowed", "refused"),
    [
        (Whole(1, 3), [1, 3, np.int64(2)], [0, 4, 2.0, True, None, "2", np.nan]),
        (Whole(1, 3, optional=True), [None, 1], [0]),
        (Real(0.0, 1.0), [0, 0.0, 1.0, np.float32(0.5)], [-0.1, 1.1, None, True, "0", np.nan, np.inf, 1j]),
        (Real(0.0, 1.0, above=True, below=True), [0.5], [0.0, 1.0]),
        (Real(0.0, optional=True), [None, 1e300], [np.inf]),
        (Choice(("a", "b")), ["a", "b"], ["c", None, 1, ["a"]]),
    ],
)
def test_constraints_allow_what_they_say(constraint: Any, allowed: list[Any], refused: list[Any]) -> None:
    for value in allowed:
        check_parameters({"x": value}, {"x": constraint})
    for value in refused:
        with pytest.raises(ParameterError, match="expected x as"):
            check_parameters({"x": value}, {"x": constraint})


def test_constraints_say_what_they_allow() -> None:
    assert str(Whole(1, 9, optional=True)) == "as a whole number from 1 to 9 or None"
    assert str(Real(0.0)) == "as a number from 0.0"
    assert str(Real(0.0, 1.0, below=True)) == "as a number from 0.0 and below 1.0"
    assert str(Choice(("a", "b"))) == "as one of 'a', 'b'"


def test_rows_come_in_one_layout_or_not_at_all() -> None:
    rows = np.arange(6.0).reshape(3, 2)
    assert as_rows(rows, 2) is rows
    for form in (np.asfortranarray(rows), rows.tolist(), rows.astype(np.float32)):
        assert as_rows(form, 2).flags.carray
        assert np.array_equal(as_rows(form), rows)
    with pytest.raises(
        ValueError, match=r"expected rows \[n, 3\] of numbers, got an array \[3, 2\]: give one"
    ):
        as_rows(rows, 3)
    with pytest.raises(ValueError, match=r"expected rows \[n, features\] of numbers, got an array \[2\]"):
        as_rows(rows[0])
    for empty in (np.empty((0, 3)), np.empty((3, 0))):
        with pytest.raises(ValueError, match="with n >= 1"):
            reference_rows(empty)


@pytest.mark.parametrize("array", [None, 1.0, np.zeros(3, dtype=np.int64), np.zeros(2), np.full(3, np.inf)])
def test_stored_arrays_are_looked_at(array: Any) -> None:
    assert len(stored_array({"x": np.zeros(3)}, "x", 3)) == 3
    with pytest.raises(ValueError, match=r"expected x as finite numbers \[3\]"):
        stored_array({"x": array}, "x", 3)
