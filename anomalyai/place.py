"""Places on earth: how far apart, how fast an entity would have travelled, how far from its usual place."""

from __future__ import annotations

from typing import Any

import numpy as np

from anomalyai.detectors.compilation import compiled

EARTH_RADIUS_KM = 6_371.0
STATS = 5
"""Float32 statistics of an entity: last latitude and longitude, usual ones, count of known places."""

MIN_TRAVEL_H = 0.05
"""Hours added to every journey: places are not exact to the metre, nor times to the second."""

DECAY = 0.5 ** (1.0 / 100.0)
"""An entity's own places after which an old one counts half: a hundred."""


@compiled
def distance_km(latitude: Any, longitude: Any, other_latitude: Any, other_longitude: Any) -> Any:
    """Return the great-circle distance of two places in degrees (the haversine formula)."""
    half_turn = np.pi / 180.0
    rise = np.sin((other_latitude - latitude) * half_turn / 2.0)
    turn = np.sin((other_longitude - longitude) * half_turn / 2.0)
    chord = rise * rise + np.cos(latitude * half_turn) * np.cos(other_latitude * half_turn) * turn * turn
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(min(chord, 1.0)))


@compiled
def is_place(latitude: Any, longitude: Any) -> Any:
    """Return whether both are known and on earth."""
    return abs(latitude) <= 90.0 and abs(longitude) <= 360.0


@compiled
def journey(stats: Any, slot: Any, at: Any, latitude: Any, longitude: Any, pause_s: Any) -> Any:
    """Return (ln(1 + km/h) since the last place, ln(1 + km) from the usual one), then learn the place.

    NaN while there is none to compare with; the speed is NaN where `pause_s` is.
    """
    speed = np.nan
    away = np.nan
    count = float(stats[slot, at + 4])
    if count > 0.0:
        usual_longitude = float(stats[slot, at + 3])
        away = np.log1p(distance_km(latitude, longitude, float(stats[slot, at + 2]), usual_longitude))
        travelled_km = distance_km(latitude, longitude, float(stats[slot, at]), float(stats[slot, at + 1]))
        speed = np.log1p(travelled_km / (pause_s / 3_600.0 + MIN_TRAVEL_H))
        count = count * DECAY + 1.0
        turn = (longitude - usual_longitude + 180.0) % 360.0 - 180.0  # the short way round
        stats[slot, at + 2] += np.float32((latitude - stats[slot, at + 2]) / count)
        stats[slot, at + 3] += np.float32(turn / count)
    else:
        count = 1.0
        stats[slot, at + 2] = np.float32(latitude)
        stats[slot, at + 3] = np.float32(longitude)
    stats[slot, at] = np.float32(latitude)
    stats[slot, at + 1] = np.float32(longitude)
    stats[slot, at + 4] = np.float32(count)
    return speed, away


@compiled
def distances_apart(places: Any, other: Any, out: Any) -> None:
    """Write ln(1 + km) between two places, float64 [n, 2] each, to `out` [n]; NaN where one is unknown."""
    for i in range(len(out)):
        out[i] = np.nan
        if is_place(places[i, 0], places[i, 1]) and is_place(other[i, 0], other[i, 1]):
            out[i] = np.log1p(distance_km(places[i, 0], places[i, 1], other[i, 0], other[i, 1]))
