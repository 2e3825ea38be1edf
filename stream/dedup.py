"""First answers, kept so that a batch which is sent again is answered again and not taken again.

A key is an Idempotency-Key, or a producer with its batch number. Its row holds a digest of the body and the
answer, and is written in the same transaction as the records. The last `REMEMBERED` keys of a feed are kept.
Single-threaded by itself: `Memory` reads with connections of its own, what `remember` returns is run by the
writer.
"""

from __future__ import annotations

import hashlib
import zlib

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from anomalyai.records import Rejection
from stream import tables
from stream.database import Database
from stream.transaction import Statements, Transaction

REMEMBERED = 100_000
FORGET_EVERY = 64
MAX_BATCH = 2**53


class Ack(msgspec.Struct, frozen=True):
    """What became of a body: `first_seq` and `last_seq` are None where nothing was accepted."""

    accepted: int
    rejected: list[Rejection]
    shed: int
    first_seq: int | None
    last_seq: int | None


class Refusal(msgspec.Struct, frozen=True):
    """Why a whole frame was refused; the four parts of an error body."""

    code: str
    message: str
    field: str | None = None
    hint: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a body was answered with: exactly one of the two."""

    ack: Ack | None = None
    refusal: Refusal | None = None


class Key(msgspec.Struct, frozen=True):
    """What identifies a body: `text` is unique in the feed; `batch` is set for a producer's."""

    text: str
    producer: str | None = None
    batch: int | None = None

    @classmethod
    def of_batch(cls, producer: str, batch: int) -> Key:
        """Return the key of a producer's batch."""
        return cls(f"p:{producer}:{batch}", producer, batch)

    @classmethod
    def of_header(cls, value: str) -> Key:
        """Return the key of an Idempotency-Key header."""
        return cls(f"k:{value}")


class Remembered(msgspec.Struct, frozen=True):
    """The digest of the body that came under a key, and its answer."""

    digest: bytes
    answer: Answer


class Counts(msgspec.Struct, frozen=True):
    """What admission counts of a feed besides its records; `key_count` the number of keys ever remembered."""

    rejected: int = 0
    shed: int = 0
    key_count: int = 0


def digest(body: bytes) -> bytes:
    """Return what tells two bodies apart: 16 bytes of SHA-256, which most processors have built in."""
    return hashlib.sha256(body).digest()[:16]


class Memory:
    """The reading side."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, feed: str, key: Key) -> Remembered | None:
        """Return what a key was first answered, or None for one that is new or forgotten."""
        column = tables.dedup.c
        statement = sa.select(column.digest, column.answer).where(column.feed == feed, column.key == key.text)
        with self._database.reader.connect() as connection:
            row = connection.execute(statement).first()
        if row is None:
            return None
        return Remembered(row.digest, msgspec.json.decode(zlib.decompress(row.answer), type=Answer))

    def feeds(self) -> dict[str, Counts]:
        """Return the counts of every feed."""
        column = tables.feed.c
        statement = sa.select(column.feed, column.rejected, column.shed, column.key_count).order_by(
            column.feed
        )
        with self._database.reader.connect() as connection:
            return {row[0]: Counts(*row[1:]) for row in connection.execute(statement)}

    def producers(self, feed: str) -> dict[str, int]:
        """Return each producer's next batch number."""
        column = tables.producer.c
        statement = sa.select(column.producer, column.next_batch).where(column.feed == feed)
        with self._database.reader.connect() as connection:
            return {producer: next_batch for producer, next_batch in connection.execute(statement)}


def remember(feed: str, number: int, key: Key, remembered: Remembered) -> Statements:
    """Return the statements that keep an answer as the feed's key `number` and forget the oldest."""
    answer = zlib.compress(msgspec.json.encode(remembered.answer), 1)
    values = {"feed": feed, "number": number, "key": key.text, "digest": remembered.digest, "answer": answer}

    def run(transaction: Transaction) -> None:
        transaction.add(_REMEMBER, values)
        if number % FORGET_EVERY == 0:
            column = tables.dedup.c
            oldest = number - REMEMBERED
            transaction.execute(sa.delete(tables.dedup).where(column.feed == feed, column.number <= oldest))

    return run


def advance(feed: str, producer: str, next_batch: int) -> Statements:
    """Return the statement that keeps where a producer goes on."""
    values = {"feed": feed, "producer": producer, "next_batch": next_batch}

    def run(transaction: Transaction) -> None:
        transaction.add(_ADVANCE, values)

    return run


def count(feed: str, created_s: float, counts: Counts) -> Statements:
    """Return the statement that keeps a feed's counts; it also makes the feed known."""
    values = {"feed": feed, "created": created_s, **msgspec.structs.asdict(counts)}

    def run(transaction: Transaction) -> None:
        transaction.add(_COUNT, values)

    return run


_REMEMBER = sa.insert(tables.dedup)

_advance = insert(tables.producer)
_ADVANCE = _advance.on_conflict_do_update(
    index_elements=["feed", "producer"], set_={"next_batch": _advance.excluded.next_batch}
)

_count = insert(tables.feed)
_COUNT = _count.on_conflict_do_update(
    index_elements=["feed"],
    set_={name: _count.excluded[name] for name in ("rejected", "shed", "key_count")},
)
