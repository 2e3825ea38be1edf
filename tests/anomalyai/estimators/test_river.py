"""The River estimator: River's own checks, and River's scores to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import river.datasets
from river import anomaly, checks

from anomalyai.errors import ParameterError
from anomalyai.estimators.river import HalfSpaceTrees


class Payments:
    """Stands in for the card payments that River's checks would fetch: as many columns, one fraud in 50."""

    def take(self, n: int) -> Iterator[tuple[dict[str, float], int]]:
        """Yield `n` payments with their labels."""
        rng = np.random.default_rng(0)
        for place in range(n):
            fraud = place % 50 == 49
            values = rng.normal(0.9 if fraud else 0.5, 0.1, 30).tolist()
            yield {f"V{j}": value for j, value in enumerate(values)}, int(fraud)


@pytest.fixture(autouse=True)
def local_payments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(river.datasets, "CreditCard", Payments)


def names_of_checks() -> list[str]:
    """Name the checks that River has for such a model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(river.datasets, "CreditCard", Payments)
        return [check.__name__ for check in checks.yield_checks(HalfSpaceTrees())]


def test_no_check_is_left_out() -> None:
    names = names_of_checks()
    assert len(names) == len(set(names)) > 25
    assert {"check_roc_auc", "check_bounded_memory_growth", "check_emerging_features"} <= set(names)
    assert HalfSpaceTrees()._unit_test_skips() == set()


@pytest.mark.parametrize("name", names_of_checks())
def test_passes_the_checks_of_river(name: str) -> None:
    model = HalfSpaceTrees()
    [check] = [check for check in checks.yield_checks(model) if check.__name__ == name]
    check(model.clone())


def test_equals_rivers_trees_to_the_last_bit() -> None:
    parameters: dict[str, Any] = {
        "n_trees": 6,
        "height": 6,
        "window_size": 60,
        "limits": {"V3": (-1.0, 2.0), "V99": (0.0, 9.0)},
        "seed": 5,
    }
    ours, theirs = HalfSpaceTrees(**parameters), anomaly.HalfSpaceTrees(**parameters)
    differing = 0
    for place, (x, _) in enumerate(Payments().take(500)):
        if place % 9 == 8:
            x = {name: value for name, value in x.items() if name not in ("V3", "V7")} | {"new": 5.0}
        expected = theirs.score_one(x)  # type: ignore[no-untyped-call]
        assert ours.score_one(x) == expected
        differing += expected not in (0, 1)
        ours.learn_one(x)
        theirs.learn_one(x)  # type: ignore[no-untyped-call]
    assert differing > 300


def test_a_record_without_features_begins_nothing() -> None:
    model = HalfSpaceTrees(window_size=5)
    model.learn_one({})
    assert model.score_one({}) == 0.0
    for _ in range(5):
        model.learn_one({"a": 0.2})
    assert model.score_one({"a": 0.9}) > model.score_one({"a": 0.2})


def test_parameters_are_checked_when_the_trees_are_drawn() -> None:
    model = HalfSpaceTrees(height=40)
    assert model.clone().height == 40
    with pytest.raises(ParameterError, match="expected height as a whole number from 1 to 15, got 40"):
        model.learn_one({"a": 0.5})
