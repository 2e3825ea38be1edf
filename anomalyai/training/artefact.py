"""What joblib keeps of a trained model: scikit-learn's estimator, and plain bytes of ours beside it."""

from __future__ import annotations

from typing import Any

from anomalyai.detectors.isolation_forest import IsolationForestModel
from anomalyai.detectors.registry import DETECTORS
from anomalyai.errors import ModelError
from anomalyai.training.preprocessing import Preparation
from anomalyai.training.trained_model import TrainedModel

__all__ = ["packed", "unpacked"]


def packed(model: TrainedModel) -> Any:
    """Return what is kept; of a forest that takes columns as they are, its estimator alone."""
    preparation = model.preparation
    if isinstance(model.detector, IsolationForestModel):
        if preparation is None:
            return model.detector.estimator
        return {"estimator": model.detector.estimator, "preparation": preparation.dumps()}
    detector: Any = model.detector
    kept = {"estimator": detector.estimator, "state": detector.dumps()}
    return kept if preparation is None else kept | {"preparation": preparation.dumps()}


def unpacked(algorithm: str, artefact: Any, columns: tuple[str, ...], last_seq: int) -> TrainedModel:
    """Return the model that `packed` was given.

    Raises
    ------
    ModelError
        It is no artefact of this algorithm.
    StateError
        Its plain part is damaged.
    """
    forest = algorithm == IsolationForestModel.kind
    kept = {"estimator": artefact} if forest and not isinstance(artefact, dict) else artefact
    if not isinstance(kept, dict) or "estimator" not in kept or not (forest or "state" in kept):
        raise ModelError(
            f"the artefact of a {algorithm} holds a {type(artefact).__name__}", code="model_altered"
        )
    preparation = Preparation.loads(kept["preparation"]) if "preparation" in kept else None
    if forest:
        return TrainedModel(
            IsolationForestModel.from_estimator(kept["estimator"]), columns, last_seq, preparation
        )
    detector: Any = DETECTORS[algorithm].loads(kept["state"])
    detector.estimator = kept["estimator"]
    return TrainedModel(detector, columns, last_seq, preparation)
