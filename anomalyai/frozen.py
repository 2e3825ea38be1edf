"""A pipeline's state as it was at one moment, to be written while the pipeline goes on.

The plain part is copied at once, which takes a millisecond or two; the tables of entities are copied in steps
(`anomalyai.table_copy`), on request only the rows that changed since an earlier moment.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai import state as state_codec
from anomalyai.entity_table import EntityTable
from anomalyai.table_copy import Rows, TableCopy

ALL = 0
"""The tick since which every row was touched."""


class Mark(NamedTuple):
    """A moment to tell changes from: the tick of the next record, and the keys that each table had then."""

    ticks: int
    keys: dict[str, weakref.ref[NDArray[np.uint64]]]


class Section(NamedTuple):
    """What a table had: all of its rows, or those touched since a tick, to go on top of earlier ones."""

    since: int
    rows: Rows


class Frozen:
    """The state, `fields` without the tables' rows; `mark` is its moment, for the next one.

    `base` is the mark of the state that this one is to go on top of, None for a whole one. A table that was
    made anew or has grown since then is copied whole all the same.
    """

    def __init__(self, kind: str, state: Mapping[str, Any], ticks: int, base: Mark | None) -> None:
        self._kind = kind
        self._fields: dict[str, Any] = {}
        self._copies: dict[str, TableCopy] = {}
        keys: dict[str, weakref.ref[NDArray[np.uint64]]] = {}
        for name, value in state.items():
            if isinstance(value, EntityTable) and value.by_record:
                prefix = state_codec.prefix_of(name)
                before = base.keys.get(prefix) if base is not None else None
                known = before is not None and before() is value.keys
                self._copies[prefix] = TableCopy(value, base.ticks if known and base else ALL, ticks)
                keys[prefix] = weakref.ref(value.keys)
            elif isinstance(value, state_codec.Table):
                self._fields.update(state_codec.spread({name: value}))
            elif isinstance(value, np.ndarray):
                self._fields[name] = value.copy()
            else:
                self._fields[name] = value if isinstance(value, bytes) else state_codec.fixed(value)
        self.mark = Mark(ticks, keys)

    @property
    def done(self) -> bool:
        """Whether every table is copied."""
        return all(copy.done for copy in self._copies.values())

    @property
    def is_whole(self) -> bool:
        """Whether nothing earlier is needed."""
        return all(copy.since == ALL for copy in self._copies.values())

    def advance(self, slots: int) -> None:
        """Copy about so many slots more of the tables; call it from the thread that the pipeline runs in."""
        for copy in self._copies.values():
            while slots > 0 and not copy.done:
                step = min(slots, copy.slots)
                copy.advance(step)
                slots -= step

    def document(self) -> bytes:
        """Return the plain part as bytes."""
        return state_codec.dumps(self._kind, self._fields, pack=True)

    def sections(self) -> dict[str, Section]:
        """Return the tables' rows by name; every table must be copied."""
        return {name: Section(copy.since, copy.rows()) for name, copy in self._copies.items()}


def on_top(older: Mapping[str, Section], newer: Mapping[str, Section]) -> dict[str, Section]:
    """Return the sections of a state that goes on top of an earlier one."""
    return {
        name: section
        if section.since == ALL
        else Section(older[name].since, Rows.merged(older[name].rows, section.rows))
        for name, section in newer.items()
    }


def thawed(document: Mapping[str, Any], sections: Mapping[str, Section]) -> dict[str, Any]:
    """Return the whole state of a decoded document and the tables' rows."""
    state = dict(document)
    for prefix, section in sections.items():
        state.update({prefix + column: array for column, array in section.rows.arrays().items()})
    return state
