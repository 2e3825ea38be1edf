"""Where a stream is cut for learning."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anomalyai.block import FULL_BLOCK, LEAST_BLOCK, MAX_CELLS, longest_block, next_end

COLUMNS = st.integers(0, 2_000)


@given(st.integers(0, 10_000), COLUMNS)
def test_blocks_end_ahead_and_are_bounded(seen: int, columns: int) -> None:
    longest = longest_block(columns)
    end = next_end(seen, longest)
    assert seen < end <= seen + longest
    assert all(next_end(between, longest) == end for between in range(seen, end))


@given(COLUMNS)
def test_wide_rows_make_short_blocks(columns: int) -> None:
    longest = longest_block(columns)
    assert LEAST_BLOCK <= longest <= FULL_BLOCK
    assert longest * columns <= MAX_CELLS or longest == LEAST_BLOCK


def test_the_first_blocks_are_short() -> None:
    ends = [next_end(0)]
    while ends[-1] < 100:
        ends.append(next_end(ends[-1]))
    assert ends[:3] == [8, 16, 24]
    assert len(ends) >= 7
