"""Addresses, opening a socket, back-off, and the bytes of frames and answers."""

import random
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from anomalyai.client.errors import (
    ClientError,
    ErrorBody,
    FrameTooLarge,
    ProtocolError,
    Refused,
    Superseded,
    Unreachable,
)

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
PONG_TIMEOUT_S = 60.0  # a server that holds a producer back does not read, so it answers pings late
LARGEST_ANSWER_BYTES = 16 * 2**20
FIRST_DELAY_S, LONGEST_DELAY_S = 0.1, 5.0
LOOPBACK = {"localhost", "127.0.0.1", "::1"}
CLOSE_POLICY, CLOSE_TOO_LARGE, CLOSE_SUPERSEDED = 1008, 1009, 4409


class RejectedItem(msgspec.Struct, frozen=True):
    """One record of a frame that was not accepted; `index` counts from 0 within the frame."""

    index: int
    error: str
    field: str | None = None


class Hello(msgspec.Struct, frozen=True, tag_field="type", tag="hello"):
    """First message of the server on an ingest socket; `credit` in frames."""

    credit: int
    max_frame_bytes: int
    next_batch: int = 1


class Ack(msgspec.Struct, frozen=True, tag_field="type", tag="ack"):
    """The frame is durable; seqs are null when no record of it was accepted."""

    batch: int
    accepted: int
    rejected: list[RejectedItem]
    shed: int
    first_seq: int | None
    last_seq: int | None
    credit: int


class FrameError(msgspec.Struct, frozen=True, tag_field="type", tag="error"):
    """The whole frame was unreadable; its batch number is used up."""

    batch: int | None
    error: ErrorBody
    credit: int


_answers = msgspec.json.Decoder(Hello | Ack | FrameError)


def decode_answer(data: bytes | str) -> Hello | Ack | FrameError:
    """One message of an ingest socket; `ProtocolError` if it is none of the three."""
    try:
        answer: Hello | Ack | FrameError = _answers.decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"expected hello, ack or error, got {data[:200]!r}: {error}") from error
    return answer


def address(url: str, path: str, query: Mapping[str, str | int | None], *, socket: bool = False) -> str:
    """Join `url` (http or https, with or without a base path) and `path`; ws or wss for a `socket`.

    >>> address("http://127.0.0.1:8000/", "/feeds/a/live", {"after": 3, "x": None}, socket=True)
    'ws://127.0.0.1:8000/feeds/a/live?after=3'
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"expected a server address such as http://127.0.0.1:8000, got {url!r}")
    scheme = parts.scheme.replace("http", "ws") if socket else parts.scheme
    given = {name: value for name, value in query.items() if value is not None}
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{path}" + (
        f"?{urlencode(given)}" if given else ""
    )


def feed_path(feed: str, rest: str = "") -> str:
    """Path of a feed's resource, for instance `/feeds/card/events`."""
    return f"/feeds/{quote(feed, safe='')}{rest}"


def is_loopback(url: str) -> bool:
    """Whether the address is this machine, which no proxy may come between."""
    return urlsplit(url).hostname in LOOPBACK


def unreachable(url: str, cause: object) -> Unreachable:
    """Build the one sentence for an address where nothing answers."""
    parts = urlsplit(url)
    server = f"{parts.scheme.replace('ws', 'http')}://{parts.netloc}"
    return Unreachable(
        f"no server answers at {server} ({cause}): start one with `anomalyai serve`, or check the address"
    )


def open_socket(url: str) -> ClientConnection:
    """Connect and shake hands, or raise `Unreachable` or `Refused`; enter the result to own its closing."""
    try:
        return connect(
            url,
            compression=None,
            proxy=None if is_loopback(url) else True,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_timeout=PONG_TIMEOUT_S,
            max_size=LARGEST_ANSWER_BYTES,
        )
    except InvalidStatus as answer:
        response = answer.response
        raise Refused(
            url, response.status_code, bytes(response.body), response.headers.get("Retry-After")
        ) from answer
    except (OSError, WebSocketException, EOFError) as cause:
        raise unreachable(url, cause) from cause


def fatal_close(closed: ConnectionClosed) -> ClientError | None:
    """Tell a close that reconnecting cannot mend (None: it can: 1001 going away, 1006 broken, 1011, 1013)."""
    code = closed.rcvd.code if closed.rcvd else None
    if code == CLOSE_SUPERSEDED:
        return Superseded("another connection uses this producer name: give each producer its own")
    if code == CLOSE_TOO_LARGE:
        return FrameTooLarge(f"the server closed the socket over a message's size ({closed})")
    if code == CLOSE_POLICY:
        return ProtocolError(f"the server closed the socket: {closed}")
    return None


class Backoff:
    """Delays between attempts: none, then 0.1 s doubling up to 5 s, +-25 %, until `patience_s` is over."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._attempts = 0
        self._since_s = 0.0

    def reset(self) -> None:
        """Progress was made: the next break starts from the shortest delay and a full patience."""
        self._attempts = 0

    def next_delay_s(self) -> float | None:
        """Seconds to wait before the next attempt, None when patience is over."""
        now_s = time.monotonic()
        self._attempts += 1
        if self._attempts == 1:
            self._since_s = now_s
            return 0.0
        if now_s - self._since_s > self.patience_s:
            return None
        delay_s = min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(self._attempts - 2, 10))
        return delay_s * random.uniform(0.75, 1.25)


def encode_records(records: Sequence[dict[str, Any]]) -> bytes:
    """Envelope of a frame after its batch number: as columns, or as records where fields differ too much."""
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise TypeError(
                f"record {index} must be a dict of fields, got {type(record).__name__}: {record!r:.100}"
            )
    names = dict.fromkeys(chain.from_iterable(records))
    if not names or len(names) * len(records) > 2 * sum(map(len, records)):
        return b'"records":%b}' % msgspec.json.encode(records)
    columns = {name: [record.get(name) for record in records] for name in names}
    return b'"columns":%b}' % msgspec.json.encode(columns)


def join_records(records: Sequence[bytes]) -> bytes:
    """Envelope of a frame after its batch number, around records that are JSON already."""
    return b'"records":[%b]}' % b",".join(records)


def encode_columns(columns: Mapping[str, Sequence[Any]], rows: range) -> bytes:
    """Envelope of a frame after its batch number, from the `rows` of equally long columns."""
    part = {name: values[rows.start : rows.stop] for name, values in columns.items()}
    return b'"columns":%b}' % msgspec.json.encode(part)


def plain(values: Sequence[Any]) -> Sequence[Any]:
    """Python values of a column: arrays by their `tolist`, lists and tuples as they are."""
    to_list = getattr(values, "tolist", None)
    return values if to_list is None else to_list()
