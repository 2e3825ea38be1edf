"""Snapshots of a feed's pipeline: `{data}/snapshots/{feed}/{entry}.snap`, whole or not at all.

A file is one line of JSON (format, log, feed, entry, seq, library versions, what follows, its SHA-256), the
plain part of the state, and the columns of its tables of entities. It may hold only the rows that changed
since an earlier snapshot, its base, and then goes on top of that one. A snapshot only shortens recovery: one
that is damaged, of another format, of another log or of an entry that the log no longer has, or that stands
on such a one, is passed over for the one before, at last for the beginning of the log. The newest `KEPT`
stay, with what they stand on. Any thread may save, one at a time in each feed; the engine alone reads.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.frozen import Section, on_top
from anomalyai.table_copy import Rows

FORMAT = 2
KEPT = 2
SUFFIX = ".snap"

log = logging.getLogger("anomalyai.stream")


class Part(msgspec.Struct, frozen=True):
    """A table's rows in the file: `n` of them, of `width` statistics, those touched since a tick."""

    name: str
    since: int
    n: int
    width: int


class Header(msgspec.Struct, frozen=True):
    """What stands before the state."""

    format: int
    log: str
    feed: str
    entry: int
    seq: int
    base: int | None
    libraries: dict[str, str]
    document_bytes: int
    parts: list[Part]
    sha256: str


class Snapshot(msgspec.Struct, frozen=True):
    """A feed's state as it was after `entry`, whose last record was `seq`, in the parts of a frozen one."""

    entry: int
    seq: int
    document: bytes
    sections: Mapping[str, Section]


class Snapshots:
    """The snapshots of one data directory; `identity` names its log."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = identity

    def save(self, feed: str, snapshot: Snapshot, base: int | None = None) -> Path:
        """Write a snapshot so that a crash leaves either all of it or nothing; drop what is not needed.

        `base` is the entry of the snapshot that this one is to go on top of; None for a whole one.
        """
        body = [memoryview(snapshot.document), *_buffers(snapshot.sections)]
        digest = hashlib.sha256()
        for buffer in body:
            digest.update(buffer)
        header = Header(
            format=FORMAT,
            log=self._identity,
            feed=feed,
            entry=snapshot.entry,
            seq=snapshot.seq,
            base=base,
            libraries={"python": platform.python_version(), "numpy": np.__version__},
            document_bytes=len(snapshot.document),
            parts=[
                Part(name, since, len(rows.rows), rows.stats.shape[1])
                for name, (since, rows) in snapshot.sections.items()
            ],
            sha256=digest.hexdigest(),
        )
        folder = self._folder / feed
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{snapshot.entry:020d}{SUFFIX}"
        write_whole(path, msgspec.json.encode(header) + b"\n", *body)
        self._tidy(feed)
        return path

    def usable(self, feed: str, upto: int) -> Iterator[Snapshot]:
        """Yield the good snapshots of a feed up to an entry, the newest first; bad ones are logged."""
        for path in self._files(feed):
            found = self._read(path, feed, upto)
            if isinstance(found, str):
                log.warning("snapshot %s is passed over: %s", path, found)
            else:
                yield found

    def drop_after(self, feed: str, entry: int) -> None:
        """Remove what lies after `entry` (the log was replaced by an older copy) and half-written files."""
        for path in self._files(feed):
            if int(path.stem) > entry:
                log.warning("snapshot %s is removed: the log ends at entry %d", path, entry)
                path.unlink(missing_ok=True)
        for path in (self._folder / feed).glob("*.tmp"):
            path.unlink(missing_ok=True)

    def entries(self, feed: str) -> list[int]:
        """Return the entries that a feed has snapshots of, the newest first; safe from any thread."""
        return [int(path.stem) for path in self._files(feed)]

    def _files(self, feed: str) -> list[Path]:
        found = [path for path in (self._folder / feed).glob(f"*{SUFFIX}") if path.stem.isdigit()]
        return sorted(found, reverse=True)

    def _path(self, feed: str, entry: int) -> Path:
        return self._folder / feed / f"{entry:020d}{SUFFIX}"

    def _tidy(self, feed: str) -> None:
        """Remove every snapshot that none of the newest is or stands on."""
        files = self._files(feed)
        needed = set(files[:KEPT])
        for path in files[:KEPT]:
            header = _header(path)
            while isinstance(header, Header) and header.base is not None:
                base = self._path(feed, header.base)
                needed.add(base)
                header = _header(base)
        for path in files:
            if path not in needed:
                path.unlink(missing_ok=True)

    def _read(self, path: Path, feed: str, upto: int) -> Snapshot | str:
        """Return the snapshot, or what is wrong with it or with what it stands on."""
        try:
            data = path.read_bytes()
        except OSError as error:
            return f"it cannot be read: {error}"
        header = _parsed(data)
        if isinstance(header, str):
            return header
        if (header.log, header.feed) != (self._identity, feed):
            return f"it belongs to feed {header.feed!r} of log {header.log}"
        if header.entry > upto:
            return f"it is of entry {header.entry}, wanted is one up to {upto}"
        body = memoryview(data)[data.index(b"\n") + 1 :]
        if hashlib.sha256(body).hexdigest() != header.sha256:
            return f"its {len(body)} bytes of state do not match its checksum"
        sections = dict(_sections(body[header.document_bytes :], header.parts))
        if header.base is not None:
            below = self._read(self._path(feed, header.base), feed, upto)
            if isinstance(below, str):
                return f"it stands on the snapshot of entry {header.base}: {below}"
            sections = on_top(below.sections, sections)
        return Snapshot(header.entry, header.seq, bytes(body[: header.document_bytes]), sections)


def _header(path: Path) -> Header | str:
    try:
        with path.open("rb") as file:
            return _parsed(file.readline())
    except OSError as error:
        return f"it cannot be read: {error}"


def _parsed(data: bytes) -> Header | str:
    """Return the header of a file that begins with `data`, or what is wrong with it."""
    line, _, _ = data.partition(b"\n")
    try:
        found = msgspec.json.decode(line, type=dict[str, Any]).get("format")
        if found != FORMAT:
            return f"it has format {found}, this version reads {FORMAT}"
        return msgspec.json.decode(line, type=Header)
    except msgspec.DecodeError as error:
        return f"it cannot be read: {error}"


def _buffers(sections: Mapping[str, Section]) -> Iterator[memoryview]:
    for section in sections.values():
        for column in section.rows:
            yield np.ascontiguousarray(column).view(np.uint8).reshape(-1).data


def _sections(body: memoryview, parts: Sequence[Part]) -> Iterator[tuple[str, Section]]:
    """Yield the tables' rows; `body` was checked against its checksum."""
    start = 0
    for part in parts:
        columns = list[NDArray[Any]]()
        for dtype, width in (("<i8", 1), ("<u8", 1), ("<i8", 1), ("<f8", 1), ("<f4", part.width)):
            count = part.n * width
            columns.append(np.frombuffer(body, dtype=dtype, count=count, offset=start).copy())
            start += columns[-1].nbytes
        columns[-1] = columns[-1].reshape(part.n, part.width)
        yield part.name, Section(part.since, Rows(*columns))


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file so that after a crash it is there as a whole or not at all."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())
    publish_file(temporary, path)


def publish_file(temporary: Path, path: Path) -> None:
    """Give a finished, synced file its name, durably."""
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
