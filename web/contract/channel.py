"""What a socket says of itself, beside its view: query, what it receives and what it sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from web.contract.operation import KEY, View


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """What one socket takes and gives, from the server's side.

    `receives` has a type and media type for each form of message that clients send, by name; `sends` the
    structs that the server sends. `closes` says what the closing codes mean.
    """

    sends: tuple[type[msgspec.Struct], ...]
    receives: Mapping[str, tuple[str, Any]] = {}
    closes: Mapping[int, str] = {}
    query: type[msgspec.Struct] | None = None

    @property
    def body_types(self) -> tuple[Any, ...]:
        """No socket has a body."""
        return ()


def channel(
    *,
    sends: tuple[type[msgspec.Struct], ...],
    receives: Mapping[str, tuple[str, Any]] | None = None,
    closes: Mapping[int, str] | None = None,
    query: type[msgspec.Struct] | None = None,
) -> Callable[[View], View]:
    """State what a socket's view takes and gives; goes below `websocket`."""
    stated = Channel(sends=sends, receives=receives or {}, closes=closes or {}, query=query)

    def state(view: View) -> View:
        vars(view)[KEY] = stated
        return view

    return state


def channel_of(view: Callable[..., Any]) -> Channel | None:
    """Return what a view states of its socket; None where it states nothing."""
    stated = getattr(view, KEY, None)
    return stated if isinstance(stated, Channel) else None
