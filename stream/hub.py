"""The hub: what the engine has committed, on its way to every viewer.

The engine publishes after each commit and never waits for a viewer; messages are encoded once, each viewer
has a bounded queue (`stream.viewer`). Points are thinned to ten messages a second per feed. Locks: one per
feed's channel, held for moments; a viewer's own lock is taken inside it, never the other way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from anomalyai.scored import ScoredBatch
from stream.message import CaughtUp, Points, Stats
from stream.points import Point, PointRing, thin, thin_points, wire
from stream.viewer import ViewerQueue

POINTS_EVERY_S = 0.1
POINTS_A_MESSAGE = 64
POINTS_A_BATCH = 128
POINTS_A_CHUNK = 1000
REPLAY_ALERTS = 100

ReadAlerts = Callable[[str, int, int, int], list[tuple[int, bytes]]]
"""(feed, after, until, limit) -> [(seq, alert as JSON)], ascending, seq in (after, until]."""


class PublishedAlert(NamedTuple):
    """An alert as the hub passes it on: `body` is its JSON."""

    seq: int
    body: bytes


class Channel:
    """What the viewers of one feed share."""

    def __init__(self, feed: str) -> None:
        self.feed = feed
        self._lock = threading.Lock()
        self._seq = 0
        self._threshold: float | None = None
        self._ring = PointRing()
        self._line: list[bytes] | None = None  # the ring as messages, for all who come before it changes
        self._fresh: list[Point] = []
        self._flushed_s = float("-inf")
        self._viewers: dict[ViewerQueue, None] = {}

    @property
    def watched(self) -> bool:
        """Whether anyone is watching."""
        return bool(self._viewers)

    @property
    def viewers(self) -> int:
        """How many are watching."""
        return len(self._viewers)

    @property
    def dropped(self) -> int:
        """Points and stats messages that present viewers were too slow for."""
        with self._lock:
            return sum(viewer.dropped for viewer in self._viewers)

    def begin(self, seq: int) -> None:
        """Let replay cover everything up to `seq`: what was committed before this start."""
        with self._lock:
            self._seq = max(self._seq, seq)

    def fill(self, scored: ScoredBatch) -> None:
        """Put a batch of an earlier run on the line, so that a page has one right after a restart."""
        with self._lock:
            self._extend(_points(scored))
            self._threshold = scored.threshold

    def publish(
        self, scored: ScoredBatch, alerts: Sequence[PublishedAlert], incidents: Sequence[bytes] = ()
    ) -> None:
        """Pass on a committed batch: alerts and incidents (JSON) at once, points with their next message."""
        points = _points(scored)
        with self._lock:
            self._seq = max(self._seq, scored.first_seq + scored.n - 1)
            self._threshold = scored.threshold
            self._fresh += points
            if len(self._fresh) > 16 * POINTS_A_BATCH:
                self._fresh = thin_points(self._fresh, 8 * POINTS_A_BATCH)
            for alert in alerts:
                message = b'{"type":"alert","alert":' + alert.body + b"}"
                for viewer in self._viewers:
                    viewer.put_alert(alert.seq, message)
            for incident in incidents:
                self._send(b'{"type":"incident","incident":' + incident + b"}")

    def revise(self, alerts: Sequence[PublishedAlert]) -> None:
        """Pass on alerts that have changed and whose new revisions are committed."""
        with self._lock:
            for alert in alerts:
                message = b'{"type":"alert","alert":' + alert.body + b"}"
                for viewer in self._viewers:
                    viewer.put_alert(alert.seq, message)

    def flush(self, monotonic_s: float) -> float | None:
        """Send the points that are due; returns when the next ones are, None where there are none."""
        with self._lock:
            if not self._fresh:
                return None
            due_s = self._flushed_s + POINTS_EVERY_S
            if monotonic_s < due_s:
                return due_s
            self._extend(self._fresh)
            message = _points_message(thin_points(self._fresh, POINTS_A_MESSAGE), self._threshold)
            self._send(message)
            self._fresh = []
            self._flushed_s = monotonic_s
            return None

    def stats(self, figures: Stats) -> None:
        """Send the figures of this second."""
        with self._lock:
            if self._viewers:
                self._send(msgspec.json.encode(figures))

    def subscribe(self, read_alerts: ReadAlerts, after: int | None) -> Subscription:
        """Return a subscription that replays what lies after `after` (nothing where None), then is live."""
        viewer = ViewerQueue()
        with self._lock:
            self._viewers[viewer] = None
            if self._line is None:
                chunks = _chunks(self._ring.points(), POINTS_A_CHUNK)
                self._line = [_points_message(points, self._threshold) for points in chunks]
            return Subscription(self, viewer, read_alerts, after, self._seq, self._line)

    def leave(self, viewer: ViewerQueue) -> None:
        """Forget a viewer."""
        with self._lock:
            self._viewers.pop(viewer, None)

    def _extend(self, points: list[Point]) -> None:
        self._ring.extend(points)
        self._line = None

    def _send(self, message: bytes) -> None:
        for viewer in self._viewers:
            viewer.put(message)


class Subscription:
    """One viewer's messages, in order: replayed alerts, `caught_up`, the line so far, then everything live.

    Alerts up to the record that was published last when it began come from the store, later ones from the
    queue, so there is no hole and no double. Used by one thread.
    """

    def __init__(
        self,
        channel: Channel,
        viewer: ViewerQueue,
        read_alerts: ReadAlerts,
        after: int | None,
        until: int,
        line: list[bytes],
    ) -> None:
        self._channel = channel
        self._viewer = viewer
        self._read_alerts = read_alerts
        self._after = until if after is None else after
        self._until = until
        self._caught_up = False
        self._ready = list[bytes]()
        self._line = line

    def next(self, timeout_s: float) -> bytes | None:
        """Return the next message, one encoded JSON object; None where none comes within `timeout_s`."""
        if not self._ready and not self._caught_up:
            self._replay()
        if self._ready:
            return self._ready.pop()
        return self._viewer.get(timeout_s)

    def close(self) -> None:
        """Stop: nothing is queued for this viewer any more."""
        self._channel.leave(self._viewer)

    def _replay(self) -> None:
        """Read the next alerts of the replay, or finish it."""
        alerts: list[tuple[int, bytes]] = []
        if self._after < self._until:
            alerts = self._read_alerts(self._channel.feed, self._after, self._until, REPLAY_ALERTS)
        messages = [b'{"type":"alert","alert":' + body + b"}" for _, body in alerts]
        if len(alerts) < REPLAY_ALERTS:
            self._caught_up = True
            messages.append(msgspec.json.encode(CaughtUp(self._until)))
            messages += self._line
            self._line = []  # an idle viewer holds no memory of what it has seen
        else:
            self._after = alerts[-1][0]
        self._ready = messages[::-1]


class Hub:
    """The channels of all feeds. Lock: one for the table of channels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: dict[str, Channel] = {}

    def channel(self, feed: str) -> Channel:
        """Return a feed's channel, made when it is first asked for."""
        with self._lock:
            return self._channels.setdefault(feed, Channel(feed))

    def flush(self, monotonic_s: float) -> float | None:
        """Send all points that are due; returns when the next are, None where there are none."""
        with self._lock:
            channels = list(self._channels.values())
        due = [due_s for channel in channels if (due_s := channel.flush(monotonic_s)) is not None]
        return min(due, default=None)


def _points(scored: ScoredBatch) -> list[Point]:
    return thin(scored.first_seq, scored.time_s, scored.score, scored.flagged, POINTS_A_BATCH)


def _points_message(points: Sequence[Point], threshold: float | None) -> bytes:
    return msgspec.json.encode(Points(wire(points), threshold))


def _chunks(points: list[Point], size: int) -> list[list[Point]]:
    return [points[i : i + size] for i in range(0, len(points), size)]
