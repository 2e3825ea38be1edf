"""The runtime: everything of one data directory put together, and the calls that a server makes.

`open` takes the directory's lock and reads what is there, `start` starts the engine's threads and waits until
the feeds are at the end of their logs, `stop` finishes and lets go. All other calls may come from any thread.
"""

from __future__ import annotations

from typing import Any, Self

from anomalyai.alert import Alert
from anomalyai.errors import UnreadableBody
from anomalyai.intake import Admission, Intake
from anomalyai.model_store import ModelStore
from anomalyai.schema import FeedSchema
from stream.admission import Body, Shared
from stream.anomalies import Anomalies, Page, Wanted
from stream.backlog import Backlog
from stream.candidate.comparison import Comparisons
from stream.candidate.shadow import Shadows
from stream.champion.past import Past
from stream.champion.promotion import Promotions
from stream.checkpoint import Checkpoints
from stream.clock import Clock, SystemClock
from stream.database import Database, damaged
from stream.dedup import MAX_BATCH, Ack, Key, Memory
from stream.engine import Engine
from stream.errors import BatchConflict, NotReady, Overloaded, UnknownAlert
from stream.event import Events
from stream.feeds import Feeds, require_name
from stream.hub import Hub, Subscription
from stream.judgement import Judgements
from stream.lock import DataDirectoryLock
from stream.log import Log, LogReader
from stream.lookup import Lookup
from stream.loss import Losses
from stream.models import Models
from stream.muting import Muting
from stream.policy import Policies
from stream.prediction import Predictions
from stream.processor import Parts
from stream.producer import ProducerSession, Sessions
from stream.recovery import Recovery
from stream.retraining.decision import Decisions
from stream.retraining.retraining import Means, Retraining
from stream.secret import instance_secret
from stream.settings import Settings
from stream.silence import Ticker
from stream.snapshot import Snapshots
from stream.status import Status
from stream.store import Store
from stream.swap import Swaps
from stream.training.jobs import Jobs
from stream.upkeep import Upkeep
from stream.whatif import Budgets
from stream.writer import Writer

__all__ = ["ProducerSession", "Runtime", "Subscription"]

MAX_KEY_CHARS = 200
RETRY_AFTER_S = 1.0


class Runtime:
    """One data directory at work; made by `open`."""

    def __init__(self, settings: Settings, clock: Clock, lock: DataDirectoryLock) -> None:
        data = settings.data_path
        self.settings = settings
        self.models = ModelStore(data / "models", instance_secret(data))
        self._lock = lock
        self._started = False
        self._database = Database(data, settings.log.durability)
        self._database.migrate()
        self._store = Store(self._database)
        self._reader = LogReader(self._database)
        self._losses = Losses(self._database)
        self._writer = Writer(self._database)
        self._hub = Hub()
        self._backlog = Backlog(settings.engine.max_backlog_records, settings.engine.max_backlog_bytes)
        self._models = Models(self.models)
        self._feeds = self._made_feeds(clock)
        self._sessions = Sessions(self._feeds, self._backlog, settings.server.max_frame_bytes)
        self._swaps = Swaps(self._feeds, self._models)
        self.jobs = Jobs(data, settings.training, clock, self._database, self._writer, self._swaps.put_in)
        self._status = Status(
            self._feeds, self._losses, self.jobs, self._hub, self.models, self._backlog, clock
        )
        self._engine = self._made_engine(clock)
        self.events = Events(self._reader, self._store, self._losses, self._engine)
        self.promotions = Promotions(
            self._feeds, self._models, self._engine, Past(self._database), self._require_ready
        )
        self.shadows = Shadows(self._feeds, self._models, self._engine)
        self.comparisons = Comparisons(data, self._feeds, self._models, self._engine, clock)
        self.budgets = Budgets(self._feeds, self._engine, self.comparisons, self._require_ready)
        means = Means(self._feeds, self._engine, self.jobs, self.models, self.comparisons, self.promotions)
        decisions = Decisions(self._database, self._writer, settings.retraining.max_decisions)
        self.retraining = Retraining(settings.retraining, clock, means, decisions)
        self.judgements = Judgements(
            self._feeds, self._store, Lookup(self._reader), self._engine, self._require_ready
        )
        self.anomalies = Anomalies(self._database)
        self.muting = Muting(self._feeds, self.anomalies, self._engine, clock, self._require_ready)
        self.predictions = Predictions(
            self._feeds,
            self._engine,
            self._models,
            clock,
            data / "uploads" / "predict",
            settings.server.max_body_bytes,
        )
        self._log.on_appended = self._engine.hand_over

    @classmethod
    def open(
        cls, settings: Settings, clock: Clock | None = None, *, lock: DataDirectoryLock | None = None
    ) -> Self:
        """Open a data directory, made and migrated if need be; nothing runs yet.

        `lock` is the directory's lock where the caller took it before; it is then left to the caller.

        Raises
        ------
        DataDirectoryInUse
            Another process has it.
        StoreVersion
            A newer version of the program wrote it.
        DatabaseDamaged
            It wants `anomalyai repair`.
        """
        held = lock or DataDirectoryLock.acquire(settings.data_path)
        opened = False
        try:
            runtime = cls(settings, clock or SystemClock(), held)
            opened = True
            return runtime
        finally:
            if not opened and lock is None:
                held.release()

    def start(self) -> None:
        """Start the threads and wait until every feed is recovered, or `stop` is called.

        Raises
        ------
        NotReady
            The engine failed; `hint` says why.
        DatabaseDamaged
            The database is; the runtime stays open and not ready.
        """
        self._started = True
        self._engine.start()
        self._engine.join(None)
        if self._database.damage is not None:
            raise damaged(self._database.damage)
        if self._engine.fault is not None:
            raise NotReady("the engine could not start", hint=self._engine.fault)

    def stop(self, timeout_s: float) -> None:
        """Finish what was admitted, save the state, end the threads and let the directory go."""
        self.retraining.close()
        self.comparisons.close()
        self._engine.stop(timeout_s)
        self._database.close()
        self._lock.release()

    @property
    def ready(self) -> bool:
        """Whether records are taken."""
        return not self.causes()

    def causes(self) -> list[str]:
        """Return why records are not taken; empty when they are."""
        causes = self._engine.causes() if self._started else ["the runtime is not started"]
        return causes if self._database.damage is None else [str(damaged(self._database.damage)), *causes]

    def feeds(self) -> list[dict[str, Any]]:
        """Return the description of every feed, by name."""
        return [self.feed(name) for name in self._feeds.names()]

    def feed(self, name: str) -> dict[str, Any]:
        """Return a feed's schema and figures; raises `UnknownFeed`."""
        return self._status.describe(name, self._engine)

    def stats(self) -> dict[str, Any]:
        """Return the figures of the whole runtime."""
        return {
            "ready": self.ready,
            "feeds": len(self._feeds.names()),
            "backlog": {"records": self._backlog.records, "size_bytes": self._backlog.size_bytes},
            "commits": self._writer.commits,
            "units": self._writer.units,
            "dead_letters": self._engine.dead_letters,
        }

    def declare(self, feed: str, schema: FeedSchema) -> tuple[bool, dict[str, Any]]:
        """Declare a feed's schema; returns whether that changed anything, and the feed.

        Raises
        ------
        SchemaConflict
            Fields that hold data would change their kind.
        FeedName, LogFailure, NotReady
            It cannot be done now, or at all.
        """
        self._require_ready()
        require_name(feed)
        durable = self._feeds.declare(feed, schema)
        if durable is not None:
            durable.result()
        return durable is not None, self.feed(feed)

    def post(
        self,
        feed: str,
        body: bytes,
        media: str | None,
        *,
        idempotency_key: str | None = None,
        producer: str | None = None,
        batch: int | None = None,
    ) -> Ack:
        """Take a body of records; returns when it is durable.

        Raises
        ------
        UnreadableBody, TooLarge, UnsupportedMedia
            Nothing of it could be taken.
        BatchConflict
            The key or batch came before with another body.
        Overloaded
            Too much waits for the engine; nothing was taken.
        FeedName, LogFailure, NotReady
            It cannot be taken now, or at all.
        """
        self._require_ready()
        require_name(feed)
        key = _key(idempotency_key, producer, batch)
        holds_back = self._feeds.policy(feed) == "block"
        if holds_back and not self._backlog.wait_for_room(self.settings.engine.max_wait_s):
            self._require_ready()
            raise Overloaded(
                f"{self._backlog.records} records wait for the engine, at most "
                f"{self.settings.engine.max_backlog_records} may",
                retry_after_s=RETRY_AFTER_S,
                hint="send it again after Retry-After, or send more slowly",
            )

        def read(intake: Intake, arrival_s: float) -> Admission:
            return intake.admit(body, media, arrival_s=arrival_s)

        answer = self._feeds.admit(feed, Body(body, read, key)).result()
        if answer.refusal is not None:
            refusal = answer.refusal
            raise UnreadableBody(refusal.message, code=refusal.code, field=refusal.field, hint=refusal.hint)
        assert answer.ack is not None
        return answer.ack

    def producer(self, feed: str, name: str | None) -> ProducerSession:
        """Open the session of an ingest socket; an earlier one of the same name is superseded.

        Raises
        ------
        FeedName, NotReady
            The feed's name is none, or records are not taken now.
        """
        self._require_ready()
        return self._sessions.open(feed, name)

    def subscribe(self, feed: str, after: int | None) -> Subscription:
        """Watch a feed from after a record on, from now on where None.

        Raises
        ------
        UnknownFeed, NotReady
            There is no such feed, or it is being recovered and does not know yet what was published.
        """
        self._feeds.get(feed)
        if not self._engine.recovered:
            self._require_ready()
        return self._hub.channel(feed).subscribe(self._store.alert_bodies, after)

    def alerts(
        self, feed: str, after: int = 0, limit: int = 100, wanted: Wanted | None = None
    ) -> tuple[list[Alert], int | None]:
        """Return a feed's alerts after a record, ascending, and what to pass as `after` for more.

        Raises
        ------
        UnknownFeed
            There is no such feed.
        """
        self._feeds.get(feed)
        return self.anomalies.alerts(feed, wanted or Wanted(), after, limit)

    def incidents(self, feed: str, wanted: Wanted, before: str | None, limit: int) -> Page:
        """Return a feed's incidents, the latest first; raises `UnknownFeed`, and as `Anomalies` does."""
        self._feeds.get(feed)
        return self.anomalies.incidents(feed, wanted, before, limit)

    def alert(self, alert_id: str) -> Alert:
        """Return an alert; raises `UnknownAlert`."""
        found = self._store.alert(alert_id)
        if found is None:
            raise UnknownAlert(f"there is no alert {alert_id[:120]!r}", field="id")
        return found

    def event(self, feed: str, seq: int) -> dict[str, Any]:
        """Return a record, its score, and its alert's reasons or why it has none.

        Raises
        ------
        UnknownFeed, UnknownEvent, RecordGone, LogDamaged
            There is no such feed or record, or not any more.
        """
        self._feeds.get(feed)
        return self.events.describe(feed, seq)

    def install_model(self, feed: str, model_id: str) -> None:
        """Let a stored model score a feed from here on; returns when that is durable.

        Raises
        ------
        UnknownFeed, ModelError, LogFailure, NotReady
            There is no such feed or model, the model cannot be used, or it cannot be done now.
        """
        self._require_ready()
        self._swaps.install(feed, model_id)

    def _require_ready(self) -> None:
        causes = self.causes()
        if causes:
            raise NotReady(
                "the server does not take records now: " + "; ".join(causes), retry_after_s=RETRY_AFTER_S
            )

    def _made_feeds(self, clock: Clock) -> Feeds:
        self._log = Log(self._writer, lambda items: None)
        shared = Shared(
            log=self._log,
            memory=Memory(self._database),
            backlog=self._backlog,
            clock=clock,
            policies=Policies(self._backlog, self.settings.feed.policy, self.settings.feed.policies),
            default_budget=self.settings.feed.budget,
            max_producers=self.settings.feed.max_producers,
        )
        feeds = Feeds(
            shared,
            self._reader,
            max_feeds=self.settings.feed.max_feeds,
            max_body_bytes=max(self.settings.server.max_body_bytes, self.settings.server.max_frame_bytes),
        )
        feeds.load()
        return feeds

    def _made_engine(self, clock: Clock) -> Engine:
        snapshots = Snapshots(self.settings.data_path / "snapshots", self._store.identity())
        self._writer.chores = Upkeep(self._database, snapshots, self.settings.log, clock)
        parts = Parts(
            writer=self._writer,
            reader=self._reader,
            store=self._store,
            snapshots=snapshots,
            checkpoints=Checkpoints(snapshots, clock),
            recovery=Recovery(self._reader, self._store, self._losses, snapshots, self._models),
            training=self.jobs,
            hub=self._hub,
            backlog=self._backlog,
            clock=clock,
            settings=self.settings.engine,
        )
        ticker = Ticker(self._feeds, clock)

        def on_second(monotonic_s: float) -> None:
            self._status.tick(self._engine)
            ticker.tick(self._engine)

        return Engine(parts, on_second)


def _key(idempotency_key: str | None, producer: str | None, batch: int | None) -> Key | None:
    if idempotency_key is not None:
        if producer is not None or not 1 <= len(idempotency_key) <= MAX_KEY_CHARS:
            raise BatchConflict(
                f"expected an Idempotency-Key of 1 to {MAX_KEY_CHARS} characters and no producer beside it",
                field="Idempotency-Key",
            )
        return Key.of_header(idempotency_key)
    if producer is None or batch is None:
        return None
    if not 1 <= batch <= MAX_BATCH:
        raise BatchConflict(f"expected a batch number from 1 to {MAX_BATCH}, got {batch}", field="batch")
    return Key.of_batch(producer, batch)
