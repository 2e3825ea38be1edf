"""Replaying a file of records to a server: in file order, at full speed or at a multiple of event time."""

from __future__ import annotations

import math
import re
import threading
import tomllib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from anomalyai.client import declare, feed_status
from simulators.cell import STRING
from simulators.event_time import seconds, time_field, value_at
from simulators.json_values import FileError
from simulators.reading import Piece, RecordFile
from simulators.sending import FEED_NAME, TICK_S, Portion, Summary, send

__all__ = ["NoEventTime", "feed_name", "known_types", "replay", "timetable"]

SHOWN_UNREADABLE: Final = 5
TEXT_KINDS: Final = {"entity", "id", "ignore"}


class NoEventTime(Exception):
    """A multiple of event time was asked for, and the records have none that can be found."""


def feed_name(path: Path, toml: str | None) -> str:
    """Return the feed a file is replayed to: the declared name, or the file's, made to fit.

    Raises `FileError` if `toml` is no TOML.

    >>> feed_name(Path("data/Card payments 2024.csv.gz"), None), feed_name(Path("x.csv"), "feed.name='Tills'")
    ('card-payments-2024', 'tills')
    """
    try:
        table = tomllib.loads(toml or "").get("feed")
    except tomllib.TOMLDecodeError as error:
        raise FileError(f"expected the feed's declaration to be TOML: {error}") from error
    declared = table.get("name") if isinstance(table, dict) else None
    text = declared if isinstance(declared, str) else path.name.partition(".")[0]
    fitting = re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-_")[:64]
    return fitting if FEED_NAME.fullmatch(fitting) else "replay"


def known_types(status: dict[str, Any] | None) -> dict[str, str]:
    """Return the JSON types that a feed's fields have already; declared identifiers are texts.

    What the server knows, it holds a record to; cells of a CSV file have to be sent as that.
    """
    known: dict[str, str] = {}
    for field in [] if status is None else status["schema"]["fields"]:
        if field["declared"] and field["kind"] in TEXT_KINDS:
            known[field["name"]] = STRING
        elif field["type"] != "unknown":
            known[field["name"]] = field["type"]
    return known


def replay(
    path: Path,
    url: str,
    feed: str,
    *,
    toml: str | None,
    speed: float | None,
    stop: threading.Event,
) -> Summary:
    """Declare the feed if `toml` is given, and send the file's records; `speed` None does not wait.

    Raises `ClientError`, `FileError`, `NoEventTime` or `OSError`.
    """
    if toml is not None:
        declare(url, feed, toml)
    status = feed_status(url, feed)
    declared_time = None
    if status is not None:
        times = [field["name"] for field in status["schema"]["fields"] if field["kind"] == "time"]
        declared_time = times[0] if times else None
    with RecordFile(path) as file:
        pieces = file.pieces(known_types(status))
        portions = timetable(pieces, speed, declared_time)
        source = _positioned(portions, file)
        return send(url, feed, source, stop=stop, label="replay", total=file.size_bytes)


def timetable(pieces: Iterable[Piece], speed: float | None, time_name: str | None) -> Iterator[Portion]:
    """Cut pieces into portions that are due together: each piece as one, or by event time divided by `speed`.

    A record is due when its event time is, counted from the first record's; one whose time is missing or lies
    before its predecessor's is due with its predecessor, so that the order of the file is kept.
    """
    if speed is None:
        for piece in pieces:
            yield Portion(0.0, len(piece), piece.columns, piece.raw or None, _noted(piece))
        return
    waiting = iter(pieces)
    head = next(waiting, None)
    if head is None:
        return
    name = time_name or _guess(head)
    first_s: float | None = None
    due_s = 0.0
    for piece in chain([head], waiting):
        dues = []
        for value in _times(piece, name):
            time_s = seconds(value)
            if time_s is not None:
                first_s = time_s if first_s is None else first_s
                due_s = max(due_s, (time_s - first_s) / speed)
            dues.append(due_s)
        yield from _by_tick(piece, dues)


def _by_tick(piece: Piece, dues: list[float]) -> Iterator[Portion]:
    """Cut a piece where the next record is due in another tick; each part is due with its last record."""
    unreadable = _noted(piece)
    if not dues:
        yield Portion(0.0, 0, unreadable=unreadable)
    start = 0
    for stop in range(1, len(dues) + 1):
        if stop < len(dues) and _tick(dues[stop]) == _tick(dues[start]):
            continue
        columns = piece.columns and {name: cells[start:stop] for name, cells in piece.columns.items()}
        raw = piece.raw[start:stop] or None
        yield Portion(dues[stop - 1], stop - start, columns, raw, unreadable)
        start, unreadable = stop, 0


def _tick(due_s: float) -> int:
    return math.floor(due_s / TICK_S + 1e-6)


def _times(piece: Piece, name: str) -> list[Any]:
    if piece.columns is not None:
        return piece.columns.get(name) or [None] * len(piece)
    return [value_at(msgspec.json.decode(raw), name) for raw in piece.raw]


def _guess(piece: Piece) -> str:
    """Return the time field by the first record; raises `NoEventTime`."""
    record: Any = {}
    if piece.columns is not None:
        record = {
            name: next((v for v in cells if v is not None), None) for name, cells in piece.columns.items()
        }
    elif piece.raw:
        record = msgspec.json.decode(piece.raw[0])
    found = time_field(record) if isinstance(record, dict) else None
    if found is None:
        raise NoEventTime(
            "no event time found in the first record: declare it with --feed, or use --speed max"
        )
    return found


def _noted(piece: Piece) -> int:
    """Say on stderr what is wrong with the first unreadable rows; returns how many there are."""
    for row, reason in piece.unreadable[:SHOWN_UNREADABLE]:
        click.echo(f"data row {row + 1} was left out: {reason}", err=True)
    return len(piece.unreadable)


def _positioned(portions: Iterable[Portion], file: RecordFile) -> Iterator[Portion]:
    for portion in portions:
        portion.done = file.position_bytes()
        yield portion
