"""Compiling before the first record."""

from __future__ import annotations

from stream.warmup import RECORDS, ROWS, warm_up_model, warm_up_scoring


def test_the_made_up_feed_and_model_go_all_the_way() -> None:
    assert warm_up_scoring() == RECORDS
    assert warm_up_model() == ROWS
