"""Detection core: records, features, detectors, calibration and evaluation.

The names below are imported on first use, so that `import anomalyai` costs nothing and a program that needs
only the client does not wait for scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anomalyai.base import Detector
    from anomalyai.checks import check_detector
    from anomalyai.detectors.registry import DETECTORS
    from anomalyai.errors import (
        AnomalyAIError,
        ModelError,
        ParameterError,
        SchemaConflict,
        SchemaError,
        StateError,
        TooLarge,
        UnreadableBody,
        UnsupportedMedia,
    )
    from anomalyai.intake import Admission, Intake, IntakeLimits
    from anomalyai.pipeline import Pipeline
    from anomalyai.records import RecordBatch, Rejection
    from anomalyai.schema import FeedSchema, Field, JsonType, Kind
    from anomalyai.training import TrainedModel, TrainingSet, train

__all__ = [
    "DETECTORS",
    "Admission",
    "AnomalyAIError",
    "Detector",
    "FeedSchema",
    "Field",
    "Intake",
    "IntakeLimits",
    "JsonType",
    "Kind",
    "ModelError",
    "ParameterError",
    "Pipeline",
    "RecordBatch",
    "Rejection",
    "SchemaConflict",
    "SchemaError",
    "StateError",
    "TooLarge",
    "TrainedModel",
    "TrainingSet",
    "UnreadableBody",
    "UnsupportedMedia",
    "check_detector",
    "train",
]

_ERRORS = (
    "AnomalyAIError",
    "ModelError",
    "ParameterError",
    "SchemaConflict",
    "SchemaError",
    "StateError",
    "TooLarge",
    "UnreadableBody",
    "UnsupportedMedia",
)

_HOMES = {
    "DETECTORS": "anomalyai.detectors.registry",
    "Detector": "anomalyai.base",
    **dict.fromkeys(_ERRORS, "anomalyai.errors"),
    **dict.fromkeys(("Admission", "Intake", "IntakeLimits"), "anomalyai.intake"),
    "Pipeline": "anomalyai.pipeline",
    **dict.fromkeys(("RecordBatch", "Rejection"), "anomalyai.records"),
    **dict.fromkeys(("FeedSchema", "Field", "JsonType", "Kind"), "anomalyai.schema"),
    **dict.fromkeys(("TrainedModel", "TrainingSet", "train"), "anomalyai.training"),
    "check_detector": "anomalyai.checks",
}


def __getattr__(name: str) -> Any:
    """Import the module that holds `name`, on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'anomalyai' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """List the public names without importing them."""
    return sorted(__all__)
