"""One-shot requests: post records, read alerts, declare a schema, ask for a feed's state."""

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from anomalyai.client import wire
from anomalyai.client.errors import ProtocolError, Refused

TIMEOUT_S = 60.0
NOT_FOUND, ALL_REJECTED = 404, 422


def post(
    url: str, feed: str, records: Sequence[dict[str, Any]], *, idempotency_key: str | None = None
) -> dict[str, Any]:
    """Post records and return the server's `{"accepted", "rejected", "shed", "first_seq", "last_seq"}`.

    The same answer comes where every record was rejected. With an `idempotency_key` a repeat after an error
    is safe. Raises `Refused` (with `retry_after_s` under overload) or `Unreachable`.
    """
    headers = {"Content-Type": "application/json"}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    body = msgspec.json.encode(list(records))
    try:
        return call(url, wire.feed_path(feed, "/events"), method="POST", body=body, headers=headers)
    except Refused as refused:
        if refused.status == ALL_REJECTED and b'"rejected"' in refused.body:
            return _object(refused.body, url)
        raise


def declare(url: str, feed: str, toml: str) -> dict[str, Any]:
    """Declare a feed's schema as TOML text; `Refused` with 409 names fields whose kind would change."""
    headers = {"Content-Type": "application/toml"}
    return call(url, wire.feed_path(feed), method="PUT", body=toml.encode(), headers=headers)


def feed_status(url: str, feed: str) -> dict[str, Any] | None:
    """State of a feed (`last_seq`, `accepted`, `alerts`, `lag`, ...), None if there is no such feed."""
    try:
        return call(url, wire.feed_path(feed))
    except Refused as refused:
        if refused.status == NOT_FOUND:
            return None
        raise


def alerts(url: str, feed: str, after: int = 0, *, page: int = 1_000) -> Iterator[dict[str, Any]]:
    """All alerts of a feed above seq `after`, ascending, fetched page by page."""
    position: int | None = after
    while position is not None:
        answer = call(url, wire.feed_path(feed, "/alerts"), query={"after": position, "limit": page})
        yield from answer["alerts"]
        position = answer["next"]


def call(
    url: str,
    path: str,
    *,
    query: Mapping[str, str | int | None] | None = None,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Make one request to any route of the server; its JSON object, or `Refused` or `Unreachable`."""
    address = wire.address(url, path, query or {})
    request = urllib.request.Request(address, data=body, headers=dict(headers or {}), method=method)
    proxies = [urllib.request.ProxyHandler({})] if wire.is_loopback(url) else []
    try:
        with urllib.request.build_opener(*proxies).open(request, timeout=TIMEOUT_S) as response:
            data: bytes = response.read()
    except urllib.error.HTTPError as answer:
        with answer:
            raise Refused(address, answer.code, answer.read(), answer.headers.get("Retry-After")) from answer
    except OSError as cause:
        raise wire.unreachable(url, getattr(cause, "reason", cause)) from cause
    return _object(data, address)


def _object(data: bytes, address: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"{address}: expected a JSON object, got {data[:200]!r}") from error
