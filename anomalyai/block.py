"""Where a stream is cut for learning: at fixed counts of records, however it arrives.

Within a block every record is scored against the same learnt state; at the block's end its clean records are
learnt together. The ends depend on the count alone, so that micro-batches of any size give the same bits.
Blocks start short, so that a new feed is useful within a few dozen records, and grow.
"""

from __future__ import annotations

FULL_BLOCK, LEAST_BLOCK = 512, 64
MAX_CELLS = 24_576
"""What waits in a block is part of the state: rows times columns are bounded, so a wide feed
learns more often."""

_FIRST_ENDS = (8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256)


def longest_block(columns: int) -> int:
    """Return the records of a full block for rows of this many columns, a power of two.

    Examples
    --------
    >>> longest_block(10), longest_block(100), longest_block(1000)
    (512, 128, 64)
    """
    longest = FULL_BLOCK
    while longest > LEAST_BLOCK and longest * columns > MAX_CELLS:
        longest //= 2
    return longest


def next_end(seen: int, longest: int = FULL_BLOCK) -> int:
    """Return the count of records at which the block that holds record number `seen` + 1 ends.

    Examples
    --------
    >>> next_end(0), next_end(8), next_end(250), next_end(256), next_end(1000)
    (8, 16, 256, 512, 1024)
    """
    for end in _FIRST_ENDS:
        if seen < end:
            return end
    return (seen // longest + 1) * longest
