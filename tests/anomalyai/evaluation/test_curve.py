"""Curves: scikit-learn's points, thinned; recall, and false positives, never fall along them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_curve

from anomalyai.evaluation.curve import MAX_POINTS, precision_recall, roc


def data(seed: int, n: int = 3_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.05).astype(float)
    label[:2] = (0.0, 1.0)
    return np.round(rng.normal(size=n) + 1.5 * label, 2), label


@given(st.integers(0, 2**32 - 1), st.integers(2, 3_000))
def test_curves_are_bounded_and_rise(seed: int, n: int) -> None:
    score, label = data(seed, n)
    found = (precision_recall(score, label), roc(score, label))
    for curve in found:
        assert curve is not None
        assert len(curve.x) == len(curve.y) == len(curve.threshold) <= MAX_POINTS
        assert (np.diff(curve.x) >= 0.0).all()
        assert all(0.0 <= value <= 1.0 for value in (*curve.x, *curve.y))
        thresholds = [value for value in curve.threshold if value is not None]
        assert (np.diff(thresholds) < 0.0).all()
    assert found[1] is not None
    assert (np.diff(found[1].y) >= 0.0).all()
    assert (found[1].x[0], found[1].y[0], found[1].x[-1], found[1].y[-1]) == (0.0, 0.0, 1.0, 1.0)
    assert found[0] is not None
    assert found[0].x[-1] == 1.0
    assert found[0].y[-1] == pytest.approx(label.mean())


def test_every_point_kept_is_one_of_scikit_learns() -> None:
    score, label = data(1)
    precision, recall, threshold = precision_recall_curve(label, score)
    whole = {t: (r, p) for p, r, t in zip(precision[:-1], recall[:-1], threshold, strict=True)}
    curve = precision_recall(score, label)
    assert curve is not None
    assert len(curve.x) > 60
    for x, y, at in zip(curve.x, curve.y, curve.threshold, strict=True):
        assert (x, y) == whole[at]
    false, true, threshold = roc_curve(label, score)
    points = set(zip(false.tolist(), true.tolist(), strict=True))
    curve = roc(score, label)
    assert curve is not None
    assert set(zip(curve.x, curve.y, strict=True)) <= points
    area = np.trapezoid(curve.y, curve.x)
    assert area == pytest.approx(np.trapezoid(true, false), abs=0.01)


def test_what_is_small_is_kept_whole() -> None:
    curve = precision_recall(np.array([3.0, 2.0, 2.0, 1.0]), np.array([1.0, 0.0, 1.0, 0.0]))
    assert curve is not None
    assert (curve.x, curve.threshold) == ((0.5, 1.0, 1.0), (3.0, 2.0, 1.0))
    assert curve.y == pytest.approx((1.0, 2 / 3, 0.5))


def test_without_both_kinds_of_label_there_is_no_curve() -> None:
    assert precision_recall(np.arange(4.0), np.zeros(4)) is None
    assert roc(np.arange(4.0), np.zeros(4)) is None
    assert roc(np.arange(4.0), np.ones(4)) is None
    assert precision_recall(np.empty(0), np.empty(0)) is None
