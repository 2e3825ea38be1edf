"""What the engine commits: alerts, incidents, scores, positions, dead letters and jobs, in one transaction.

Everything is written so that doing it twice changes nothing: alerts replace only lower revisions, scores and
dead letters stay as they are, positions move on. Single-threaded: the engine gathers, the writer writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy.dialects.sqlite import insert

from anomalyai.alert import Alert
from anomalyai.incident import Incident
from anomalyai.scored import ScoredBatch
from stream import tables
from stream.errors import LogFailure
from stream.hub import PublishedAlert
from stream.transaction import Statements, Transaction
from stream.writer import Work


class Published(msgspec.Struct, frozen=True):
    """A scored batch with its encoded alerts and incidents, for viewers once it is committed."""

    feed: str
    arrival_s: float
    scored: ScoredBatch
    alerts: list[PublishedAlert]
    incidents: list[bytes]


class Revised(msgspec.Struct, frozen=True):
    """Alerts that changed, each in its former and its new form, and the latter encoded."""

    feed: str
    former: list[Alert]
    alerts: list[Alert]
    encoded: list[PublishedAlert]


class Confirmation(NamedTuple):
    """Somebody waits until an entry's results are committed; the answer is how many alerts it re-ranked."""

    feed: str
    entry: int
    confirmed: Future[int]


class Results:
    """What a micro-batch of entries came to, of any number of feeds."""

    def __init__(self) -> None:
        self.published: list[Published] = []
        self.revised: list[Revised] = []
        self.confirmations: list[Confirmation] = []
        self.fresh: dict[str, Alert] = {}  # of this micro-batch, in their latest form
        self.positions: dict[str, tuple[int, int]] = {}
        self.records = 0
        self.waiting_records = 0
        self.waiting_bytes = 0
        self.alerts: list[dict[str, Any]] = []
        self.incidents: dict[str, dict[str, Any]] = {}
        self.scores: list[dict[str, Any]] = []
        self.dead_letters: list[dict[str, Any]] = []
        self.jobs: list[dict[str, Any]] = []

    @property
    def empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not (self.positions or self.dead_letters)

    def add(self, feed: str, arrival_s: float, scored: ScoredBatch) -> None:
        """Take in a scored batch."""
        alerts = [(alert, msgspec.json.encode(alert)) for alert in scored.alerts]
        self.alerts += [_alert_row(alert, body) for alert, body in alerts]
        self.fresh |= {alert.id: alert for alert in scored.alerts}
        encoded = [PublishedAlert(alert.seq, body) for alert, body in alerts]
        incidents = [(incident, msgspec.json.encode(incident)) for incident in scored.incidents]
        self.incidents |= {incident.id: _incident_row(incident, body) for incident, body in incidents}
        self.published.append(Published(feed, arrival_s, scored, encoded, [body for _, body in incidents]))
        self.records += scored.n

    def revise(self, feed: str, changed: Sequence[tuple[Alert, Alert]]) -> None:
        """Take in alerts that changed, as (former, new)."""
        bodies = [msgspec.json.encode(alert) for _, alert in changed]
        alerts = [alert for _, alert in changed]
        self.alerts += [_alert_row(alert, body) for alert, body in zip(alerts, bodies, strict=True)]
        self.fresh |= {alert.id: alert for alert in alerts}
        encoded = [PublishedAlert(alert.seq, body) for alert, body in zip(alerts, bodies, strict=True)]
        self.revised.append(Revised(feed, [former for former, _ in changed], alerts, encoded))

    def add_scores(self, feed: str, entries: Sequence[tuple[int, int]], parts: Sequence[ScoredBatch]) -> None:
        """Keep what the records of some entries scored, one row per entry.

        `entries` are (entry, number of records), `parts` the scored batches of all of them, in order.
        """
        if not sum(n for _, n in entries):
            return
        score, flagged, warming_up = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("score", "flagged", "warming_up")
        )
        start = 0
        for entry, n in entries:
            stop = start + n
            self.scores.append(
                {
                    "entry": entry,
                    "feed": feed,
                    "first_seq": parts[0].first_seq + start,
                    "n": n,
                    "threshold": parts[-1].threshold,
                    "body": pack_scores(score[start:stop], flagged[start:stop], warming_up[start:stop]),
                }
            )
            start = stop

    def done(self, feed: str, entry: int, seq: int) -> None:
        """Note that everything up to an entry is through."""
        self.positions[feed] = (entry, seq)

    def dead(self, feed: str, entry: int, first_seq: int | None, n: int, error: str, at_s: float) -> None:
        """Set an entry aside that made the pipeline raise."""
        self.dead_letters.append(
            {"entry": entry, "feed": feed, "first_seq": first_seq, "n": n, "error": error, "at": at_s}
        )


class Commit(Work):
    """The transaction of a micro-batch; `finished` resolves after COMMIT."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.finished: Future[None] = Future()
        rows = (*results.scores, *results.alerts, *results.incidents.values())
        self.size_bytes = sum(len(row["body"]) for row in rows)

    def write(self, transaction: Transaction) -> None:
        """Add the rows."""
        results = self.results
        for statement, rows in (
            (_ALERT, results.alerts),
            (_INCIDENT, list(results.incidents.values())),
            (_SCORE, results.scores),
            (_DEAD_LETTER, results.dead_letters),
            (_JOB, results.jobs),
        ):
            if rows:
                transaction.add(statement, *rows)
        for feed, (entry, seq) in results.positions.items():
            transaction.add(_POSITION, {"feed": feed, "entry": entry, "seq": seq})

    def committed(self) -> None:
        """Tell the engine."""
        self.finished.set_result(None)

    def failed(self, error: LogFailure) -> None:
        """Tell the engine, which tries again."""
        self.finished.set_exception(error)


class Statement(Work):
    """A unit of a few statements of its own; `finished` resolves after COMMIT."""

    def __init__(self, statements: Statements) -> None:
        self.finished: Future[None] = Future()
        self._statements = statements

    def write(self, transaction: Transaction) -> None:
        """Run the statements."""
        self._statements(transaction)

    def committed(self) -> None:
        """Answer."""
        self.finished.set_result(None)

    def failed(self, error: LogFailure) -> None:
        """Answer with the error."""
        self.finished.set_exception(error)


def job_row(job_id: str, feed: str, entry: int, created_s: float) -> dict[str, Any]:
    """Return the row of a training that was just queued."""
    return {
        "id": job_id,
        "feed": feed,
        "entry": entry,
        "state": "queued",
        "failures": 0,
        "model": None,
        "error": None,
        "created": created_s,
    }


def pack_scores(
    score: NDArray[np.float64], flagged: NDArray[np.bool_], warming_up: NDArray[np.bool_]
) -> bytes:
    """Return the scores of an entry as bytes: float64 scores, then flagged and warming-up as packed bits."""
    packed = (np.packbits(flagged), np.packbits(warming_up))
    return score.astype("<f8", copy=False).tobytes() + b"".join(bits.tobytes() for bits in packed)


def unpack_scores(body: bytes, n: int) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (score float64 [n], flagged bool [n], warming_up bool [n]) from what `pack_scores` made."""
    bits = (n + 7) // 8
    score = np.frombuffer(body, dtype="<f8", count=n)
    flagged = np.frombuffer(body, dtype=np.uint8, offset=8 * n, count=bits)
    warming_up = np.frombuffer(body, dtype=np.uint8, offset=8 * n + bits, count=bits)
    return (
        score.astype(np.float64),
        np.unpackbits(flagged, count=n).astype(np.bool_),
        np.unpackbits(warming_up, count=n).astype(np.bool_),
    )


def _alert_row(alert: Alert, body: bytes) -> dict[str, Any]:
    return {
        "id": alert.id,
        "feed": alert.feed,
        "seq": alert.seq,
        "score": alert.score,
        "severity": alert.severity,
        "status": alert.status,
        "revision": alert.revision,
        "body": body,
        "incident": alert.incident,
    }


def _incident_row(incident: Incident, body: bytes) -> dict[str, Any]:
    return {
        "id": incident.id,
        "feed": incident.feed,
        "last_seq": incident.last_seq,
        "severity": incident.severity,
        "revision": incident.revision,
        "body": body,
    }


_alert = insert(tables.alert)
_ALERT = _alert.on_conflict_do_update(
    index_elements=["id"],
    set_={name: _alert.excluded[name] for name in ("seq", "score", "severity", "status", "revision", "body")},
    where=tables.alert.c.revision < _alert.excluded.revision,
)
_incident = insert(tables.incident)
_INCIDENT = _incident.on_conflict_do_update(
    index_elements=["id"],
    set_={name: _incident.excluded[name] for name in ("last_seq", "severity", "revision", "body")},
    where=tables.incident.c.revision < _incident.excluded.revision,
)
_SCORE = insert(tables.score).on_conflict_do_nothing()
_DEAD_LETTER = insert(tables.dead_letter).on_conflict_do_nothing()
_JOB = insert(tables.job).on_conflict_do_nothing()
_position = insert(tables.position)
_POSITION = _position.on_conflict_do_update(
    index_elements=["feed"], set_={"entry": _position.excluded.entry, "seq": _position.excluded.seq}
)
