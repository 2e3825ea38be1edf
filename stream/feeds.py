"""The feeds of a data directory: which there are, and how one comes into being.

A feed exists once its first entry is durable. Locks: one lock for making feeds, held while the first body of
a new feed is taken, so that two first bodies cannot both begin it; each feed then has its own.
"""

from __future__ import annotations

import logging
import re
import threading
from concurrent.futures import Future

from anomalyai.control import SchemaChange
from anomalyai.errors import AnomalyAIError
from anomalyai.intake import Intake, IntakeLimits
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from stream.admission import Body, FeedAdmission, Shared
from stream.dedup import Counts
from stream.errors import FeedName, UnknownFeed
from stream.log import LogReader
from stream.policy import Policy
from stream.recall import PendingAnswer

log = logging.getLogger("anomalyai.stream")

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def require_name(feed: str) -> None:
    """Check a feed's name.

    Raises
    ------
    FeedName
        It is not 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or digit.
    """
    if not NAME.fullmatch(feed):
        raise FeedName(
            f"expected a feed name of 1 to 64 characters a-z, 0-9, '-' and '_', got {feed[:80]!r}",
            field="feed",
            hint="begin with a letter or a digit, lower case",
        )


class Feeds:
    """All feeds' admissions."""

    def __init__(self, shared: Shared, reader: LogReader, *, max_feeds: int, max_body_bytes: int) -> None:
        self._shared = shared
        self._reader = reader
        self._max_feeds = max_feeds
        self._limits = IntakeLimits(max_frame_bytes=max_body_bytes)
        self._feeds: dict[str, FeedAdmission] = {}
        self._making = threading.Lock()

    def load(self) -> None:
        """Make the admission of every feed in the database go on where it ended. Called once, at start."""
        for feed, counts in self._shared.memory.feeds().items():
            self._feeds[feed] = self._restored(feed, counts)

    def names(self) -> list[str]:
        """Return the names of the feeds that exist, sorted."""
        known = list(self._feeds.items())  # in one step: others may add a feed meanwhile
        return sorted(name for name, feed in known if feed.durable)

    def get(self, feed: str) -> FeedAdmission:
        """Return a feed's admission.

        Raises
        ------
        UnknownFeed
            There is none of that name.
        """
        found = self.find(feed)
        if found is None:
            raise UnknownFeed(
                f"there is no feed {feed[:80]!r}",
                field="feed",
                hint="it begins with its first record: POST /feeds/{feed}/events",
            )
        return found

    def find(self, feed: str) -> FeedAdmission | None:
        """Return a feed's admission, or None where nothing of it is durable yet."""
        found = self._feeds.get(feed)
        return found if found is not None and found.durable else None

    def policy(self, feed: str) -> Policy:
        """Return what is done while a feed's producers stay faster than scoring."""
        return self._shared.policies.of(feed)

    def admit(self, feed: str, body: Body) -> PendingAnswer:
        """Take a body into a feed, which begins with it if need be; raises as `FeedAdmission.admit` does."""
        known = self._feeds.get(feed)
        if known is not None:
            return known.admit(body)
        with self._making:
            admission = self._made(feed)
            pending = admission.admit(body)
            if admission.begun:
                self._feeds[feed] = admission
            return pending

    def declare(self, feed: str, declared: FeedSchema) -> Future[list[int]] | None:
        """Declare a feed's schema; None where that changes nothing. Raises `SchemaConflict`."""
        known = self._feeds.get(feed)
        if known is not None:
            return known.declare(declared)
        with self._making:
            admission = self._made(feed)
            durable = admission.declare(declared)
            self._feeds[feed] = admission
            return durable

    def _made(self, feed: str) -> FeedAdmission:
        """Return the admission of a feed that may have been made a moment ago; under the lock."""
        known = self._feeds.get(feed)
        if known is not None:
            return known
        require_name(feed)
        if len(self._feeds) >= self._max_feeds:
            raise FeedName(
                f"there are {len(self._feeds)} feeds and no more fit",
                field="feed",
                hint="raise feed.max_feeds, or send to a feed that exists",
                code="too_many_feeds",
            )
        intake = Intake(limits=self._limits, choose=self._shared.policies.choose(feed))
        return FeedAdmission(feed, intake, self._shared)

    def _restored(self, feed: str, counts: Counts) -> FeedAdmission:
        damaged = self._reader.damaged_control(feed, "schema")
        change = self._reader.last_control(feed, "schema")
        schema = change.schema if isinstance(change, SchemaChange) else FeedSchema()
        last_seq = self._reader.last_seq(feed)
        first_batches = [] if schema.settled else list(self._batches(feed))
        intake = Intake.restored(
            schema,
            last_seq,
            first_batches,
            limits=self._limits,
            shed=counts.shed,
            choose=self._shared.policies.choose(feed),
        )
        producers = self._shared.memory.producers(feed)
        return FeedAdmission(
            feed,
            intake,
            self._shared,
            last_seq=last_seq,
            last_arrival_s=self._reader.last_arrival_s(feed),
            counts=counts,
            producers=producers,
            damaged=damaged,
        )

    def _batches(self, feed: str) -> list[RecordBatch]:
        """Return a feed's batches from the beginning, each under its schema; few while it is not settled.

        What cannot be read any more is left out: kinds are then settled by the rest.
        """
        schema = FeedSchema()
        batches: list[RecordBatch] = []
        for stored in self._reader.read(feed, after=0):
            try:
                item = stored.decode(schema)
            except AnomalyAIError as error:
                log.error("feed %s: entry %d is left out: %s", feed, stored.entry, error)
                continue
            if item.records is not None:
                batches.append(item.records)
            elif isinstance(item.control, SchemaChange):
                schema = item.control.schema
        return batches
