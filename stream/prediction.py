"""Predictions: records scored against a feed as it stands, and nothing of it changed.

The engine hands out a copy of the feed's state between two entries; everything else happens on the caller's
thread. The last copies are kept while their feed stands still. Lock: one for the kept copies, and one per
copy while it predicts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import msgspec
import numpy as np

from anomalyai.decode_source import join_rows
from anomalyai.intake import Intake, IntakeLimits
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from stream.clock import Clock
from stream.engine import Engine
from stream.errors import NoModel
from stream.feeds import Feeds
from stream.lane import Lane
from stream.models import Models
from stream.shard import Shard
from stream.snapshot import Snapshot

KEPT = 4
PATIENCE_S = 30.0


class _Copy:
    """A feed's pipeline as it was after an entry."""

    def __init__(self, shard: Shard) -> None:
        self.entry = shard.entry
        self.pipeline = shard.pipeline
        self.lock = threading.Lock()


class Predictions:
    """Scores bodies of records against feeds. Safe from any thread."""

    def __init__(
        self, feeds: Feeds, engine: Engine, models: Models, clock: Clock, max_body_bytes: int
    ) -> None:
        self._feeds = feeds
        self._engine = engine
        self._models = models
        self._clock = clock
        self._limits = IntakeLimits(max_frame_bytes=max_body_bytes)
        self._lock = threading.Lock()
        self._copies: OrderedDict[str, _Copy] = OrderedDict()

    def predict(self, feed: str, body: bytes, media: str | None) -> dict[str, Any]:
        """Return `{"model", "predictions", "rejected"}` for the records of a body.

        Raises
        ------
        UnknownFeed, NoModel, NotReady
            There is no such feed, or it has no trained model, or the engine does not run.
        UnreadableBody, TooLarge, UnsupportedMedia
            The body holds no records.
        """
        self._feeds.get(feed)
        copy = self._copy(feed)
        pipeline = copy.pipeline
        if pipeline.model_id is None:
            raise NoModel(
                f"the feed {feed!r} has no trained model yet",
                field="feed",
                hint="it is trained after some 2,000 records; GET /feeds/{feed} says how far it is",
            )
        intake = Intake(pipeline.schema, limits=self._limits, fixed=True)
        admission = intake.admit(body, media, arrival_s=self._clock.now_s())
        batches = [item for item in admission.items if isinstance(item, RecordBatch)]
        predictions: list[Any] = []
        if batches:
            joined, index = _joined(pipeline.schema, batches)
            with copy.lock:
                found = pipeline.predict(joined)
            predictions = [
                msgspec.structs.replace(prediction, index=int(index[prediction.index]))
                for prediction in found
            ]
        return {"model": pipeline.model_id, "predictions": predictions, "rejected": admission.rejected}

    def _copy(self, feed: str) -> _Copy:
        """Return a copy of a feed's state as of now."""
        with self._lock:
            kept = self._copies.get(feed)
        known = kept.entry if kept is not None else None

        def read(lane: Lane) -> Snapshot | None:
            return None if lane.shard.entry == known else lane.shard.snapshot()

        snapshot = self._engine.ask(feed, read).result(PATIENCE_S)
        if snapshot is None and kept is not None:
            return kept
        copy = _Copy(Shard.restored(feed, self._models, snapshot))
        with self._lock:
            self._copies[feed] = copy
            self._copies.move_to_end(feed)
            while len(self._copies) > KEPT:
                self._copies.popitem(last=False)
        return copy


def _joined(schema: FeedSchema, batches: list[RecordBatch]) -> tuple[RecordBatch, np.ndarray[Any, Any]]:
    """Return the batches of one body as one, with each record's place in the body.

    What a record finds of its neighbours must not depend on how the body was cut.
    """
    index = np.concatenate([batch.index for batch in batches])
    if len(batches) == 1:
        return batches[0], index
    raws = [msgspec.json.encode(batch.record(i)) for batch in batches for i in range(batch.n)]
    return RecordBatch.reread(schema, "rows", join_rows(raws), 1, batches[0].arrival_s), index
