"""Every detector of the registry keeps every promise of the contract."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from river import anomaly

from anomalyai.base import Detector
from anomalyai.checks import CHECKS
from anomalyai.detectors.baseline import ConstantBaseline, ExtremeValueBaseline, RandomBaseline
from anomalyai.detectors.dbscan import DBSCAN
from anomalyai.detectors.half_space_trees import HalfSpaceTrees
from anomalyai.detectors.isolation_forest import IsolationForest
from anomalyai.detectors.kmeans import KMeans
from anomalyai.detectors.one_class_svm import OneClassSVM
from anomalyai.detectors.registry import DETECTORS
from anomalyai.detectors.river_adapter import RiverAdapter
from anomalyai.detectors.rule import RuleDetector
from anomalyai.detectors.snapshot_key import SnapshotKey
from anomalyai.detectors.tail_probability import TailProbability

RULES = """
[[rule]]
field = "b"
above = 2
one_in = 5000
[[rule]]
field = "c"
missing = true
"""

EXAMPLES: dict[str, Callable[[], Detector]] = {
    "constant_baseline": lambda: ConstantBaseline(0.5),
    "dbscan": lambda: DBSCAN(min_samples=5, max_rows=500, seed=4),
    "extreme_value_baseline": ExtremeValueBaseline,
    "half_space_trees": lambda: HalfSpaceTrees(3, n_trees=10, height=6, window_size=100, seed=1),
    "isolation_forest": lambda: IsolationForest(n_trees=20, seed=2),
    "kmeans": lambda: KMeans(n_clusters=3, seed=5),
    "one_class_svm": lambda: OneClassSVM(nu=0.1),
    "one_class_svm by descent": lambda: OneClassSVM(nu=0.1, n_components=50, exact_below=500, seed=6),
    "random_baseline": lambda: RandomBaseline(3),
    "river_adapter": lambda: RiverAdapter(
        anomaly.HalfSpaceTrees(n_trees=5, height=5, window_size=100, seed=7),
        warmup_rows=50,
        snapshot_key=SnapshotKey(b"a secret for tests"),
    ),
    "rule": lambda: RuleDetector(RULES, ("a", "b", "c")),
    "tail_probability": TailProbability,
    "tail_probability by column": lambda: TailProbability(("upper", "lower", "both")),
}
"""At least one of each kind, with parameters other than the defaults where they matter."""


def test_every_detector_is_known_by_its_kind_and_has_an_example() -> None:
    assert sorted(DETECTORS) == list(DETECTORS)
    assert {name.split()[0] for name in EXAMPLES} == set(DETECTORS)
    assert len(DETECTORS) == len(set(DETECTORS.values()))
    for name, example in EXAMPLES.items():
        assert type(example()) is DETECTORS[name.split()[0]]
        assert example().kind == name.split()[0]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_promise_is_kept(name: str, check: Callable[[Detector], None]) -> None:
    check(EXAMPLES[name]())


def test_the_registry_imports_nothing_until_asked() -> None:
    code = """
import sys
from anomalyai.detectors.registry import DETECTORS
list(DETECTORS)
print(set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("'sklearn'", "'river'", "'numba'", "'pandas'"):
        assert heavy not in done.stdout
