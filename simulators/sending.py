"""Sending a stream to a server at a pace, until its end or a signal, and the line that sums it up.

The pace is a timetable: each portion of records has a time at which it is due, in seconds after the start,
and is sent as soon as that has come. What falls behind by more than `MAX_DEBT_S`, because the server takes
its time, is not caught up. The first SIGINT or SIGTERM ends the run in good order, a second one at once.
Runs in the main thread, which is where signals arrive.
"""

from __future__ import annotations

import re
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec

from anomalyai.client import ClientError, Interrupted, Producer, RejectedRecord, feed_status
from simulators.progress import Progress
from simulators.simulator import Simulator

__all__ = ["FEED_NAME", "Pace", "Portion", "Summary", "portions", "require_target", "send", "stop_on_signals"]

FEED_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
TICK_S: Final = 0.05
MOST_RECORDS: Final = 1_000
MAX_DEBT_S: Final = 1.0
SCORED_WITHIN_S: Final = 60.0
FLUSHED_WITHIN_S: Final = 2.0  # after a signal
SHOWN_REJECTIONS: Final = 5


@dataclass(slots=True)
class Portion:
    """Records that are due together, as columns or as JSON texts; `unreadable` ones were left out before."""

    due_s: float
    count: int
    columns: dict[str, list[Any]] | None = None
    raw: list[bytes] | None = None
    unreadable: int = 0
    done: int = 0  # how far the source is after it, in units of its total

    def send(self, producer: Producer) -> None:
        """Hand it to a producer."""
        if self.columns is not None:
            producer.send_columns(self.columns)
        if self.raw:
            producer.send_raw(self.raw)


class Summary(msgspec.Struct, frozen=True):
    """What became of a run; counts are null where no server judged."""

    feed: str
    sent: int
    accepted: int | None
    rejected: int | None
    alerts: int | None
    seconds: float

    def line(self) -> str:
        """Return it as one line of JSON."""
        return msgspec.json.encode(self).decode()


class Pace:
    """Waits until what is due is due; ends early when `stop` is set."""

    def __init__(self, stop: threading.Event, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._stop = stop
        self._monotonic_s = monotonic_s
        self._start_s = monotonic_s()

    def wait(self, due_s: float) -> bool:
        """Wait until `due_s` seconds after the start; False if that was stopped."""
        ahead_s = self._start_s + due_s - self._monotonic_s()
        if ahead_s > 0:
            return not self._stop.wait(ahead_s)
        if -ahead_s > MAX_DEBT_S:
            self._start_s += -ahead_s - MAX_DEBT_S
        return not self._stop.is_set()


def portions(simulator: Simulator, records: int | None, rate: float | None) -> Iterator[Portion]:
    """Cut a simulator's stream into portions, `rate` records a second (None: all due at once).

    At low rates a portion is one or a few records, at high rates a frame of up to 1,000, so that both flow
    evenly.
    """
    size = MOST_RECORDS if rate is None else min(MOST_RECORDS, max(1, round(rate * TICK_S)))
    sent = 0
    for chunk in simulator.chunks(records, size=size):
        due_s = 0.0 if rate is None else sent / rate
        sent += len(chunk)
        yield Portion(due_s, len(chunk), chunk.columns, done=sent)


def require_target(url: str, feed: str) -> None:
    """Check where to send to; click's usage error otherwise."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter(
            f"expected an address such as http://127.0.0.1:8000, got {url!r}", param_hint="--to"
        )
    if not FEED_NAME.fullmatch(feed):
        expected = "expected 1 to 64 of a-z, 0-9, - and _, beginning with a letter or digit"
        raise click.BadParameter(f"{expected}, got {feed!r}", param_hint="--name")


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give an event that the first SIGINT or SIGTERM sets; the next one does what it did before."""
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: object) -> None:
        stop.set()
        restore()

    for number in signals:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        restore()


def send(
    url: str,
    feed: str,
    source: Iterable[Portion],
    *,
    stop: threading.Event,
    label: str,
    total: int | None = None,
) -> Summary:
    """Send all portions at their times, wait until they are scored, and sum the run up.

    `sent` counts the records of the source: accepted, rejected (by the server, or left out before as
    unreadable) and shed ones. `alerts` are those that the feed raised meanwhile, null where a
    signal ended the server too. Raises `ClientError`.
    """
    began_s = time.monotonic()
    alerts_before = _alerts(feed_status(url, feed))
    unreadable = 0
    name = f"{label.split()[0]}-{uuid.uuid4().hex[:12]}"
    with (
        Producer(url, feed, name, stop=stop, on_rejection=_Reporter()) as producer,
        Progress(label, total) as shown,
    ):
        pace = Pace(stop)
        try:
            for portion in source:
                if not pace.wait(portion.due_s):
                    break
                portion.send(producer)
                unreadable += portion.unreadable
                shown.show(portion.done, producer.totals.sent)
        except Interrupted:
            pass
        if not producer.flush(FLUSHED_WITHIN_S if stop.is_set() else None):
            click.echo(f"{producer.totals.unacknowledged} records are not acknowledged", err=True)
        producer.close()
    totals = producer.totals
    alerts: int | None = None
    try:
        alerts = _alerts(_scored(url, feed, totals.last_seq or 0, stop)) - alerts_before
    except ClientError as error:
        if not stop.is_set():
            raise
        click.echo(f"alerts are not counted: {error}", err=True)  # the same signal ended the server
    return Summary(
        feed=feed,
        sent=totals.sent + unreadable,
        accepted=totals.accepted,
        rejected=totals.rejected + unreadable,
        alerts=alerts,
        seconds=round(time.monotonic() - began_s, 3),
    )


class _Reporter:
    """Says on stderr what the first rejected records were refused for."""

    def __init__(self) -> None:
        self._seen = 0

    def __call__(self, record: RejectedRecord) -> None:
        self._seen += 1
        if self._seen <= SHOWN_REJECTIONS:
            where = f" field {record.field!r}" if record.field else ""
            click.echo(f"record {record.index} (from 0) was rejected:{where} {record.error}", err=True)
        elif self._seen == SHOWN_REJECTIONS + 1:
            click.echo("more records were rejected; they are counted in the last line", err=True)


def _alerts(status: dict[str, Any] | None) -> int:
    return 0 if status is None else int(status["alerts"])


def _scored(url: str, feed: str, last_seq: int, stop: threading.Event) -> dict[str, Any] | None:
    """Return the feed's status once everything up to `last_seq` is scored, or time is up."""
    deadline_s = time.monotonic() + (FLUSHED_WITHIN_S if stop.is_set() else SCORED_WITHIN_S)
    pause_s = 0.02
    while True:
        status = feed_status(url, feed)
        if status is None or (status["lag"]["records"] == 0 and status["last_seq"] >= last_seq):
            return status
        if time.monotonic() + pause_s > deadline_s:
            behind = status["lag"]["records"]
            click.echo(
                f"{behind} records are not scored yet: more alerts may come than are counted", err=True
            )
            return status
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.5)
