"""What can go wrong between a client and the server.

::

    ClientError
    ├── Unreachable       nothing answers, or reconnecting was given up
    ├── Refused           the server answered with an error body
    ├── Superseded        another socket took over this producer name (close code 4409)
    ├── FrameTooLarge     one record alone is over the server's frame limit (also close code 1009)
    ├── ConnectionLost    unnamed producer: frames were on their way, whether they arrived is unknown
    ├── Interrupted       the `stop` event was set while waiting
    └── ProtocolError     the server said something this client does not understand
"""

import msgspec

__all__ = [
    "ClientError",
    "ConnectionLost",
    "FrameTooLarge",
    "Interrupted",
    "ProtocolError",
    "Refused",
    "Superseded",
    "Unreachable",
]


class ClientError(Exception):
    """Base of everything the client raises on purpose."""


class Unreachable(ClientError):
    """Nothing answers at the address, or reconnecting was given up."""


class Superseded(ClientError):
    """A second socket with the same producer name closed this one."""


class FrameTooLarge(ClientError):
    """A frame, already cut down to one record, exceeds the server's `max_frame_bytes`."""


class Interrupted(ClientError):
    """The stop event was set."""


class ProtocolError(ClientError):
    """The server's answer does not follow the protocol."""


class ConnectionLost(ClientError):
    """The socket of an unnamed producer broke with `unacknowledged` records on their way."""

    def __init__(self, unacknowledged: int, cause: str) -> None:
        self.unacknowledged = unacknowledged
        super().__init__(
            f"connection lost ({cause}) with {unacknowledged} records unacknowledged, which may have been"
            " accepted or not: open the Producer with producer=NAME to have them resent exactly once"
        )


class ErrorBody(msgspec.Struct, frozen=True):
    """The inside of the one error body: `{"error": {...}}`; empty where the answer had none."""

    code: str = ""
    message: str = ""
    field: str | None = None
    hint: str | None = None


class _Envelope(msgspec.Struct):
    error: ErrorBody


class Refused(ClientError):
    """The server answered with HTTP `status`; `code`, `field`, `hint` are those of its error body."""

    def __init__(self, address: str, status: int, body: bytes, retry_after: str | None = None) -> None:
        try:
            error = msgspec.json.decode(body, type=_Envelope).error
        except msgspec.MsgspecError:  # a proxy, or another program altogether
            error = ErrorBody()
        self.status = status
        self.body = body
        self.code = error.code or f"http_{status}"
        self.field = error.field
        self.hint = error.hint
        self.retry_after_s = float(retry_after) if retry_after and retry_after.isdecimal() else None
        text = error.message or "no error body; is this address an AnomalyAI server?"
        super().__init__(
            f"{address} answered {status} {self.code}: {text}" + (f" ({self.hint})" if self.hint else "")
        )
