"""Checks that any detector must pass, each a function whose failure reads as a sentence.

`check_detector(detector)` runs them all on an instance, which stands for its class and parameters: what it
has learnt is of no account, since every check works on clones. They are for detectors of one's own as well
as for ours, which a test runs through all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from anomalyai.base import Detector
from anomalyai.errors import ModelError

__all__ = ["CHECKS", "CheckFailed", "check_detector"]

WIDTH = 3
"""Columns offered to detectors that take any number."""

REFERENCE_ROWS, MOST_BLOCKS = 600, 20
"""Rows of the reference, and how many times as many more a detector may take until it is warm."""

GROWTH_BYTES = 4_096
"""What a state may still grow by when it learns ten times as much again."""

Rows = NDArray[np.float64]


class CheckFailed(AssertionError):
    """A detector does not keep a promise of the contract; the message says which and how."""


def check_scoring_is_pure(detector: Detector) -> None:
    """Check that scoring changes neither the detector, nor its next scores, nor the rows it was given."""
    trained = _trained(detector)
    rows = _rows(detector, 40, seed=1)
    offered = rows.copy()
    before = trained.dumps()
    first = trained.score_batch(offered)
    again = trained.score_batch(offered)
    _require(_same(first, again), detector, "scores the same rows differently the second time")
    _require(trained.dumps() == before, detector, "has another state after scoring")
    _require(_same(offered, rows), detector, "changes the rows that it scores")


def check_same_seed_gives_same_scores(detector: Detector) -> None:
    """Check that two clones that learn the same rows score the same to the last bit."""
    rows = _rows(detector, 40, seed=1)
    first, second = (_trained(detector).score_batch(rows) for _ in range(2))
    _require(_same(first, second), detector, "scores differently when trained twice with the same seed")


def check_parameters_are_stored_unchanged(detector: Detector) -> None:
    """Check that `__init__` stores each parameter as it is given, and that learning leaves them alone."""
    given = detector.parameters()
    again = detector.clone()
    for name, value in again.parameters().items():
        _require(value is given[name], detector, f"stores another object as its parameter {name}")
    before = repr(again)
    _ready(again, _rows(detector))
    _require(repr(again) == before, detector, "changes its parameters while it learns")


def check_clone_is_unfitted_and_equal(detector: Detector) -> None:
    """Check that a clone has the parameters and has learnt nothing, and shares nothing."""
    trained = _trained(detector)
    clone = trained.clone()
    _require(type(clone) is type(detector), detector, "has clones of another class")
    _require(repr(clone) == repr(detector), detector, "has clones with other parameters")
    fresh = detector.clone().dumps()
    _require(clone.dumps() == fresh, detector, "has clones that know what it learnt")
    _ready(trained, _rows(detector, seed=2))
    _require(clone.dumps() == fresh, detector, "shares what it learns with its clones")


def check_snapshot_continues_bit_identically(detector: Detector) -> None:
    """Check that a detector comes back from its bytes as it was, and and goes on as it would have."""
    rows = _rows(detector, 60, seed=1)
    for original in (detector.clone(), _trained(detector)):
        data = original.dumps()
        again = original.restored(data)
        _require(repr(again) == repr(original), detector, "comes back from bytes with other parameters")
        _require(again.is_warm == original.is_warm, detector, "comes back from bytes with another warmth")
        if not original.is_warm and not original.incremental:
            continue
        first, second = original.score_learn_batch(rows), again.score_learn_batch(rows)
        _require(_same(first, second), detector, "scores differently after it came back from bytes")
        first, second = original.score_batch(rows), again.score_batch(rows)
        _require(_same(first, second), detector, "learns differently after it came back from bytes")


def check_missing_and_infinite_values_give_finite_scores(detector: Detector) -> None:
    """Check that no NaN, infinity or enormous number makes a score non-finite, learnt or only scored."""
    trained = _trained(detector)
    rows = _awkward(detector)
    _require(_finite(trained.score_batch(rows)), detector, "gives non-finite scores to awkward values")
    _require(
        _finite(trained.score_learn_batch(rows)), detector, "gives non-finite scores when it learns them"
    )
    _require(_finite(trained.score_batch(rows)), detector, "gives non-finite scores after it learnt them")
    reference = _rows(detector)
    reference[::7, 0] = np.nan
    reference[3, -1], reference[5, -1] = np.inf, -np.inf
    other = _ready(detector.clone(), reference)
    _require(_finite(other.score_batch(rows)), detector, "gives non-finite scores when trained on them")


def check_no_cut_into_batches_changes_a_score(detector: Detector) -> None:
    """Check that rows get the same bits one by one, in sevens and all at once, awkward values or not."""
    rows = np.concatenate([_rows(detector, 95, seed=1), _awkward(detector)])
    trained = _trained(detector)
    if not trained.counts_rows:
        whole = trained.score_batch(rows)
        for cuts in _cuts(len(rows)):
            parts = [trained.score_batch(rows[start:stop]) for start, stop in pairwise(cuts)]
            _require(_same(np.concatenate(parts), whole), detector, "scores by how rows are cut into batches")
        one = [trained.score_one(row) for row in rows]
        _require(_same(np.array(one), whole), detector, "scores one row differently alone")
    expected = _trained(detector)
    whole = expected.score_learn_batch(rows)
    for cuts in _cuts(len(rows)):
        cut = _trained(detector)
        parts = [cut.score_learn_batch(rows[start:stop]) for start, stop in pairwise(cuts)]
        _require(
            _same(np.concatenate(parts), whole),
            detector,
            "scores and learns by how rows are cut into batches",
        )
        same = _same(cut.score_batch(rows), expected.score_batch(rows))
        _require(same, detector, "knows something else after the same rows in other batches")
        taught = _trained(detector)
        for start, stop in pairwise(cuts):
            taught.learn_batch(rows[start:stop])
        same = _same(taught.score_batch(rows), expected.score_batch(rows))
        _require(same, detector, "learns something else by how rows are cut into batches")


def check_scores_are_finite_floats(detector: Detector) -> None:
    """Check that scores are float64 [n] and finite, and that one row's is a float."""
    trained = _trained(detector)
    rows = _rows(detector, 20, seed=1)
    scores = trained.score_batch(rows)
    right = isinstance(scores, np.ndarray) and scores.dtype == np.float64 and scores.shape == (20,)
    _require(right, detector, "does not return float64 [n] as scores")
    _require(_finite(scores), detector, "gives non-finite scores to ordinary rows")
    _require(type(trained.score_one(rows[0])) is float, detector, "does not return a float for one row")


def check_high_is_anomalous(detector: Detector) -> None:
    """Check that a gross outlier scores above 95% of ordinary rows; not asked of what is `blind`."""
    if detector.blind:
        return
    trained = _trained(detector)
    _require(trained.is_warm, detector, f"is not warm after {(1 + MOST_BLOCKS) * REFERENCE_ROWS} rows")
    usual = trained.score_batch(_rows(detector, 200, seed=1))
    odd = trained.score_one(np.full(_width(detector), 1e3))
    _require(odd > np.quantile(usual, 0.95), detector, "does not score a gross outlier high")


def check_learning_is_as_declared(detector: Detector) -> None:
    """Check that what is incremental learns, and that what is not stays as it is and says when untrained."""
    rows = _rows(detector, seed=2)
    if not detector.incremental:
        fresh = detector.clone()
        if not fresh.is_warm:
            for verb in (fresh.score_batch, fresh.learn_batch):
                text = _refusal(verb, rows, ModelError)
                _require("fit" in text, detector, "does not say that it must be trained first")
        trained = _trained(detector)
        before = trained.dumps()
        trained.learn_batch(rows)
        _require(trained.dumps() == before, detector, "learns although it is declared not to")
        return
    fresh = detector.clone()
    before = fresh.dumps()
    fresh.learn_batch(rows)
    _require(fresh.dumps() != before, detector, "is declared incremental and learns nothing")


def check_memory_is_bounded(detector: Detector) -> None:
    """Check that ten times as much learnt makes the state larger by `GROWTH_BYTES` at most."""
    trained = _trained(detector)
    before = len(trained.dumps())
    for part in range(10):
        trained.learn_batch(_rows(detector, seed=10 + part))
    growth = len(trained.dumps()) - before
    _require(growth <= GROWTH_BYTES, detector, f"grows without bound: {growth} bytes more")


def check_wrong_width_is_refused(detector: Detector) -> None:
    """Check that rows of another width, and no table at all, are refused with what was expected."""
    trained = _trained(detector)
    before = trained.dumps()
    wrong: list[Rows] = [np.zeros(_width(detector))]
    if trained.width is not None:
        wrong += [np.zeros((2, trained.width + 1)), np.zeros((2, trained.width - 1))]
    for rows in wrong:
        for verb in (trained.score_batch, trained.learn_batch):
            text = _refusal(verb, rows, ValueError)
            _require("expected" in text, detector, f"does not say which rows it expects, of {rows.shape}")
    _require(trained.dumps() == before, detector, "learns from rows that it refuses")


def check_an_empty_batch_is_nothing(detector: Detector) -> None:
    """Check that no rows give no scores and teach nothing."""
    trained = _trained(detector)
    before = trained.dumps()
    empty = np.empty((0, _width(detector)))
    for scores in (trained.score_batch(empty), trained.score_learn_batch(empty)):
        _require(scores.shape == (0,), detector, "gives scores to an empty batch")
    trained.learn_batch(empty)
    _require(trained.dumps() == before, detector, "learns from an empty batch")


Check = Callable[[Detector], None]

CHECKS: tuple[Check, ...] = (
    check_scoring_is_pure,
    check_same_seed_gives_same_scores,
    check_parameters_are_stored_unchanged,
    check_clone_is_unfitted_and_equal,
    check_snapshot_continues_bit_identically,
    check_missing_and_infinite_values_give_finite_scores,
    check_no_cut_into_batches_changes_a_score,
    check_scores_are_finite_floats,
    check_high_is_anomalous,
    check_learning_is_as_declared,
    check_memory_is_bounded,
    check_wrong_width_is_refused,
    check_an_empty_batch_is_nothing,
)
"""All checks, in the order in which `check_detector` runs them."""


def check_detector(detector: Detector) -> None:
    """Run every check on a detector.

    Raises
    ------
    CheckFailed
        A promise is not kept: the first one found.
    """
    for check in CHECKS:
        check(detector)


def _require(kept: bool | np.bool_, detector: Detector, fault: str) -> None:
    if not kept:
        raise CheckFailed(f"{detector!r} {fault}")


def _refusal(verb: Callable[[Rows], object], rows: Rows, error: type[Exception]) -> str:
    """Return the text of the error that a verb raises on these rows, "" where it raises none."""
    try:
        verb(rows)
    except error as refused:
        return str(refused)
    return ""


def _width(detector: Detector) -> int:
    width = detector.width
    return WIDTH if width is None else width


def _rows(detector: Detector, n: int = REFERENCE_ROWS, seed: int = 0) -> Rows:
    """Return ordinary rows, correlated, well inside [0, 1]."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0, 0.04, (n, 1))
    rows: Rows = np.clip(0.5 + common + rng.normal(0.0, 0.05, (n, _width(detector))), 0.05, 0.95)
    return rows


def _awkward(detector: Detector) -> Rows:
    """Return rows that lack values, or whose values are infinite or enormous."""
    rows = _rows(detector, 16, seed=3)
    for place, value in enumerate((np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300)):
        rows[2 * place, place % rows.shape[1]] = value
        rows[2 * place + 1] = value
    return rows


def _ready(detector: Detector, rows: Rows) -> Detector:
    return detector.fit(rows)


def _trained(detector: Detector) -> Detector:
    """Return a clone that took the reference, and where it learns on, more of it until it is warm."""
    trained = _ready(detector.clone(), _rows(detector))
    for block in range(MOST_BLOCKS):
        if trained.is_warm or not trained.incremental:
            break
        trained.learn_batch(_rows(detector, seed=100 + block))
    return trained


def _cuts(n: int) -> Iterator[Sequence[int]]:
    for step in (1, 7, n):
        yield [*range(0, n, step), n]


def _same(a: Rows, b: Rows) -> bool:
    """Return whether two arrays are equal to the last bit."""
    return a.shape == b.shape and a.tobytes() == b.tobytes()


def _finite(scores: Rows) -> bool:
    return bool(np.isfinite(scores).all())
