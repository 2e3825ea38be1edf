"""Places on earth: which fields go together by their names."""

import pytest

from anomalyai.position import name_parts, recognised_positions


@pytest.mark.parametrize(
    ("names", "pairs"),
    [
        (["lat", "lon"], (("lat", "lon"),)),
        (["lon", "lat"], (("lat", "lon"),)),
        (["latitude", "longitude"], (("latitude", "longitude"),)),
        (["lat", "lng"], (("lat", "lng"),)),
        (["LAT", "Lng"], (("LAT", "Lng"),)),
        (["merch_lat", "merch_long"], (("merch_lat", "merch_long"),)),
        (["latitude_home", "longitude_home"], (("latitude_home", "longitude_home"),)),
        (["geo.lat", "geo.lng"], (("geo.lat", "geo.lng"),)),
        (["startLat", "startLng"], (("startLat", "startLng"),)),
        (["lat1", "lon1", "lat2", "lon2"], (("lat1", "lon1"), ("lat2", "lon2"))),
        (["lat_deg", "lon_deg", "alt"], (("lat_deg", "lon_deg"),)),
        (["lat", "long", "merch_lat", "merch_long"], (("lat", "long"), ("merch_lat", "merch_long"))),
        (["lat", "lon", "long"], (("lat", "lon"),)),
        (["lat", "latitude", "lon"], (("lat", "lon"),)),
        (["lat", "merch_lon"], ()),
        (["lat"], ()),
        (["lon"], ()),
        (["platform", "balloon"], ()),
        (["latency", "long"], ()),
        (["lat_lon"], ()),
        (["flat", "flon"], ()),
        (["lat1", "lon2"], ()),
        ([], ()),
    ],
)  # fmt: skip
def test_names_of_latitude_and_longitude(names: list[str], pairs: tuple[tuple[str, str], ...]) -> None:
    assert recognised_positions(names) == pairs


@pytest.mark.parametrize(
    ("name", "parts"),
    [("merchLat", ["merch", "lat"]), ("IP4.addr-2", ["ip4", "addr", "2"]), ("ä", []), ("", [])],
)
def test_parts_of_a_name(name: str, parts: list[str]) -> None:
    assert name_parts(name) == parts
