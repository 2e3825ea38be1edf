"""Producer sessions: the frames of one ingest socket, answered in order, numbered across connections.

A session is used by one thread, its socket's; `superseded` is set by the session that takes over. A named
producer has one session per feed. Lock: `Sessions` guards its table with one lock.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from anomalyai.errors import AnomalyAIError, TooLarge, UnreadableBody
from anomalyai.frame import Frame, open_frame
from anomalyai.intake import Admission, Intake
from stream.admission import Body
from stream.backlog import Backlog
from stream.dedup import Key, Refusal
from stream.errors import BatchConflict, LogFailure, NotReady, Superseded
from stream.feeds import Feeds, require_name
from stream.recall import PendingAnswer

WINDOW_FRAMES = 8
POLL_S = 0.5


class PendingMessage:
    """The answer to one frame, on its way."""

    def __init__(
        self,
        batch: int,
        pending: PendingAnswer | None,
        refusal: Refusal | None,
        credit: Callable[[int], int],
    ) -> None:
        self.batch = batch
        self._pending = pending
        self._refusal = refusal
        self._credit = credit

    def done(self) -> bool:
        """Whether `message` would not wait."""
        return self._pending is None or self._pending.done()

    def message(self, following: int = 0) -> dict[str, Any]:
        """Wait until the log has the frame; return its ack or error message.

        `following` is how many later frames of the socket are here already and will be answered too.

        Raises
        ------
        LogFailure
            The log could not take it: close the socket, the producer goes on with what `hello` says next.
        """
        answer = self._pending.result() if self._pending is not None else None
        refusal = answer.refusal if answer is not None else self._refusal
        if refusal is not None:
            error = {
                "code": refusal.code,
                "message": refusal.message,
                "field": refusal.field,
                "hint": refusal.hint,
            }
            credit = self._credit(following)
            return {"type": "error", "batch": self.batch, "error": error, "credit": credit}
        assert answer is not None
        assert answer.ack is not None
        ack = answer.ack
        return {
            "type": "ack",
            "batch": self.batch,
            "accepted": ack.accepted,
            "rejected": ack.rejected,
            "shed": ack.shed,
            "first_seq": ack.first_seq,
            "last_seq": ack.last_seq,
            "credit": self._credit(following),
        }


class ProducerSession:
    """The frames of one connection to one feed; made by `Sessions.open`."""

    def __init__(
        self,
        sessions: Sessions,
        feeds: Feeds,
        backlog: Backlog,
        feed: str,
        name: str | None,
        max_frame_bytes: int,
    ) -> None:
        self.feed = feed
        self.name = name
        self.superseded = threading.Event()
        self._sessions = sessions
        self._feeds = feeds
        self._backlog = backlog
        self._max_frame_bytes = max_frame_bytes
        self._holds_back = feeds.policy(feed) == "block"
        self._next: int | None = None
        self._flying: deque[PendingAnswer] = deque()

    def hello(self) -> dict[str, Any]:
        """Return the first message: where to go on, and how much may be under way."""
        return {
            "type": "hello",
            "feed": self.feed,
            "next_batch": self._next_batch(),
            "credit": self._credit(0),
            "max_frame_bytes": self._max_frame_bytes,
        }

    def submit(self, frame: bytes | str) -> dict[str, Any]:
        """Take a frame and wait until it is durable; returns its ack or error message.

        Raises
        ------
        Superseded, NotReady, LogFailure
            The socket has to be closed; nothing of the frame was acknowledged.
        """
        return self.begin(frame).message()

    def begin(self, frame: bytes | str) -> PendingMessage:
        """Take a frame without waiting for the log; waits only while too much waits for the engine.

        Messages must be sent in the order of the frames. Raises what `submit` does, `LogFailure` for an
        earlier frame.
        """
        if self._holds_back:
            self._require_room()
        self._require_open()
        data = frame.encode(errors="surrogateescape") if isinstance(frame, str) else frame
        opened: Frame | None = None
        broken: UnreadableBody | TooLarge | None = None
        try:
            if len(data) > self._max_frame_bytes:
                raise TooLarge(f"expected a frame of at most {self._max_frame_bytes} bytes, got {len(data)}")
            opened = open_frame(data)
        except (UnreadableBody, TooLarge) as error:
            broken = error
        batch = opened.batch if opened is not None and opened.batch is not None else self._next_batch()

        def read(intake: Intake, arrival_s: float) -> Admission:
            if opened is None:
                assert broken is not None
                raise broken
            return intake.admit_frame(opened, arrival_s=arrival_s)

        body = Body(
            data=opened.body if opened is not None else data,
            read=read,
            key=Key.of_batch(self.name, batch) if self.name is not None else None,
            keep_refusal=True,
            guard=self._require_current,
        )
        return self._admit(batch, body)

    def close(self) -> None:
        """Let the producer's name go. The session is not used afterwards."""
        self._sessions.close(self)

    def _admit(self, batch: int, body: Body) -> PendingMessage:
        pending: PendingAnswer | None = None
        refusal: Refusal | None = None
        expected = self._next_batch()
        try:
            if self.name is not None and batch > expected:
                raise BatchConflict(
                    f"expected batch {expected} of producer {self.name!r} or one before, got {batch}",
                    field="batch",
                    hint="send the missing batches first",
                )
            pending = self._feeds.admit(self.feed, body)
            self._flying.append(pending)
        except (Superseded, NotReady, LogFailure):
            raise
        except BatchConflict as error:
            return PendingMessage(batch, None, _refusal(error), self._credit)
        except AnomalyAIError as error:
            refusal = _refusal(error)
        self._next = max(expected, batch + 1)
        return PendingMessage(batch, pending, refusal, self._credit)

    def _next_batch(self) -> int:
        """Return the number of a frame that names none; asked of the feed when the session begins."""
        if self._next is None:
            feed = self._feeds.find(self.feed) if self.name is not None else None
            self._next = feed.next_batch(self.name) if feed is not None and self.name is not None else 1
        return self._next

    def _require_current(self) -> None:
        """Check, under the feed's lock, that this session may still add to the feed."""
        if self.superseded.is_set():
            raise Superseded(
                f"another connection of producer {self.name!r} took over",
                field="producer",
                hint="give every producer a name of its own",
            )
        while self._flying and self._flying[0].done():
            self._flying.popleft().result()

    def _require_room(self) -> None:
        while not self._backlog.wait_for_room(POLL_S):
            self._require_open()

    def _require_open(self) -> None:
        self._require_current()
        if self._backlog.closed:
            raise NotReady("the server is stopping", hint="connect again in a moment")

    def _credit(self, following: int) -> int:
        """Return how many frames may be under way, fewer as the backlog fills, 0 when it is full.

        Where no frame follows whose answer could bring new credit it is 1 at least: that frame then waits.
        """
        if not self._holds_back:
            return WINDOW_FRAMES
        credit = math.floor(WINDOW_FRAMES * min(1.0, 2.0 * (1.0 - self._backlog.fill())))
        return max(credit, 0 if following else 1)


class Sessions:
    """The sessions of named producers: the newest of a name closes the one before."""

    def __init__(self, feeds: Feeds, backlog: Backlog, max_frame_bytes: int) -> None:
        self._feeds = feeds
        self._backlog = backlog
        self._max_frame_bytes = max_frame_bytes
        self._named: dict[tuple[str, str], ProducerSession] = {}
        self._lock = threading.Lock()

    def open(self, feed: str, name: str | None) -> ProducerSession:
        """Open a session; an earlier one of the same name in the feed is superseded. Raises `FeedName`."""
        require_name(feed)
        session = ProducerSession(self, self._feeds, self._backlog, feed, name, self._max_frame_bytes)
        if name is not None:
            with self._lock:
                before = self._named.get((feed, name))
                self._named[feed, name] = session
            if before is not None:
                before.superseded.set()
        return session

    def close(self, session: ProducerSession) -> None:
        """Forget a session, unless another took its place."""
        if session.name is None:
            return
        with self._lock:
            if self._named.get((session.feed, session.name)) is session:
                del self._named[session.feed, session.name]


def _refusal(error: AnomalyAIError) -> Refusal:
    return Refusal(error.code, error.message, error.field, error.hint)
