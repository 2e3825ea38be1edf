"""The error tree: drawn in full, one code each, and what a caller may rely on."""

from __future__ import annotations

import pytest

import stream
from anomalyai.errors import AnomalyAIError
from stream import errors, runtime
from stream.errors import NotReady, Overloaded, StreamError, UnknownFeed


def tree(kind: type[AnomalyAIError]) -> list[type[AnomalyAIError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in tree(child))]


def test_every_error_stands_in_the_tree_of_the_docstring_and_has_a_code_of_its_own() -> None:
    kinds = [kind for kind in tree(StreamError) if kind.__module__ == "stream.errors"]
    assert len(kinds) > 10
    drawn = str(errors.__doc__)
    for kind in kinds:
        assert f"── {kind.__name__} " in drawn or kind is StreamError
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_an_error_carries_the_four_parts_of_an_error_body() -> None:
    error = UnknownFeed("there is no feed 'x'", field="feed", hint="make one")
    assert isinstance(error, AnomalyAIError)
    assert (error.code, error.message, error.field, error.hint) == (
        "unknown_feed",
        "there is no feed 'x'",
        "feed",
        "make one",
    )
    assert str(error) == "there is no feed 'x'. make one"


@pytest.mark.parametrize("error", [NotReady("no", retry_after_s=3.0), Overloaded("no", retry_after_s=3.0)])
def test_what_can_be_tried_again_says_when(error: NotReady | Overloaded) -> None:
    assert error.retry_after_s == 3.0


def test_the_package_exports_nothing_and_the_runtime_what_a_server_needs() -> None:
    assert [name for name in vars(stream) if not name.startswith("_") and name.isupper()] == []
    assert runtime.__all__ == ["ProducerSession", "Runtime", "Subscription"]
