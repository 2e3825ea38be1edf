"""Sending records over a WebSocket: credit, acks, reconnecting and resuming."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from anomalyai.client import wire
from anomalyai.client.errors import (
    ClientError,
    ConnectionLost,
    FrameTooLarge,
    Interrupted,
    ProtocolError,
    Refused,
    Unreachable,
)

POLL_S = 0.2
ENVELOPE_BYTES = 64  # room for {"batch":N, around a payload
KEPT_REJECTIONS = 1_000
RETRIED_STATUS = {429, 502, 503, 504}


@dataclass(slots=True)
class Totals:
    """What became of the records handed over so far."""

    sent: int = 0
    accepted: int = 0
    rejected: int = 0
    shed: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    reconnects: int = 0

    @property
    def unacknowledged(self) -> int:
        """Records whose fate is not known yet."""
        return self.sent - self.accepted - self.rejected - self.shed


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """One record the server did not accept; `index` counts from 0 all records handed to this producer."""

    index: int
    field: str | None
    error: str


@dataclass(slots=True)
class _Flight:
    """A frame until its ack: envelope after the batch number, records in it, index of its first record."""

    payload: bytes
    records: int
    offset: int
    batch: int


class Producer:
    """Send records to one feed, several frames in flight, each acknowledged once it is durable.

    With a `producer` name, frames that were unacknowledged when the connection broke are sent again after
    reconnecting, under their old batch numbers; the server answers a repeat with its first answer, so
    nothing is lost and nothing is there twice. Without a name a break with frames in flight raises
    `ConnectionLost`.

    Order: records become durable in the order handed over. Memory: at most the server's credit + 1 encoded
    frames. Threads: belongs to the one that opened it; only `stop` may be set from elsewhere, also from a
    signal handler. Waiting is done in slices of 0.2 s, after which `stop` is looked at.

    Parameters
    ----------
    url : str
        The server, for instance ``http://127.0.0.1:8000``.
    feed : str
        Feed name, ``[a-z0-9][a-z0-9_-]{0,63}``.
    producer : str or None
        Name under which the server numbers this producer's frames.
    frame_records : int
        Most records in one frame; frames are also kept under the server's ``max_frame_bytes``.
    patience_s : float
        How long to go on reconnecting after a break before `Unreachable` is raised.
    on_rejection : callable or None
        Called with each `RejectedRecord`; the last 1,000 are kept in `rejections` anyway.
    stop : threading.Event or None
        Once set, `send` raises `Interrupted` instead of waiting on; `flush` still works.
    """

    def __init__(
        self,
        url: str,
        feed: str,
        producer: str | None = None,
        *,
        frame_records: int = 1_000,
        patience_s: float = 60.0,
        on_rejection: Callable[[RejectedRecord], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        if frame_records < 1:
            raise ValueError(f"frame_records must be at least 1, got {frame_records}")
        self._address = wire.address(
            url, wire.feed_path(feed, "/ingest"), {"producer": producer}, socket=True
        )
        self._named = producer is not None
        self._frame_records = frame_records
        self._on_rejection = on_rejection
        self._stop = threading.Event() if stop is None else stop
        self._backoff = wire.Backoff(patience_s)
        self._stack = ExitStack()
        self._socket: ClientConnection | None = None
        self._pending: deque[_Flight] = deque()  # unacknowledged, oldest first; at most credit + 1
        self._on_wire = 0  # how many of them were sent on the present connection
        self._next_batch: int | None = None  # named: number of the next new frame, once hello said it
        self._frames_here = 0  # unnamed: frames sent on the present connection
        self._credit = 0
        self._max_frame_bytes = 0
        self.totals = Totals()
        self.rejections: deque[RejectedRecord] = deque(maxlen=KEPT_REJECTIONS)

    def __enter__(self) -> Self:
        """Connect; `Unreachable` at once if nothing answers."""
        self._connect(first=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush if all went well, then close; after an error close without waiting for acks."""
        try:
            if error is None and self._socket is not None:
                self.flush()
        finally:
            self.close()

    def close(self) -> None:
        """Close the socket without waiting for acks; nothing can be sent afterwards."""
        self._stack.close()
        self._socket = None

    def send(self, records: Sequence[dict[str, Any]]) -> None:
        """Send records, in order; returns when the credit let the last frame go, before its ack.

        A key that is absent and one that is null are the same to the server; NaN and infinities are sent as
        null.
        """
        for start in range(0, len(records), self._frame_records):
            self._post(wire.encode_records, records[start : start + self._frame_records])

    def send_columns(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Send records given as equally long columns (lists, tuples, arrays with `tolist`); the fast form."""
        values = {name: wire.plain(column) for name, column in columns.items()}
        lengths = {name: len(column) for name, column in values.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns must be equally long, got {lengths}")
        rows = range(max(lengths.values(), default=0))
        for start in range(0, len(rows), self._frame_records):
            self._post(
                lambda part: wire.encode_columns(values, part), rows[start : start + self._frame_records]
            )

    def send_raw(self, records: Sequence[bytes]) -> None:
        """Send records as the JSON texts they are, so that the server judges the very bytes.

        Each must be a complete JSON value in itself: the frame's envelope is put around them unchecked.
        """
        for start in range(0, len(records), self._frame_records):
            self._post(wire.join_records, records[start : start + self._frame_records])

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until every frame is acknowledged; False if that took longer than `timeout_s`."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        return self._until(lambda: not self._pending, deadline_s=deadline_s, stop=None)

    def _post(self, encode: Callable[[Any], bytes], part: Any) -> None:
        """Encode `part`, in halves as long as it is over the limit, and send it."""
        self._connection()
        payload = encode(part)
        if len(payload) > self._max_frame_bytes - ENVELOPE_BYTES:
            if len(part) == 1:
                raise FrameTooLarge(
                    f"record {self.totals.sent} takes {len(payload)} bytes, the server takes frames of at"
                    f" most {self._max_frame_bytes}: drop its largest field, or raise that limit"
                )
            self._post(encode, part[: len(part) // 2])
            self._post(encode, part[len(part) // 2 :])
            return
        self._pending.append(_Flight(payload, len(part), self.totals.sent, self._next_batch or 0))
        self._next_batch = None if self._next_batch is None else self._next_batch + 1
        self.totals.sent += len(part)
        self._until(lambda: self._on_wire == len(self._pending), deadline_s=None, stop=self._stop)

    def _until(
        self, done: Callable[[], bool], *, deadline_s: float | None, stop: threading.Event | None
    ) -> bool:
        """Send what the credit allows and take answers in until `done`; False once the deadline passed."""
        while True:
            try:
                self._take_answers(0.0)
                self._transmit()
                if done():
                    return True
                if stop is not None and stop.is_set():
                    raise Interrupted("stopped while waiting for the server's credit")
                left_s = POLL_S if deadline_s is None else min(POLL_S, deadline_s - time.monotonic())
                if left_s <= 0:
                    return False
                self._take_answers(left_s)
            except ConnectionClosed as closed:
                self._take_last_answers()
                self._lost(closed)
                if not self._connect(deadline_s=deadline_s, stop=stop):
                    return False

    def _transmit(self) -> None:
        while self._on_wire < min(len(self._pending), self._credit):
            flight = self._pending[self._on_wire]
            if not self._named:
                self._frames_here += 1
                flight.batch = self._frames_here
            self._on_wire += 1
            self._connection().send(b'{"batch":%d,%b' % (flight.batch, flight.payload))

    def _take_answers(self, wait_s: float) -> None:
        """Handle the first answer that comes within `wait_s`, and all that are there already."""
        connection = self._connection()
        try:
            while True:
                self._handle(wire.decode_answer(connection.recv(timeout=wait_s)))
                wait_s = 0.0
        except TimeoutError:
            return

    def _take_last_answers(self) -> None:
        """Handle what the server answered before the connection broke."""
        connection = self._connection()
        with suppress(ConnectionClosed, TimeoutError):
            while True:
                self._handle(wire.decode_answer(connection.recv(timeout=wire.CLOSE_TIMEOUT_S)))

    def _handle(self, answer: wire.Hello | wire.Ack | wire.FrameError) -> None:
        if isinstance(answer, wire.Hello) or not self._on_wire or answer.batch != self._pending[0].batch:
            raise ProtocolError(f"expected the answer to the oldest frame in flight, got {str(answer)[:300]}")
        self._backoff.reset()
        self._credit = answer.credit
        flight = self._pending.popleft()
        self._on_wire -= 1
        if isinstance(answer, wire.FrameError):
            self.totals.rejected += flight.records
            text = f"{flight.records} records: {answer.error.code}: {answer.error.message}"
            self._reject(RejectedRecord(flight.offset, answer.error.field, text))
            return
        self.totals.accepted += answer.accepted
        self.totals.shed += answer.shed
        self.totals.rejected += len(answer.rejected)
        if self.totals.first_seq is None:
            self.totals.first_seq = answer.first_seq
        if answer.last_seq is not None:
            self.totals.last_seq = answer.last_seq
        for item in answer.rejected:
            self._reject(RejectedRecord(flight.offset + item.index, item.field, item.error))

    def _reject(self, record: RejectedRecord) -> None:
        self.rejections.append(record)
        if self._on_rejection is not None:
            self._on_rejection(record)

    def _lost(self, closed: ConnectionClosed) -> None:
        fatal = wire.fatal_close(closed)
        if fatal is not None:
            raise fatal from closed
        if self._on_wire and not self._named:
            raise ConnectionLost(sum(flight.records for flight in self._pending), str(closed)) from closed
        self.totals.reconnects += 1

    def _connect(
        self, *, first: bool = False, deadline_s: float | None = None, stop: threading.Event | None = None
    ) -> bool:
        """Open the socket and read hello, repeatedly with growing delays; False once the deadline passed."""
        error: ClientError | None = None
        while (delay_s := self._backoff.next_delay_s()) is not None:
            if deadline_s is not None and time.monotonic() + delay_s > deadline_s:
                return False
            if stop is None:
                time.sleep(delay_s)
            elif stop.wait(delay_s):
                raise Interrupted("stopped while reconnecting")
            self._stack.close()
            try:
                self._socket = self._stack.enter_context(wire.open_socket(self._address))
                self._hello(wire.decode_answer(self._socket.recv(timeout=wire.OPEN_TIMEOUT_S)))
                return True
            except Refused as refused:
                if refused.status not in RETRIED_STATUS:
                    raise
                error = refused
            except ConnectionClosed as closed:
                error = wire.fatal_close(closed)
                if error is not None:
                    raise error from closed
                error = wire.unreachable(self._address, closed)
            except (Unreachable, TimeoutError) as cause:
                error = (
                    cause
                    if isinstance(cause, ClientError)
                    else wire.unreachable(self._address, "no hello in time")
                )
                if first:
                    raise error from cause
        raise error or wire.unreachable(self._address, "the connection keeps breaking")

    def _hello(self, hello: wire.Hello | wire.Ack | wire.FrameError) -> None:
        """Take the server's limits in and check that its batch count goes with ours.

        All unacknowledged frames go out again, also those below the `next_batch` offered: a repeat is
        answered by its first ack, and that is the only way to learn what became of each record.
        """
        if not isinstance(hello, wire.Hello):
            raise ProtocolError(f"expected hello first, got {str(hello)[:300]}")
        self._credit = hello.credit
        self._max_frame_bytes = hello.max_frame_bytes
        self._on_wire = self._frames_here = 0
        if not self._named:
            return
        if self._next_batch is None:
            self._next_batch = hello.next_batch
        oldest = self._pending[0].batch if self._pending else self._next_batch
        if not oldest <= hello.next_batch <= self._next_batch:
            raise ProtocolError(
                f"the server expects batch {hello.next_batch} of this producer, whose unacknowledged"
                f" frames are {oldest} to {self._next_batch - 1}: log replaced, or name used twice?"
            )

    def _connection(self) -> ClientConnection:
        if self._socket is None:
            raise ProtocolError("the producer is not open: use `with Producer(...) as producer:`")
        return self._socket
