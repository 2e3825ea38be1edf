"""Errors of the core: what each carries, and that they never echo much."""

import pytest

from anomalyai import errors
from anomalyai.errors import AnomalyAIError, SchemaConflict, UnreadableBody, shorten

CLASSES = [
    errors.SchemaError,
    errors.UnreadableBody,
    errors.TooLarge,
    errors.UnsupportedMedia,
    errors.StateError,
    errors.ModelError,
    errors.ParameterError,
]


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_carries_code_message_field_and_hint(cls: type[AnomalyAIError]) -> None:
    error = cls("expected a, got b", field="f", hint="Send a")
    assert isinstance(error, AnomalyAIError)
    assert (error.code, error.message, error.field, error.hint) == (
        cls.code,
        "expected a, got b",
        "f",
        "Send a",
    )
    assert str(error) == "expected a, got b. Send a"
    assert str(cls("only this")) == "only this"


def test_codes_tell_the_classes_apart() -> None:
    codes = [SchemaConflict.code, *(cls.code for cls in CLASSES)]
    assert len(set(codes)) == len(codes)
    assert UnreadableBody("x", code="truncated_body").code == "truncated_body"


def test_a_conflict_names_all_its_fields() -> None:
    error = SchemaConflict("two", fields=["a", "b"], hint="h")
    assert (error.fields, error.field) == (("a", "b"), "a")


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    for cls in (*CLASSES, SchemaConflict, AnomalyAIError):
        assert cls.__name__ in str(errors.__doc__)
        assert cls.__name__ in errors.__all__


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("abc", '"abc"'),
        ("a\nb\x00", '"a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"'),
        ("x" * 61, '"' + "x" * 60 + '..." (61 characters)'),
        (None, "null"),
        (True, "true"),
        (12, "12"),
        (1.5, "1.5"),
        (10**100, "an integer of 333 bits"),
        ([1] * 100, str([1] * 100)[:60] + "..."),
    ],
)
def test_values_are_shown_in_one_short_line(value: object, shown: str) -> None:
    assert shorten(value) == shown
