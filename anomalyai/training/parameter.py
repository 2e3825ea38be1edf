"""The hyperparameters of the four algorithms: name, default, range and what each does.

Read from the detectors themselves (signature, constraints, docstring), so that errors, the API's description
and the documentation cannot say anything else.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from anomalyai.base import Detector
from anomalyai.constraint import check_parameters
from anomalyai.detectors.registry import DETECTORS
from anomalyai.errors import ParameterError, shorten

__all__ = ["ALGORITHMS", "Parameter", "checked", "detector_of", "parameters_of"]

ALGORITHMS: Final = ("isolation_forest", "one_class_svm", "kmeans", "dbscan")
"""What a feed's batch model may be; the first is the default."""

_OWN: Final = "seed"
"""A detector's parameter that is the training's own option."""


class Parameter(msgspec.Struct, frozen=True):
    """One hyperparameter; `range` reads on from "expected ...", as in "as a whole number from 1 to 10"."""

    name: str
    default: Any
    range: str
    help: str


@cache
def parameters_of(algorithm: str) -> tuple[Parameter, ...]:
    """Return the hyperparameters of an algorithm; raises `ParameterError` where there is no such one.

    >>> [parameter.name for parameter in parameters_of("kmeans")]
    ['n_clusters']
    """
    if algorithm not in ALGORITHMS:
        raise ParameterError(
            f"expected algorithm as one of {', '.join(ALGORITHMS)}, got {shorten(algorithm)}",
            field="algorithm",
        )
    detector = DETECTORS[algorithm]
    help_texts = _help_of(inspect.getdoc(detector) or "")
    return tuple(
        Parameter(name, argument.default, str(detector.constraints[name]), help_texts[name])
        for name, argument in inspect.signature(detector).parameters.items()
        if name != _OWN
    )


def checked(algorithm: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return all hyperparameters of a training, defaults filled in.

    Raises
    ------
    ParameterError
        There is no such algorithm or parameter, or it may not have this value; `field` names it.
    """
    known = {parameter.name: parameter.default for parameter in parameters_of(algorithm)}
    for name in parameters:
        if name not in known:
            raise ParameterError(
                f"unknown parameter {shorten(name)} of {algorithm}",
                field=name,
                hint=f"Known ones: {', '.join(known)}"
                + ("; the seed is an option of the training itself" if name == _OWN else ""),
            )
    values = known | dict(parameters)
    constraints = DETECTORS[algorithm].constraints
    check_parameters(values, {name: constraints[name] for name in values})
    return values


def detector_of(algorithm: str, parameters: Mapping[str, Any], seed: int) -> Detector:
    """Return an untrained detector; raises as `checked` does."""
    values = checked(algorithm, parameters)
    return DETECTORS[algorithm](**values, **{_OWN: seed % 2**32})


def _help_of(docstring: str) -> dict[str, str]:
    """Return what a NumPy docstring says of each parameter, in one line each."""
    section = docstring.partition("Parameters\n----------\n")[2]
    parts = re.split(r"^(\w+)\n", section, flags=re.MULTILINE)
    texts = (part.partition("\n\n")[0] for part in parts[2::2])
    return {name: " ".join(text.split()) for name, text in zip(parts[1::2], texts, strict=True)}
