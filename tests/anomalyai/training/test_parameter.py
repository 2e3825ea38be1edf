"""The table of hyperparameters: complete, checked, and the same in the documentation."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from anomalyai.detectors.registry import DETECTORS
from anomalyai.errors import ParameterError
from anomalyai.training.parameter import ALGORITHMS, checked, detector_of, parameters_of

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_parameter_is_there_with_default_range_and_help(algorithm: str) -> None:
    table = parameters_of(algorithm)
    arguments = inspect.signature(DETECTORS[algorithm]).parameters
    assert [parameter.name for parameter in table] == [name for name in arguments if name != "seed"]
    for parameter in table:
        assert parameter.default == arguments[parameter.name].default
        assert len(parameter.help) > 20
        shown = "none" if parameter.default is None else str(parameter.default)
        said = parameter.range.removeprefix("as a ")
        assert f"| `{algorithm}` | `{parameter.name}` | {shown} | {said} | {parameter.help} |" in README


def test_defaults_are_filled_in() -> None:
    assert checked("isolation_forest", {"n_trees": 5}) == {"n_trees": 5, "max_samples": 256}
    detector = detector_of("kmeans", {"n_clusters": 3}, 2**32 + 4)
    assert detector.parameters() == {"n_clusters": 3, "seed": 4}


@pytest.mark.parametrize(
    ("algorithm", "parameters", "field", "text"),
    [
        ("lof", {}, "algorithm", 'expected algorithm as one of isolation_forest, .*, got "lof"'),
        ("kmeans", {"k": 3}, "k", 'unknown parameter "k" of kmeans. Known ones: n_clusters'),
        ("kmeans", {"seed": 3}, "seed", "the seed is an option of the training itself"),
        ("kmeans", {"n_clusters": 2.0}, "n_clusters", "as a whole number from 1 to 1024, got 2.0"),
        ("kmeans", {"n_clusters": "2"}, "n_clusters", 'got "2"'),
        ("one_class_svm", {"nu": 1.5}, "nu", "above 0.0 and up to 1.0, got 1.5"),
        ("dbscan", {"eps": float("nan")}, "eps", "as a number above 0.0 or None, got nan"),
    ],
)
def test_what_is_wrong_is_named(algorithm: str, parameters: dict[str, Any], field: str, text: str) -> None:
    with pytest.raises(ParameterError, match=text) as refused:
        checked(algorithm, parameters)
    assert refused.value.field == field
