"""Figures of feeds, as the API and the page get them. Safe from any thread: it reads, and keeps manifests."""

from __future__ import annotations

from typing import Any

import msgspec

from anomalyai.errors import ModelError
from anomalyai.model_store import ModelStore
from stream.admission import FeedAdmission
from stream.backlog import Backlog
from stream.clock import Clock
from stream.engine import Engine
from stream.feeds import Feeds
from stream.hub import Hub
from stream.lane import JUDGED, Lane
from stream.loss import Losses
from stream.message import Stats
from stream.training.jobs import Jobs
from stream.truth import Truth

SHOWN = ("promised_rate", "realised_rate", "threshold", "maturity", "late", "too_late", "future", "silences")
SHOWN_DEAD = 5
UNSCORED: dict[str, Any] = {
    "maturity": "warming_up",
    "budget": None,
    "threshold": None,
    "promised_rate": None,
    "realised_rate": None,
}
"""What is said of a feed whose first entry the engine has not come to."""


class Status:
    """Puts together what admission, engine, training and hub know of a feed."""

    def __init__(
        self,
        feeds: Feeds,
        losses: Losses,
        training: Jobs,
        hub: Hub,
        models: ModelStore,
        backlog: Backlog,
        clock: Clock,
    ) -> None:
        self._feeds = feeds
        self._losses = losses
        self._training = training
        self._hub = hub
        self._models = models
        self._backlog = backlog
        self._clock = clock
        self._manifests: dict[str, dict[str, Any]] = {}

    def describe(self, feed: str, engine: Engine) -> dict[str, Any]:
        """Return a feed's description; raises `UnknownFeed`."""
        admission = self._feeds.get(feed)
        lane = engine.lane(feed)
        pipeline = lane.status if lane is not None else UNSCORED
        job = self._training.latest_first(feed)
        channel = self._hub.channel(feed)
        return {
            "feed": feed,
            "schema": msgspec.to_builtins(admission.schema),
            "fields": admission.fields,
            "accepted": admission.durable_seq,
            "policy": self._feeds.policy(feed),
            **self._figures(admission, engine),
            "lag": {"records": self._lag_records(admission, engine), "s": self._lag_s(admission, engine)},
            **pipeline,
            "model": self._model(pipeline.get("model")),
            "refused_model": lane.shard.refused_model if lane is not None else None,
            "training": msgspec.to_builtins(job) if job is not None else None,
            "dead_letters": len(lane.skipped) if lane is not None else 0,
            **self._log(admission, lane),
            "alerts_by": _tally(lane),
            "judged": lane.judged if lane is not None else dict.fromkeys(JUDGED, 0),
            "truth": msgspec.to_builtins(lane.truth if lane is not None else Truth()),
            "viewers": {"open": channel.viewers, "dropped": channel.dropped},
            "snapshot_age_s": self._snapshot_age_s(lane),
        }

    def _log(self, admission: FeedAdmission, lane: Lane | None) -> dict[str, Any]:
        """Return what the log of a feed has and has not, and what has to be said of it."""
        notes = [admission.note, lane.shard.note if lane is not None else None]
        set_aside = list(lane.skipped.items())[-SHOWN_DEAD:] if lane is not None else []
        return {
            **self._losses.describe(admission.feed),
            "set_aside": [{"entry": entry, "error": error} for entry, error in set_aside],
            "notes": [note for note in notes if note],
        }

    def tick(self, engine: Engine) -> None:
        """Send this second's figures of every watched feed to its viewers."""
        for feed in self._feeds.names():
            channel = self._hub.channel(feed)
            if channel.watched:
                channel.stats(self.stats(feed, engine))

    def stats(self, feed: str, engine: Engine) -> Stats:
        """Return a feed's `stats` message; raises `UnknownFeed`."""
        admission = self._feeds.get(feed)
        lane = engine.lane(feed)
        pipeline = lane.status if lane is not None else UNSCORED
        shown: dict[str, Any] = {name: pipeline.get(name) for name in SHOWN}
        return Stats(
            **self._figures(admission, engine),
            lag_records=self._lag_records(admission, engine),
            lag_s=self._lag_s(admission, engine),
            **shown,
            dropped=self._hub.channel(feed).dropped,
        )

    def _figures(self, admission: FeedAdmission, engine: Engine) -> dict[str, Any]:
        lane = engine.lane(admission.feed)
        now_s = self._clock.monotonic_s()
        return {
            "last_seq": admission.durable_seq,
            "rejected": admission.counts.rejected,
            "shed": admission.counts.shed,
            "alerts": lane.alerts if lane is not None else 0,
            "events_per_second": round(lane.meter.events_per_second(now_s), 1) if lane is not None else 0.0,
            "p99_ms": lane.meter.p99_ms(now_s) if lane is not None else None,
        }

    def _lag_records(self, admission: FeedAdmission, engine: Engine) -> int:
        lane = engine.lane(admission.feed)
        return max(0, admission.durable_seq - (lane.committed_seq if lane is not None else 0))

    def _lag_s(self, admission: FeedAdmission, engine: Engine) -> float:
        """Return the age of the oldest record of the feed that waits, 0 where none does."""
        oldest_s = self._backlog.oldest_s(admission.feed) if self._lag_records(admission, engine) else None
        return 0.0 if oldest_s is None else round(max(0.0, self._clock.now_s() - oldest_s), 3)

    def _snapshot_age_s(self, lane: Lane | None) -> float | None:
        """Return how long ago the feed's state was saved, or taken up at the start."""
        return None if lane is None else round(self._clock.monotonic_s() - lane.snapshot_s, 3)

    def _model(self, model_id: str | None) -> dict[str, Any] | None:
        """Return what a page shows of a model; its id alone where the manifest is gone."""
        if model_id is None:
            return None
        if model_id not in self._manifests:
            try:
                manifest = self._models.manifest(model_id)
            except ModelError as error:
                return {"id": model_id, "error": error.message}
            self._manifests[model_id] = {
                "id": manifest.id,
                "algorithm": manifest.algorithm,
                "sha256": manifest.sha256,
                "last_seq": manifest.last_seq,
            }
        return self._manifests[model_id]


def _tally(lane: Lane | None) -> list[dict[str, Any]]:
    """Return how many alerts there are by severity and status."""
    tally = sorted(lane.tally.items()) if lane is not None else []
    return [{"severity": severity, "status": status, "count": n} for (severity, status), n in tally]
