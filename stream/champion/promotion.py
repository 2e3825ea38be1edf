"""Putting a stored model into a feed, and taking that back: entries in the feed's log.

A promotion acts between two micro-batches, from its entry on, in every replay too. Safe from any thread; one
lock, so that two promotions see one another.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as StillWaiting
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from anomalyai.control import ModelSwap
from anomalyai.errors import ModelError
from anomalyai.manifest import Manifest
from anomalyai.mismatch import reads, require_columns, require_young
from anomalyai.schema import FeedSchema
from stream.champion.past import Past, Promotion, before
from stream.champion.start import start_schema
from stream.engine import Engine
from stream.errors import NoEarlierModel, NotReady, UnknownFeed
from stream.feeds import Feeds, require_name
from stream.lane import Lane
from stream.models import Models

PATIENCE_S = 30.0
MAX_NOTE_CHARS = 2_000

log = logging.getLogger("anomalyai.stream")


class Promoted(msgspec.Struct, frozen=True):
    """What a promotion or a rollback came to."""

    feed: Annotated[str, Meta(description="The feed.")]
    model: Annotated[str, Meta(description="The model that scores it from here on.")]
    previous: Annotated[str | None, Meta(description="The one that scored it before, null if none did.")]
    entry: Annotated[int | None, Meta(description="The log entry; null where nothing had to change.")]


class _Overtaken(ModelError):
    """Records came in between, and the feed is no longer one that the model fits as it was to be put in."""


class _Standing(NamedTuple):
    """A feed after every entry that is durable."""

    model: str | None
    columns: tuple[str, ...]
    seen: int
    schema: FeedSchema
    refused: str | None


class Promotions:
    """The champions of the feeds; `require_ready` raises `NotReady` where the runtime is not."""

    def __init__(
        self, feeds: Feeds, models: Models, engine: Engine, past: Past, require_ready: Callable[[], None]
    ) -> None:
        self._feeds = feeds
        self._models = models
        self._engine = engine
        self._past = past
        self._require_ready = require_ready
        self._lock = threading.Lock()

    def promote(self, feed: str | None, model_id: str, by: str = "hand", note: str | None = None) -> Promoted:
        """Let a stored model score a feed, the one that it was trained for where None.

        A feed that does not exist, or has fewer than 500 records, begins with the model's schema and start
        state, if the model has one, and learns these records again on top of it; any other feed has to have
        the model's columns. Returns when it is durable and the engine has come to it.

        Raises
        ------
        UnknownFeed
            There is no such feed, and the model has no start state to begin it with.
        ModelError
            There is no such model, it cannot be relied on, or it reads other columns than the feed has.
        SchemaConflict
            The model's fields are of another kind than the feed's.
        FeedName, LogFailure, NotReady
            It cannot be done now, or at all.
        """
        self._require_ready()
        manifest = self._checked(model_id)
        feed = manifest.feed if feed is None else feed
        require_name(feed)
        swap = ModelSwap(model_id, manifest.sha256, manifest.algorithm, by=by, note=note)
        with self._lock:
            try:
                return self._put_in_as_it_stands(feed, manifest, swap)
            except _Overtaken as overtaken:
                log.info("%s; asked again of the feed as it stands now", overtaken.message)
                return self._put_in_as_it_stands(feed, manifest, swap)

    def rollback(self, feed: str, by: str = "hand", note: str | None = None) -> Promoted:
        """Let the model before the present one score a feed again.

        A second one in a row goes back one further (`stream.champion.past.before`).

        Raises
        ------
        UnknownFeed, NoEarlierModel
            There is no such feed, or no model before the present one.
        ModelError, LogFailure, NotReady
            That model is gone or cannot be relied on, or it cannot be done now.
        """
        self._require_ready()
        self._feeds.get(feed)
        with self._lock:
            present = self._standing(feed).model
            earlier = before(self._past.promotions(feed), present)
            if earlier is None:
                raise NoEarlierModel(
                    f"the feed {feed!r} has no model before {present!r} to go back to",
                    field="feed",
                    hint="GET /models lists the models; POST /models/{id}/promote puts one in",
                )
            manifest = self._checked(earlier)
            swap = ModelSwap(earlier, manifest.sha256, manifest.algorithm, by=by, rollback=True, note=note)
            return self._put_in(feed, swap, present)

    def of_feed(self, feed: str) -> list[Promotion]:
        """Return the promotions of a feed, oldest first; raises `UnknownFeed`."""
        self._feeds.get(feed)
        return self._past.promotions(feed)

    def of_model(self, model_id: str) -> tuple[list[str], list[Promotion]]:
        """Return the feeds that a model scores now, and when it was put into which."""
        lanes = [(feed, self._engine.lane(feed)) for feed in self._feeds.names()]
        champion_of = [
            feed for feed, lane in lanes if lane is not None and lane.status.get("model") == model_id
        ]
        return champion_of, self._past.promotions(model=model_id)

    def _checked(self, model_id: str) -> Manifest:
        """Check a model's files, and load it, so that the engine finds it in memory; returns its manifest."""
        manifest = self._models.store.check(model_id)
        self._models.load(model_id, manifest.sha256)
        return manifest

    def _put_in_as_it_stands(self, feed: str, manifest: Manifest, swap: ModelSwap) -> Promoted:
        standing = self._standing(feed) if self._feeds.find(feed) is not None else None
        if standing is not None and standing.model == manifest.id:
            return Promoted(feed, manifest.id, manifest.id, None)
        if standing is None or not reads(manifest.columns, standing.columns) or _begins(standing, manifest):
            schema = self._begun_with(feed, manifest, standing)
            durable = self._feeds.declare(feed, schema)
            if durable is not None:
                durable.result()
            swap = msgspec.structs.replace(swap, start_sha256=manifest.start_sha256)
        return self._put_in(feed, swap, standing.model if standing is not None else None)

    def _begun_with(self, feed: str, manifest: Manifest, standing: _Standing | None) -> FeedSchema:
        """Return the schema that a feed begins with; its start state is known to be sound."""
        if standing is not None:
            if manifest.start_sha256 is None:
                require_columns(manifest.id, manifest.columns, standing.columns)
            require_young(manifest.id, standing.seen, standing.schema)
        schema = start_schema(manifest)
        if schema is None:
            raise UnknownFeed(
                f"there is no feed {feed!r}, and model {manifest.id!r} has no start state to begin it with",
                field="feed",
                hint="send records to the feed first, or promote a model that was trained from a file",
            )
        return schema

    def _put_in(self, feed: str, swap: ModelSwap, previous: str | None) -> Promoted:
        [entry] = self._feeds.get(feed).control(swap).result()
        try:
            self._engine.confirm(feed, entry).result(PATIENCE_S)
            standing = self._standing(feed)
        except (StillWaiting, NotReady) as error:
            log.info("feed %s: model %s is put in at entry %d: %s", feed, swap.model_id, entry, error)
        else:
            if standing.model != swap.model_id and standing.refused is not None:
                raise _Overtaken(
                    f"the feed {feed!r} changed meanwhile: {standing.refused}",
                    code="model_columns",
                    hint="nothing was put in; look at the feed and try again",
                )
        return Promoted(feed, swap.model_id, previous, entry)

    def _standing(self, feed: str) -> _Standing:
        def read(lane: Lane) -> _Standing:
            pipeline = lane.shard.pipeline
            return _Standing(
                pipeline.model_id,
                pipeline.columns,
                pipeline.seen,
                pipeline.schema,
                lane.shard.refused_model,
            )

        standing: _Standing = self._engine.ask(feed, read).result(PATIENCE_S)
        return standing


def _begins(standing: _Standing, manifest: Manifest) -> bool:
    """Whether a feed's kinds could still change, so that the model had better bring its own."""
    return manifest.start_sha256 is not None and not standing.schema.settled
