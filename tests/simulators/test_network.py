"""Network flows: that hosts have habits, and that each attack shows what it is said to show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulators.network import NetworkSimulator
from simulators.rhythm import hour_of_day
from tests.simulators.test_simulators import collect, missing


@pytest.fixture(scope="module")
def flows() -> dict[str, Any]:
    return collect(NetworkSimulator(7, 0.05), 120_000)


def attacks(flows: dict[str, Any], name: str) -> list[np.ndarray]:
    """Return the places of the flows of each pair of hosts of a kind of attack."""
    pairs: dict[tuple[str, str], list[int]] = {}
    for place in np.flatnonzero(flows["attack"] == name):
        pairs.setdefault((flows["src"][place], flows["dst"][place]), []).append(int(place))
    return [np.array(places) for places in pairs.values()]


def test_hosts_visit_few_places_and_rest_at_night(flows: dict[str, Any]) -> None:
    ordinary = flows["attack"] == ""
    counts: dict[str, dict[str, int]] = {}
    for src, dst in zip(flows["src"][ordinary], flows["dst"][ordinary], strict=True):
        counts.setdefault(src, {}).setdefault(dst, 0)
        counts[src][dst] += 1
    top = [sum(sorted(seen.values())[-10:]) / sum(seen.values()) for seen in counts.values()]
    assert np.median(top) > 0.6
    hours = np.bincount(hour_of_day(flows["time_s"][ordinary]), minlength=24)
    assert hours[10] > 2 * hours[3]


def test_unanswered_flows_lack_what_a_flow_log_lacks(flows: dict[str, Any]) -> None:
    unanswered = np.isin(flows["state"].astype(str), ("S0", "REJ"))
    assert 0.01 < np.mean(unanswered[flows["attack"] == ""]) < 0.03
    for field in ("bytes_in", "duration_s"):
        assert np.array_equal(missing(flows[field]), unanswered)
    assert min(flows["packets"]) >= 1
    assert {flows["service"][p] for p in np.flatnonzero(flows["dst_port"] == 53)} == {"dns"}


def test_a_port_scan_is_many_ports_in_seconds(flows: dict[str, Any]) -> None:
    scans = attacks(flows, "port_scan")
    assert len(scans) >= 20
    for places in scans:
        assert len(set(flows["dst_port"][places])) >= 0.9 * len(places)
        assert set(flows["state"][places]) <= {"REJ", "S0"}
    one_scan = [places for places in scans if len(places) <= 80]
    assert np.median([np.ptp(flows["time_s"][places]) for places in one_scan]) < 20
    ordinary = flows["attack"] == ""
    assert len(set(flows["dst_port"][ordinary])) == 8


def test_brute_force_is_many_alike_flows_to_a_login(flows: dict[str, Any]) -> None:
    tries = attacks(flows, "brute_force")
    assert len(tries) >= 15
    for places in tries:
        assert set(flows["dst_port"][places]) <= {22, 3389}
        assert len(places) >= 20
        out = flows["bytes_out"][places].astype(float)
        assert out.std() < 0.1 * out.mean()
        assert np.median(np.diff(flows["time_s"][places])) < 4


def test_exfiltration_is_vast_at_night_and_to_a_new_address(flows: dict[str, Any]) -> None:
    taken = flows["attack"] == "exfiltration"
    ordinary = flows["attack"] == ""
    out = flows["bytes_out"].astype(float)
    assert taken.sum() > 100
    assert np.quantile(out[taken], 0.05) > 20 * np.quantile(out[ordinary], 0.999)
    assert np.mean(hour_of_day(flows["time_s"][taken]) < 6) > 0.9
    assert not set(flows["dst"][taken]) & set(flows["dst"][ordinary])


def test_beaconing_keeps_an_exact_rhythm(flows: dict[str, Any]) -> None:
    calls = [places for places in attacks(flows, "beaconing") if len(places) <= 40]
    assert len(calls) >= 20
    whole = 0
    for places in calls:
        gaps = np.diff(flows["time_s"][places])
        period = min((60, 120, 300), key=lambda known: abs(known - np.median(gaps)))
        assert np.all(np.abs(gaps - period) < 0.25 * period)
        assert flows["bytes_out"][places].astype(float).std() < 10
        whole += len(places) >= 20
    assert whole >= 0.8 * len(calls)
    assert not set(flows["dst"][flows["attack"] == "beaconing"]) & set(flows["dst"][flows["attack"] == ""])


def test_a_small_office_works_too() -> None:
    records = list(NetworkSimulator(1, 0.1, workstations=5).records(3_000))
    inside = {record["src"] for record in records if record["src"].startswith("10.0.1.")}
    assert inside == {f"10.0.1.{10 + i}" for i in range(5)}
