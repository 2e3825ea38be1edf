"""Snapshots of a feed's pipeline: `{data}/snapshots/{feed}/{entry}.snap`, whole or not at all.

A file is one line of JSON (format, log, feed, entry, seq, library versions, size and SHA-256 of the state)
and the state. A snapshot only shortens recovery: one that is damaged, of a newer format, of another log or of
an entry that the log no longer has is passed over for the one before, at last for the beginning of the log.
The newest `KEPT` stay. Single-threaded: only the engine calls it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

FORMAT = 1
KEPT = 2
SUFFIX = ".snap"

log = logging.getLogger("anomalyai.stream")


class Header(msgspec.Struct, frozen=True):
    """What stands before the state."""

    format: int
    log: str
    feed: str
    entry: int
    seq: int
    libraries: dict[str, str]
    size_bytes: int
    sha256: str


class Snapshot(msgspec.Struct, frozen=True):
    """A feed's state as it was after `entry`, whose last record was `seq`."""

    entry: int
    seq: int
    state: bytes


class Snapshots:
    """The snapshots of one data directory; `identity` names its log."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = identity

    def save(self, feed: str, snapshot: Snapshot) -> Path:
        """Write a snapshot so that a crash leaves either all of it or nothing; drop the oldest."""
        header = Header(
            format=FORMAT,
            log=self._identity,
            feed=feed,
            entry=snapshot.entry,
            seq=snapshot.seq,
            libraries={"python": platform.python_version(), "numpy": np.__version__},
            size_bytes=len(snapshot.state),
            sha256=hashlib.sha256(snapshot.state).hexdigest(),
        )
        folder = self._folder / feed
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{snapshot.entry:020d}{SUFFIX}"
        write_whole(path, msgspec.json.encode(header) + b"\n" + snapshot.state)
        for old in self._files(feed)[KEPT:]:
            old.unlink(missing_ok=True)
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

    def _read(self, path: Path, feed: str, upto: int) -> Snapshot | str:
        """Return the snapshot, or what is wrong with it."""
        try:
            line, _, state = path.read_bytes().partition(b"\n")
            header = msgspec.json.decode(line, type=Header)
        except (OSError, msgspec.DecodeError) as error:
            return f"it cannot be read: {error}"
        if header.format > FORMAT:
            return f"it has format {header.format}, this version reads up to {FORMAT}"
        if (header.log, header.feed) != (self._identity, feed):
            return f"it belongs to feed {header.feed!r} of log {header.log}"
        if header.entry > upto:
            return f"it is of entry {header.entry}, wanted is one up to {upto}"
        if hashlib.sha256(state).hexdigest() != header.sha256:
            return f"its {len(state)} bytes of state do not match its checksum"
        return Snapshot(header.entry, header.seq, state)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that after a crash it is there as a whole or not at all."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(data)
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
