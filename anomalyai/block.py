"""Where a stream is cut for learning: at fixed counts of records, however it arrives.

Within a block every record is scored against the same learnt state; at the block's end its clean records are
learnt together. The ends depend on the count alone, so that micro-batches of any size give the same bits.
Blocks start short, so that a new feed is useful within a few dozen records, and grow.
"""

from __future__ import annotations

FULL_BLOCK = 512
_FIRST_ENDS = (8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224, 256)


def next_end(seen: int) -> int:
    """Return the count of records at which the block that holds record number `seen` + 1 ends.

    Examples
    --------
    >>> next_end(0), next_end(8), next_end(250), next_end(256), next_end(1000)
    (8, 16, 256, 512, 1024)
    """
    for end in _FIRST_ENDS:
        if seen < end:
            return end
    return (seen // FULL_BLOCK + 1) * FULL_BLOCK
