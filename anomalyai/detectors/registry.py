"""All detectors by name; each is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from anomalyai.base import Detector

__all__ = ["DETECTORS"]

_HOMES = {
    "constant_baseline": ("baseline", "ConstantBaseline"),
    "dbscan": ("dbscan", "DBSCAN"),
    "extreme_value_baseline": ("baseline", "ExtremeValueBaseline"),
    "half_space_trees": ("half_space_trees", "HalfSpaceTrees"),
    "isolation_forest": ("isolation_forest", "IsolationForest"),
    "kmeans": ("kmeans", "KMeans"),
    "one_class_svm": ("one_class_svm", "OneClassSVM"),
    "random_baseline": ("baseline", "RandomBaseline"),
    "river_adapter": ("river_adapter", "RiverAdapter"),
    "rule": ("rule", "RuleDetector"),
    "tail_probability": ("tail_probability", "TailProbability"),
}


class _Detectors(Mapping[str, type[Detector]]):
    def __getitem__(self, name: str) -> type[Detector]:
        module, attribute = _HOMES[name]
        detector: type[Detector] = getattr(import_module(f"anomalyai.detectors.{module}"), attribute)
        return detector

    def __iter__(self) -> Iterator[str]:
        return iter(_HOMES)

    def __len__(self) -> int:
        return len(_HOMES)


DETECTORS: Mapping[str, type[Detector]] = _Detectors()
"""Detector classes by their `kind`."""
