"""What the package offers, and that offering it costs nothing until it is used."""

import subprocess
import sys

import pytest

import anomalyai

NAMES = [
    "Admission",
    "AnomalyAIError",
    "FeedSchema",
    "Field",
    "Intake",
    "IntakeLimits",
    "JsonType",
    "Kind",
    "ModelError",
    "Pipeline",
    "RecordBatch",
    "Rejection",
    "SchemaConflict",
    "SchemaError",
    "StateError",
    "TooLarge",
    "UnreadableBody",
    "UnsupportedMedia",
]


def test_the_exports_are_pinned() -> None:
    assert anomalyai.__all__ == NAMES
    assert dir(anomalyai) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_export_is_there(name: str) -> None:
    assert getattr(anomalyai, name).__name__ == name


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
    ],
)
def test_imports_are_lazy(code: str, absent: tuple[str, ...]) -> None:
    check = f"import sys; {code}; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
