"""What may be asked of a training: algorithm, its parameters, and how columns are prepared for it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Algorithm = Literal["isolation_forest", "one_class_svm", "kmeans", "dbscan"]


class Preprocessing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a record's columns are made ready for an algorithm that measures distances or cuts."""

    missing: Annotated[
        Literal["median", "constant", "drop", "indicator"],
        Meta(
            description="Missing values: median of the column, a constant, drop (rows that lack one are not "
            "trained on; when scored they take the median), or indicator (median, and a column that says so)."
        ),
    ] = "median"
    constant: Annotated[float, Meta(description="What missing values are with `constant`.")] = 0.0
    scaling: Annotated[
        Literal["robust", "standard", "min_max", "none"],
        Meta(description="Columns by median and quartiles, mean and deviation, least and most, or as is."),
    ] = "robust"
    categories: Annotated[
        Literal["rarity", "one_hot"],
        Meta(description="Categories by how rare their value is, or a column for each frequent value."),
    ] = "rarity"
    features: Annotated[tuple[str, ...] | None, Meta(description="Fields to train on; null takes all.")] = (
        None
    )


class TrainingOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One training, as a request, a command line or a schedule asks for it."""

    algorithm: Annotated[Algorithm, Meta(description="What is trained.")] = "isolation_forest"
    parameters: Annotated[
        dict[str, Any], Meta(description="The algorithm's own; what is left out has its default.")
    ] = {}
    preprocessing: Preprocessing = Preprocessing()
    label: Annotated[str | None, Meta(description="Field with the ground truth, for the figures only.")] = (
        None
    )
    seed: Annotated[int, Meta(ge=0, lt=2**32, description="Fixes every random choice.")] = 0
