"""What the package offers, and that offering it costs nothing until it is used."""

import subprocess
import sys

import pytest

import anomalyai

NAMES = [
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


def test_the_exports_are_pinned() -> None:
    assert anomalyai.__all__ == NAMES
    assert dir(anomalyai) == sorted(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "DETECTORS"])
def test_every_export_is_there(name: str) -> None:
    assert getattr(anomalyai, name).__name__ == name


def test_the_registry_is_a_mapping_of_classes() -> None:
    assert issubclass(anomalyai.DETECTORS["kmeans"], anomalyai.Detector)
    assert "no_such_detector" not in anomalyai.DETECTORS


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'anomalyai' has no attribute 'Intakes'"):
        anomalyai.Intakes  # noqa: B018 - the access is the test


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import anomalyai", ("numpy", "msgspec", "pandas", "sklearn", "river", "numba")),
        (
            "from anomalyai import FeedSchema, UnreadableBody",
            ("numpy", "pandas", "sklearn", "river", "numba"),
        ),
        ("from anomalyai import Intake, RecordBatch", ("pandas", "sklearn", "river", "numba")),
        (
            "from anomalyai import DETECTORS, Detector, check_detector; list(DETECTORS)",
            ("pandas", "sklearn", "river", "numba"),
        ),
        ("from anomalyai import TrainingSet, train", ("pandas", "sklearn", "river")),
    ],
)
def test_imports_are_lazy(code: str, absent: tuple[str, ...]) -> None:
    check = f"import sys; {code}; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
