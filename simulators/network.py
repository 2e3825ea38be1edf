"""Network flows of an office: workstations, servers and the outside, and four kinds of attack among them.

Event time runs with the population, about 90,000 flows a day for 180 workstations, whatever the pace of
sending. Habits are office hours, the services a host uses, the sites it visits, and bytes and durations by
service. The attacks:

- `port_scan`: one host tries 25 to 80 ports of a server within seconds; refused or unanswered.
- `brute_force`: an outside address tries passwords at ssh or remote desktop, 20 to 60 short alike flows.
- `exfiltration`: 1 to 4 flows of hundreds of megabytes, at night, to an address never seen before.
- `beaconing`: 20 to 40 small alike flows to an address never seen before, in an exact rhythm.

As in a flow log, a refused or unanswered connection has no duration and no bytes in, and a port without a
known service has none. The label is a field of the record; which attack it was is not.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from simulators.hosts import MOST_WORKSTATIONS, SERVICES, Hosts
from simulators.rhythm import DAY_S, HOUR_S, MONDAY_S
from simulators.simulator import START_S, Attack, Events, Simulator, texts_of_times, with_gaps

__all__ = ["NetworkSimulator"]

EVENT: Final = np.dtype([
    ("time_s", "f8"), ("attack", "i1"), ("src", "i8"), ("dst", "i8"), ("port", "i8"), ("proto", "i1"),
    ("bytes_out", "f8"), ("bytes_in", "f8"), ("duration_s", "f8"), ("state", "i1"),
])  # fmt: skip
PROTOS: Final = ("tcp", "udp")
STATES: Final = ("SF", "S0", "REJ", "RSTO")  # closed properly, no answer, refused, reset by the opener
SF, S0, REJ, RSTO = range(4)
STATE_ODDS: Final = (0.962, 0.010, 0.008, 0.020)
SSH, REMOTE_DESKTOP = 22, 3389
SERVICE_OF_PORT: Final = {service.port: service.name for service in SERVICES} | {REMOTE_DESKTOP: "rdp"}
PORTS: Final = np.array([service.port for service in SERVICES])
IS_UDP: Final = np.array([service.proto == "udp" for service in SERVICES])
PACKET_BYTES: Final = 900


class NetworkSimulator(Simulator):
    """Network flows with attacks.

    Parameters
    ----------
    seed, anomaly_share, start_s, first
        As for every `Simulator`.
    workstations : int
        Size of the office; the rate of event time is in proportion.
    """

    name: ClassVar[str] = "network"
    attacks: ClassVar[tuple[Attack, ...]] = (
        Attack("port_scan", 0.35, 52.5),
        Attack("brute_force", 0.25, 40.0),
        Attack("exfiltration", 0.10, 2.5),
        Attack("beaconing", 0.30, 30.0),
    )
    feed_toml: ClassVar[str] = """\
[feed]
name = "Network flows"
time = "time"
label = "label"
entities = ["src", "dst"]
categories = ["dst_port", "proto", "service", "state"]
numbers = ["bytes_out", "bytes_in", "packets", "duration_s"]
"""

    def __init__(
        self,
        seed: int = 0,
        anomaly_share: float = 0.005,
        start_s: float = START_S,
        first: int = 1,
        *,
        workstations: int = 180,
    ) -> None:
        if not 1 <= workstations <= MOST_WORKSTATIONS:
            raise ValueError(f"workstations must be 1 to {MOST_WORKSTATIONS}, got {workstations}")
        super().__init__(seed, anomaly_share, start_s, first)
        self.workstations = workstations

    def _populate(self, rng: np.random.Generator) -> None:
        self._hosts = Hosts(rng, self.workstations)

    def _ordinary(self, rng: np.random.Generator, after_s: float, count: int) -> Events:
        hosts = self._hosts
        events = np.zeros(count, EVENT)
        if count:
            time_s = events["time_s"] = hosts.rhythm.arrivals(rng, after_s, count)
            source = events["src"] = hosts.who(rng, time_s)
            service = hosts.what(rng, source)
            events["dst"] = hosts.whither(rng, source, service)
            events["port"] = PORTS[service]
            events["proto"] = IS_UDP[service]
            volume = hosts.volume[source]
            for field in ("bytes_out", "bytes_in"):
                middle, spread = np.array([getattr(kind, field) for kind in SERVICES]).T
                noise = spread[service] * rng.standard_normal(count)
                events[field] = np.exp(middle[service] + noise + volume)
            middle, spread = np.array([kind.duration_s for kind in SERVICES]).T
            events["duration_s"] = np.exp(middle[service] + spread[service] * rng.standard_normal(count))
            events["state"] = rng.choice(len(STATES), count, p=STATE_ODDS)
        return events

    def _attack(self, rng: np.random.Generator, name: str, start_s: float) -> Events:
        draw = {
            "port_scan": self._port_scan,
            "brute_force": self._brute_force,
            "exfiltration": self._exfiltration,
            "beaconing": self._beaconing,
        }[name]
        return draw(rng, start_s)

    def _port_scan(self, rng: np.random.Generator, start_s: float) -> Events:
        events = np.zeros(int(rng.integers(25, 81)), EVENT)
        events["time_s"] = start_s + np.cumsum(rng.exponential(0.15, len(events)))
        events["src"] = rng.integers(0, self.workstations)
        events["dst"] = self._hosts.any_server(rng)
        events["port"] = rng.choice(np.arange(1, 10_001), len(events), replace=False)
        events["state"] = np.where(rng.random(len(events)) < 0.75, REJ, S0)
        events["bytes_out"] = rng.choice([40, 44, 60], len(events))
        return events

    def _brute_force(self, rng: np.random.Generator, start_s: float) -> Events:
        events = np.zeros(int(rng.integers(20, 61)), EVENT)
        events["time_s"] = start_s + np.cumsum(1 + rng.exponential(1.0, len(events)))
        events["src"] = self._hosts.unknown_outside(rng)
        events["dst"] = self._hosts.any_server(rng)
        events["port"] = rng.choice([SSH, REMOTE_DESKTOP])
        events["bytes_out"] = rng.normal(1_800, 60, len(events))
        events["bytes_in"] = rng.normal(2_200, 60, len(events))
        events["duration_s"] = rng.uniform(0.8, 2.5, len(events))
        events["state"] = np.where(rng.random(len(events)) < 0.4, RSTO, SF)
        return events

    def _exfiltration(self, rng: np.random.Generator, start_s: float) -> Events:
        events = np.zeros(int(rng.integers(1, 5)), EVENT)
        midnight_s = start_s - (start_s - MONDAY_S) % DAY_S
        night_s = midnight_s + rng.uniform(0, 4) * HOUR_S
        if night_s < start_s:
            night_s += DAY_S
        events["time_s"] = night_s + np.cumsum(rng.exponential(600, len(events)))
        events["src"] = rng.integers(0, self.workstations)
        events["dst"] = self._hosts.unknown_outside(rng)
        events["port"] = 443
        events["bytes_out"] = rng.lognormal(19.8, 0.6, len(events))
        events["bytes_in"] = events["bytes_out"] * rng.uniform(0.01, 0.02, len(events))
        events["duration_s"] = rng.uniform(100, 2_000, len(events))
        return events

    def _beaconing(self, rng: np.random.Generator, start_s: float) -> Events:
        events = np.zeros(int(rng.integers(20, 41)), EVENT)
        period_s = float(rng.choice([60, 120, 300]))
        jitter = rng.normal(0, 0.02 * period_s, len(events))
        events["time_s"] = start_s + np.maximum(period_s * np.arange(len(events)) + jitter, 0)
        events["src"] = rng.integers(0, self.workstations)
        events["dst"] = self._hosts.unknown_outside(rng)
        events["port"] = rng.choice([443, 8443])
        events["bytes_out"] = rng.normal(300, 3, len(events))
        events["bytes_in"] = rng.normal(200, 3, len(events))
        events["duration_s"] = rng.normal(0.2, 0.01, len(events))
        return events

    def _columns(self, rng: np.random.Generator, events: Events, first: int) -> dict[str, list[Any]]:
        names = self._hosts.names
        answered = ~np.isin(events["state"], (S0, REJ))
        bytes_out = np.round(events["bytes_out"])
        bytes_in = np.where(answered, np.round(events["bytes_in"]), 0)
        packets = 1 + 3 * answered + (bytes_out + bytes_in) // PACKET_BYTES
        ports = events["port"].tolist()
        return {
            "time": texts_of_times(events["time_s"]),
            "src": names[events["src"]].tolist(),
            "dst": names[events["dst"]].tolist(),
            "dst_port": ports,
            "proto": np.array(PROTOS, dtype=object)[events["proto"]].tolist(),
            "service": [SERVICE_OF_PORT.get(port) for port in ports],
            "bytes_out": bytes_out.astype(np.int64).tolist(),
            "bytes_in": with_gaps(bytes_in.astype(np.int64), answered),
            "packets": packets.astype(np.int64).tolist(),
            "duration_s": with_gaps(np.round(events["duration_s"], 3), answered),
            "state": np.array(STATES, dtype=object)[events["state"]].tolist(),
        }
