"""Who may talk to the server from a browser: checks of `Host` and `Origin`, and the headers of every answer.

The server has no access control yet and listens on loopback alone, but a page from anywhere can send requests
to loopback through the user's browser. Two checks stop that. `Host` must be a loopback name or listed: a
foreign name that resolves to this machine (DNS rebinding) is refused. `Origin`, where there is one, must be
our own or listed, on every upgrade and on every request that changes something: browsers always send it
across origins, programs never do.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, request
from flask_cors import CORS

from web.loopback import is_loopback
from web.refusal import RequestError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def init_app(
    app: Flask, allowed_hosts: Sequence[str], allowed_origins: Sequence[str], loose_styles: bool
) -> None:
    """Check every request and mark every answer.

    `loose_styles` allows inline styles, which the fallback chart library writes; scripts are never inline.
    CORS answers are sent only to listed origins, and not at all when none is listed.
    """
    hosts = frozenset(host.lower() for host in allowed_hosts)
    origins = frozenset(origin.lower().rstrip("/") for origin in allowed_origins)

    def check() -> None:
        _check_host(hosts)
        _check_origin(origins)

    def mark(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Content-Security-Policy", policy(loose_styles))
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("X-Frame-Options", "DENY")
        headers.setdefault("Referrer-Policy", "no-referrer")
        headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        return response

    app.before_request(check)
    app.after_request(mark)
    if origins:
        CORS(app, origins=sorted(origins), max_age=600)


def _host_name(authority: str) -> str | None:
    """Return the name of a `Host` header, without its port; None when it is not one."""
    try:
        parts = urlsplit(f"//{authority}")
        _ = parts.port  # raises when it is no port
    except ValueError:
        return None
    return None if parts.username or parts.path or parts.query or parts.fragment else parts.hostname


def _check_host(listed: frozenset[str]) -> None:
    authority = request.headers.get("Host", "")
    name = _host_name(authority)
    if name is None or not (is_loopback(name) or name in listed):
        raise RequestError(
            403,
            "host_refused",
            f"expected a loopback name as Host, got {authority[:100]!r}",
            hint="use http://127.0.0.1, or list the name under server.allowed_hosts",
        )


def _check_origin(listed: frozenset[str]) -> None:
    origin = request.headers.get("Origin")
    upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
    if origin is None or (request.method in SAFE_METHODS and not upgrade):
        return
    own = {f"{scheme}://{request.headers['Host']}".lower() for scheme in ("http", "https")}
    if origin.lower() not in own and origin.lower() not in listed:
        raise RequestError(
            403,
            "origin_refused",
            f"requests from pages of {origin[:100]!r} are refused",
            hint="open the page from this server, or list the origin under server.allowed_origins",
        )


def policy(loose_styles: bool) -> str:
    """Return the content security policy of an answer; `loose_styles` allows inline styles."""
    host = request.headers.get("Host", "")
    styles = "'self' 'unsafe-inline'" if loose_styles else "'self'"
    sockets = f" ws://{host} wss://{host}" if _host_name(host) else ""
    return (
        f"default-src 'self'; connect-src 'self'{sockets}; style-src {styles}; img-src 'self' data: blob:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
