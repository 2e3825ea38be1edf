"""Which River models can be asked for scores without a target, and do learn when they are taught."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from river import base, compose

from anomalyai.errors import ParameterError

__all__ = ["RIVER", "RiverModel", "require_detector"]

RIVER = version("river")

RiverModel = base.AnomalyDetector | base.AnomalyFilter | compose.Pipeline


class _Counter(base.AnomalyDetector):
    """Counts what it is taught and finds everything as usual as can be."""

    def __init__(self) -> None:
        self.learnt = 0

    def learn_one(self, x: dict[Any, Any]) -> None:
        """Count."""
        self.learnt += 1

    def score_one(self, x: dict[Any, Any]) -> float:
        """Return the lowest score."""
        return -1e300


def require_detector(model: object) -> None:
    """Raise `ParameterError` unless the model is an unsupervised detector that learns."""
    last = list(model.steps.values())[-1] if isinstance(model, compose.Pipeline) else model
    if isinstance(last, base.AnomalyFilter):
        _require_teaching(last)
        require_detector(last.anomaly_detector)
    elif not isinstance(last, base.AnomalyDetector):
        raise ParameterError(
            f"expected a river.base.AnomalyDetector, a filter around one or a pipeline that ends in one, got "
            f"{type(last).__name__}",
            field="model",
            hint="A supervised one needs a target, which rows do not have",
        )


def _require_teaching(found: base.AnomalyFilter) -> None:
    """Raise `ParameterError` where a filter never teaches its detector, as one of River 0.26 does not."""
    probe: Any = found.clone({"anomaly_detector": _Counter()})
    probe.learn_one({0: 0.0})
    if not probe.anomaly_detector.learnt:
        raise ParameterError(
            f"expected a filter that teaches its detector, and {type(found).__name__}"
            f"(protect_anomaly_detector={found.protect_anomaly_detector}) of River {RIVER} never does",
            field="model",
            hint="Take protect_anomaly_detector=True, or the detector without the filter",
        )
