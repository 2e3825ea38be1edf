"""Verdicts and labels on their way into the log, and what came of them.

Each is a log entry with copies of the records it is about, durable before it is answered. The engine alone
changes alerts, when it comes to the entry; the answer waits for that, for a while. Safe from any thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as StillWaiting
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from anomalyai.alert import Alert
from anomalyai.control import Labels, Verdict
from anomalyai.records import Rejection
from stream.engine import Engine
from stream.errors import NotReady, UnknownAlert
from stream.feeds import Feeds
from stream.lookup import LOOKBACK_RECORDS, Lookup
from stream.store import Store

__all__ = ["MAX_AT_ONCE", "MAX_NOTE_CHARS", "Judged", "Judgements", "Label", "wait_for"]

T = TypeVar("T")

PATIENCE_S = 30.0
MAX_NOTE_CHARS = 2_000
MAX_AT_ONCE = 1_000
"""Alerts that one request judges."""

PART = 100
"""Verdicts that are written before the engine is waited for."""

ENTRY_LABELS, ENTRY_BYTES = 100, 1 << 20
"""Labels, and bytes of records, that close a log entry of labels; between two, records have their turn."""

log = logging.getLogger("anomalyai.stream")


class Label(NamedTuple):
    """The truth about a record, at a place of the request: `key` is its seq, or the text of its id."""

    place: int
    key: int | str
    label: Literal[0, 1]


class Judged(NamedTuple):
    """How many alerts were judged, how many others that ranked anew, and ids of no alert of the feed."""

    judged: int
    reranked: int
    unknown: list[str]


class _Named(NamedTuple):
    """A label whose record was found."""

    seq: int
    label: Literal[0, 1]
    record: dict[str, Any]


class Judgements:
    """Takes verdicts and labels; `require_ready` raises `NotReady` where the runtime is not."""

    def __init__(
        self,
        feeds: Feeds,
        store: Store,
        lookup: Lookup,
        engine: Engine,
        require_ready: Callable[[], None],
    ) -> None:
        self._feeds = feeds
        self._store = store
        self._lookup = lookup
        self._engine = engine
        self._require_ready = require_ready

    def judge(
        self,
        alert_id: str,
        verdict: Literal["real", "false_alarm", "unsure", "new_normal"],
        note: str | None = None,
    ) -> tuple[Alert, int]:
        """Take a verdict on an alert; returns the alert after it, and how many others it ranked anew.

        Raises
        ------
        UnknownAlert
            There is no such alert.
        LogFailure, NotReady
            It cannot be taken now; or it was, and the engine has not come to it in time.
        """
        self._require_ready()
        alert = self._alert(alert_id)
        reranked = self._take([alert], verdict, note)
        return self._alert(alert_id), reranked

    def judge_all(
        self,
        feed: str,
        alert_ids: Sequence[str],
        verdict: Literal["real", "false_alarm", "unsure", "new_normal"],
        note: str | None = None,
    ) -> Judged:
        """Take one verdict on many alerts of a feed, each a log entry of its own, in their order.

        Raises
        ------
        UnknownFeed, LogFailure, NotReady
            There is no such feed, or nothing can be taken now; or it was, and the engine has not come to it
            in time.
        """
        self._require_ready()
        self._feeds.get(feed)
        wanted = list(dict.fromkeys(alert_ids))
        known = self._store.alerts_by_id(wanted)
        mine = [known[one] for one in wanted if one in known and known[one].feed == feed]
        parts = [mine[start : start + PART] for start in range(0, len(mine), PART)]
        reranked = sum(self._take(part, verdict, note) for part in parts)
        named = {alert.id for alert in mine}
        return Judged(len(mine), reranked, [one for one in wanted if one not in named])

    def _take(
        self,
        alerts: Sequence[Alert],
        verdict: Literal["real", "false_alarm", "unsure", "new_normal"],
        note: str | None,
    ) -> int:
        """Write a verdict on alerts of one feed and wait for it; returns how many others it ranked anew."""
        admission = self._feeds.get(alerts[0].feed)
        changes = [Verdict(alert.seq, verdict, alert.record, note, alert.id) for alert in alerts]
        waiting = [admission.control(change) for change in changes]
        entries = [entry for durable in waiting for entry in durable.result()]
        confirmed = [self._engine.confirm(admission.feed, entry) for entry in entries]
        return sum(wait_for(future, "the verdict") for future in confirmed)

    def label(self, feed: str, labels: Sequence[Label]) -> tuple[int, list[Rejection]]:
        """Take labels; returns how many were taken, once they are durable, and what was not.

        Of several labels of one record the last counts. The engine is waited for, so that a sender cannot
        outrun it, but no longer than the patience lasts.

        Raises
        ------
        UnknownFeed, LogFailure, NotReady
            There is no such feed, or nothing can be taken now.
        """
        self._require_ready()
        admission = self._feeds.get(feed)
        found, rejected = self._found(feed, admission.schema.id, labels)
        waiting = [admission.control(change) for change in _entries(found)]
        entries = [entry for durable in waiting for entry in durable.result()]
        if entries:
            try:
                self._engine.confirm(feed, entries[-1]).result(PATIENCE_S)
            except (StillWaiting, NotReady) as error:
                log.info("feed %s: labels up to entry %d are kept for later: %s", feed, entries[-1], error)
        return len(found), rejected

    def _alert(self, alert_id: str) -> Alert:
        found = self._store.alert(alert_id)
        if found is None:
            raise UnknownAlert(f"there is no alert {alert_id[:120]!r}", field="id")
        return found

    def _found(
        self, feed: str, id_field: str | None, labels: Sequence[Label]
    ) -> tuple[list[_Named], list[Rejection]]:
        """Look the records up; returns those found, and why the others are not taken."""
        by_seq = self._lookup.by_seq(feed, [label.key for label in labels if isinstance(label.key, int)])
        ids = {label.key for label in labels if isinstance(label.key, str)}
        by_id = self._lookup.by_id(feed, id_field, ids) if id_field is not None and ids else {}
        found: list[_Named] = []
        rejected: list[Rejection] = []
        for label in labels:
            if isinstance(label.key, int):
                record = by_seq.get(label.key)
                named = (label.key, record) if record is not None else None
                why = f"the log has no record {label.key}"
            else:
                named = by_id.get(label.key)
                why = (
                    f"none of the latest {LOOKBACK_RECORDS} records has the {id_field} {label.key[:80]!r}"
                    if id_field is not None
                    else "the feed declares no id field; name records by seq"
                )
            if named is None:
                rejected.append(Rejection(label.place, "seq" if isinstance(label.key, int) else "id", why))
            else:
                found.append(_Named(named[0], label.label, named[1]))
        return found, rejected


def wait_for(answer: Future[T], what: str) -> T:
    """Wait for the engine to come to what is in the log, for a while.

    Raises
    ------
    NotReady
        It has not come to it in time.
    """
    try:
        return answer.result(PATIENCE_S)
    except StillWaiting as error:
        raise NotReady(
            f"{what} is kept and acts once the engine comes to it",
            hint="nothing has to be sent again; read it in a moment",
        ) from error


def _entries(found: Sequence[_Named]) -> Iterator[Labels]:
    """Yield log entries of labels, each of a bounded size."""
    part: list[_Named] = []
    size_bytes = 0
    for named in found:
        size = len(msgspec.json.encode(named.record))
        if part and (len(part) >= ENTRY_LABELS or size_bytes + size > ENTRY_BYTES):
            yield _labels(part)
            part, size_bytes = [], 0
        part.append(named)
        size_bytes += size
    if part:
        yield _labels(part)


def _labels(part: Sequence[_Named]) -> Labels:
    seqs, labels, records = zip(*part, strict=True)
    return Labels(seqs, labels, records)
