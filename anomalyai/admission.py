"""What an intake is bounded by, what it counts, and what it returns for one body."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.control import SchemaChange
from anomalyai.decode_source import Source
from anomalyai.growth import MAX_FIELDS
from anomalyai.records import RecordBatch, Rejection

__all__ = ["Admission", "Choose", "Counters", "IntakeLimits", "Run"]

Choose = Callable[[int, int, int], NDArray[np.int64] | None]
"""(good records of the feed before, good records that come now, taken of this body so far) -> which to take.

Ascending places among those that come now, or None for all of them; the others are shed.
"""


class IntakeLimits(msgspec.Struct, frozen=True):
    """Bounds of one body, each with an error or a counter for what it cost."""

    max_frame_bytes: int = 8 * 1024 * 1024
    max_record_bytes: int = 256 * 1024
    max_records: int = 500_000
    max_fields: int = MAX_FIELDS


class Counters(msgspec.Struct, frozen=True):
    """What an intake has seen, for status pages; no part of the feed's state, but for `accepted`."""

    accepted: int = 0
    shed: int = 0
    rejected: int = 0
    empty_bodies: int = 0
    schema_changes: int = 0
    new_fields: int = 0
    fields_over_limit: int = 0

    def plus(self, **counts: int) -> Counters:
        """Return the counters with some raised."""
        return msgspec.structs.replace(self, **{name: getattr(self, name) + n for name, n in counts.items()})


class Admission(msgspec.Struct):
    """What came of one body: log items in order, and what was not taken."""

    items: list[SchemaChange | RecordBatch]
    rejected: list[Rejection]
    accepted: int = 0
    shed: int = 0
    new_fields: list[str] = []


class Run:
    """One body on its way through an intake.

    Parameters
    ----------
    source
        The body's records.
    arrival_s
        Epoch seconds of arrival.
    places
        Places of the records in their body or file, if not 0, 1, 2, ...
    """

    def __init__(self, source: Source, arrival_s: float, places: NDArray[np.int64] | None = None) -> None:
        self.source = source
        self.arrival_s = arrival_s
        self.admission = Admission([], [])
        self.position = 0
        self._places = places

    def place(self, position: int) -> int:
        """Return the place of one record in its body."""
        return position if self._places is None else int(self._places[position])

    def places(self, positions: Sequence[int]) -> NDArray[np.int64]:
        """Return the places of several records in their body."""
        if isinstance(positions, range):
            chosen = np.arange(positions.start, positions.stop, dtype=np.int64)
        else:
            chosen = np.array(positions, dtype=np.int64)
        return chosen if self._places is None else self._places[chosen]
