"""Pairs of fields that hold a place on earth, recognised by general names.

A latitude's name has the part `lat` or `latitude`, a longitude's `lon`, `lng`, `long` or `longitude`, and
what else is in the two names is equal: `merch_lat` goes with `merch_long`, `geo.latitude` with
`geo.longitude`, `startLat` with `startLng`, `lat2` with `lon2`. Upper and lower case are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["name_parts", "recognised_positions"]

LATITUDES: Final = frozenset({"lat", "latitude"})
LONGITUDES: Final = frozenset({"lon", "lng", "long", "longitude"})

_EDGE: Final = re.compile(r"[^a-z0-9]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NUMBERED: Final = re.compile(r"([a-z]+)(\d+)")


def name_parts(name: str) -> list[str]:
    """Return the words of a field name, in lower case.

    >>> name_parts("homeAddress.ZIP-code")
    ['home', 'address', 'zip', 'code']
    """
    return [part for part in _EDGE.split(_CAMEL.sub("_", name).lower()) if part]


def recognised_positions(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return (latitude, longitude) pairs among field names, in the order of the latitudes.

    A field is part of one pair at most; the first that fits is taken.

    >>> recognised_positions(["amount", "lat", "long", "merch_lat", "merch_long", "home_lat"])
    (('lat', 'long'), ('merch_lat', 'merch_long'))
    """
    latitudes: dict[tuple[str, ...], str] = {}
    longitudes: dict[tuple[str, ...], str] = {}
    for name in names:
        parts = _numbered_apart(name_parts(name))
        for words, found in ((LATITUDES, latitudes), (LONGITUDES, longitudes)):
            rest = _without(parts, words)
            if rest is not None:
                found.setdefault(rest, name)
    return tuple(
        (name, longitudes[rest])
        for rest, name in latitudes.items()
        if rest in longitudes and longitudes[rest] != name
    )


def _numbered_apart(parts: Sequence[str]) -> list[str]:
    """Return the parts with `lat2` as `lat`, `2`; other words keep their digits."""
    apart: list[str] = []
    for part in parts:
        numbered = _NUMBERED.fullmatch(part)
        if numbered and numbered[1] in LATITUDES | LONGITUDES:
            apart += [numbered[1], numbered[2]]
        else:
            apart.append(part)
    return apart


def _without(parts: Sequence[str], words: frozenset[str]) -> tuple[str, ...] | None:
    """Return the parts with the only one that is in `words` blanked; None if none is, or several."""
    places = [place for place, part in enumerate(parts) if part in words]
    if len(places) != 1:
        return None
    return (*parts[: places[0]], "", *parts[places[0] + 1 :])
