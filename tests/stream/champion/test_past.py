"""What a rollback goes back to."""

from __future__ import annotations

import pytest

from stream.champion.past import Promotion, before


def promotions(text: str) -> list[Promotion]:
    """Return promotions of one-letter models; `-b` is a rollback to b."""
    return [
        Promotion("f", name[-1], entry, "", "hand", name[0] == "-", None)
        for entry, name in enumerate(text.split(), 1)
    ]


@pytest.mark.parametrize(
    ("text", "present", "expected"),
    [
        ("", None, None),
        ("", "a", None),
        ("a", "a", None),
        ("a b", "b", "a"),
        ("a b c", "c", "b"),
        ("a b c -b", "b", "a"),
        ("a b c -b -a", "a", None),
        ("a b -a c", "c", "a"),
        ("a b -a b -a b", "b", "a"),
        ("a b a", "a", "b"),
        ("a b a -b", "b", "a"),
        ("a a b", "b", "a"),
        ("a b c", "b", "a"),  # c was refused
        ("a b", None, None),
        ("-a b", "b", "a"),  # what stood before is no longer kept
    ],
)
def test_a_rollback_takes_the_uppermost_promotion_away(
    text: str, present: str | None, expected: str | None
) -> None:
    assert before(promotions(text), present) == expected
