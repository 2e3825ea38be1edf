"""Predictions: records scored against a feed as it stands, and nothing of it changed.

The engine freezes a copy of the feed's state between two entries and copies its tables in steps, so that
scoring goes on; everything else happens on the caller's thread. The last copies are kept while their feed
stands still. Lock: one for the kept copies, and one per copy while it predicts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from anomalyai.errors import ModelError
from anomalyai.files import read_batches
from anomalyai.frozen import Frozen
from anomalyai.intake import Admission, Intake, IntakeLimits
from anomalyai.media import CSV, JSON, NDJSON
from anomalyai.pipeline import Pipeline
from anomalyai.predict import Prediction
from anomalyai.records import RecordBatch, Rejection
from anomalyai.schema import FeedSchema
from stream.champion.start import started
from stream.clock import Clock
from stream.engine import Engine
from stream.errors import NoModel, UnknownFeed
from stream.feeds import Feeds
from stream.lane import Lane
from stream.models import Models
from stream.shard import Shard
from stream.snapshot import Snapshot

KEPT = 4
PATIENCE_S = 30.0
PART_RECORDS = 2_000
FORMS = {CSV: "csv", JSON: "json", NDJSON: "ndjson"}
STEP_SLOTS = 1 << 16
"""Slots of tables that the engine copies between two entries."""


class Part(NamedTuple):
    """What became of some records of a source, in order; `index` counts from 0 in the source."""

    predictions: list[Prediction]
    rejected: list[Rejection]


class Source(NamedTuple):
    """Records: a body with its content type, or a file with the media type of what it holds, None to look."""

    body: bytes | Path
    media: str | None


class _Copy:
    """A feed's pipeline as it was after an entry; None for the start state of a model."""

    def __init__(self, pipeline: Pipeline, entry: int | None) -> None:
        self.pipeline = pipeline
        self.entry = entry
        self.lock = threading.Lock()


class Forecast:
    """A source on its way through a copy of a feed; `parts` may be read once."""

    def __init__(
        self, copy: _Copy, model: str, source: Source, limits: IntakeLimits, arrival_s: float
    ) -> None:
        self.model = model
        self._copy = copy
        self._source = source
        self._limits = limits
        self._arrival_s = arrival_s

    def parts(self) -> Iterator[Part]:
        """Score the records part by part; how they are cut changes nothing.

        Raises
        ------
        UnreadableBody, TooLarge, UnsupportedMedia
            The source holds no records, or none from here on.
        """
        with self._copy.lock:
            trial = self._copy.pipeline.trial()
        for admission in self._admissions(self._copy.pipeline.schema):
            rejected = admission.rejected
            for item in admission.items:
                if not isinstance(item, RecordBatch):
                    continue
                for first in range(0, item.n, PART_RECORDS):
                    batch = item.slice(first, first + PART_RECORDS)
                    with self._copy.lock:
                        found = trial.predict(batch)
                    yield Part(
                        [
                            msgspec.structs.replace(prediction, index=int(index))
                            for prediction, index in zip(found, batch.index, strict=True)
                        ],
                        rejected,
                    )
                    rejected = []
            if rejected:
                yield Part([], rejected)

    def _admissions(self, schema: FeedSchema) -> Iterator[Admission]:
        body, media = self._source
        if isinstance(body, bytes):
            intake = Intake(schema, limits=self._limits, fixed=True)
            return iter([intake.admit(body, media, arrival_s=self._arrival_s)])
        return read_batches(
            body,
            schema,
            limits=self._limits,
            form=FORMS[media] if media is not None else None,
            arrival_s=self._arrival_s,
            fixed=True,
        ).admissions()


class Predictions:
    """Scores records against feeds. Safe from any thread.

    `folder` is for files that are on their way in; what is left there is removed at the start.
    """

    def __init__(
        self, feeds: Feeds, engine: Engine, models: Models, clock: Clock, folder: Path, max_body_bytes: int
    ) -> None:
        self.folder = folder
        for left in folder.glob("*"):  # by a crash
            left.unlink()
        self._feeds = feeds
        self._engine = engine
        self._models = models
        self._clock = clock
        self._limits = IntakeLimits(max_frame_bytes=max_body_bytes)
        self._lock = threading.Lock()
        self._copies: OrderedDict[tuple[str, str | None], _Copy] = OrderedDict()

    def begin(self, feed: str, source: Source, model_id: str | None = None) -> Forecast:
        """Take a copy of a feed to score a source against, with `model_id` in the place of its own model.

        A feed without records, or one that is not there and that the model was trained for, is taken as the
        model's training data left it.

        Raises
        ------
        UnknownFeed, NoModel, NotReady
            There is no such feed, or it has no trained model, or the engine does not run.
        ModelError
            There is no such model, it cannot be relied on, or reads other columns than the feed has.
        """
        copy = self._copy_for(feed, model_id)
        model = copy.pipeline.model_id
        if model is None:
            raise NoModel(
                f"the feed {feed!r} has no trained model yet",
                field="feed",
                hint="it is trained after some 2,000 records; GET /feeds/{feed} says how far it is",
            )
        return Forecast(copy, model, source, self._limits, self._clock.now_s())

    def _copy_for(self, feed: str, model_id: str | None) -> _Copy:
        admission = self._feeds.find(feed)
        if model_id is None:
            self._feeds.get(feed)
            return self._copy(feed, None)
        manifest = self._models.store.check(model_id)
        if admission is not None and admission.durable_seq > 0:
            return self._copy(feed, model_id)
        if admission is None and manifest.feed != feed:
            raise UnknownFeed(
                f"there is no feed {feed[:80]!r}, and model {model_id!r} was trained for {manifest.feed!r}",
                field="feed",
                hint=f"ask with feed={manifest.feed}",
            )
        pipeline = started(feed, manifest, self._models)
        if pipeline is None:
            raise ModelError(
                f"the feed {feed!r} has no records, and model {model_id!r} no start state in their place",
                code="model_start",
                hint="send records to the feed first, or use a model that was trained from a file",
            )
        return _Copy(pipeline, None)

    def _copy(self, feed: str, model_id: str | None) -> _Copy:
        """Return a copy of a feed's state as of now, with another model in it where that is named."""
        key = (feed, model_id)
        with self._lock:
            kept = self._copies.get(key)
        snapshot = self._snapshot(feed, kept.entry if kept is not None else None)
        if snapshot is None and kept is not None:
            return kept
        assert snapshot is not None
        pipeline = Shard.restored(feed, self._models, snapshot).pipeline
        if model_id not in (None, pipeline.model_id):
            assert model_id is not None
            pipeline.swap(model_id, self._models.load(model_id))
        copy = _Copy(pipeline, snapshot.entry)
        with self._lock:
            self._copies[key] = copy
            self._copies.move_to_end(key)
            while len(self._copies) > KEPT:
                self._copies.popitem(last=False)
        return copy

    def _snapshot(self, feed: str, known: int | None) -> Snapshot | None:
        """Return a feed's state as of now, None where it is that of entry `known`."""

        def begin(lane: Lane) -> tuple[Frozen, int, int] | None:
            shard = lane.shard
            return None if shard.entry == known else (shard.pipeline.freeze(), shard.entry, shard.seq)

        begun = self._engine.ask(feed, begin).result(PATIENCE_S)
        if begun is None:
            return None
        frozen, entry, seq = begun
        while not frozen.done:
            self._engine.ask(feed, lambda lane: frozen.advance(STEP_SLOTS)).result(PATIENCE_S)
        return Snapshot(entry, seq, frozen.document(), frozen.sections())
