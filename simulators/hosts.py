"""The population behind network flows: workstations, servers, outside addresses, and the services they use.

Outside addresses are from the ranges kept free for documentation. Every workstation visits its own few
outside addresses, most of all the first; servers have fixed roles.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.rhythm import HOURS, Rhythm, hour_of_week, week

__all__ = ["MOST_WORKSTATIONS", "SERVICES", "Hosts", "Service"]

DOCUMENTATION_NETS: Final = ("192.0.2", "198.51.100", "203.0.113")  # RFC 5737
PER_HOST_DAY: Final = 500.0
MOST_WORKSTATIONS: Final = 200 * 250  # of 10.0.1.0 and what follows
SITES_EACH: Final = 25
SITE_ODDS: Final = np.cumsum((1 / np.arange(1, SITES_EACH + 1)) / (1 / np.arange(1, SITES_EACH + 1)).sum())

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Service(NamedTuple):
    """What flows of a service look like: logs of bytes and of seconds as (mean, spread)."""

    name: str
    port: int
    proto: str
    role: str  # of the servers; empty: outside
    weight: float
    bytes_out: tuple[float, float]
    bytes_in: tuple[float, float]
    duration_s: tuple[float, float]


SERVICES: Final = (
    Service("https", 443, "tcp", "", 0.44, (7.3, 0.9), (9.6, 1.4), (0.0, 1.3)),
    Service("http", 80, "tcp", "", 0.05, (6.4, 0.6), (8.6, 1.2), (-1.0, 1.0)),
    Service("dns", 53, "udp", "dns", 0.34, (4.1, 0.2), (5.0, 0.4), (-3.5, 0.6)),
    Service("ntp", 123, "udp", "dns", 0.03, (4.3, 0.05), (4.3, 0.05), (-3.2, 0.4)),
    Service("smtp", 587, "tcp", "mail", 0.03, (9.0, 1.3), (7.0, 0.4), (0.3, 0.7)),
    Service("smb", 445, "tcp", "file", 0.07, (8.6, 1.5), (10.0, 1.8), (1.5, 1.2)),
    Service("ssh", 22, "tcp", "admin", 0.01, (8.8, 0.9), (9.3, 1.0), (4.5, 1.2)),
    Service("postgres", 5432, "tcp", "data", 0.03, (7.0, 0.7), (9.0, 1.2), (-2.0, 0.9)),
)
ROLES: Final = {"dns": 2, "mail": 2, "file": 3, "admin": 4, "data": 3}
OFFICE: Final = week([(10.0, 1.8, 1.0), (15.0, 2.0, 0.9)], floor=0.08, weekend=0.25)
ALWAYS: Final = week([(12.0, 5.0, 0.2)], floor=1.0, weekend=1.0)


class Hosts:
    """Names and habits of all hosts, numbered: workstations first, then servers, then the outside.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    workstations : int
        How many there are.
    """

    def __init__(self, rng: np.random.Generator, workstations: int) -> None:
        self.workstations = workstations
        inside = [f"10.0.{1 + i // 200}.{10 + i % 200}" for i in range(workstations)]
        servers = [f"10.0.0.{10 + i}" for i in range(sum(ROLES.values()))]
        outside = [f"{net}.{last}" for net in DOCUMENTATION_NETS for last in range(1, 255)]
        self.names = np.array(inside + servers + outside, dtype=object)
        self.first_server = workstations
        self.first_outside = workstations + len(servers)
        self.outside = len(outside)
        self.known_outside = self.outside * 3 // 4  # ordinary traffic goes to these; attackers may sit beyond
        self._server_of_role: dict[str, Ints] = {}
        place = self.first_server
        for role, count in ROLES.items():
            self._server_of_role[role] = np.arange(place, place + count)
            place += count
        self._sites = rng.integers(0, self.known_outside, (workstations, SITES_EACH)) + self.first_outside
        weights = np.array([service.weight for service in SERVICES])
        self._uses = np.cumsum(rng.dirichlet(weights * 25, workstations), axis=1)
        self.volume = rng.normal(0, 0.3, workstations)  # of logs of bytes
        activity = rng.lognormal(0, 0.5, workstations)
        shape = np.where(rng.random(workstations)[:, None] < 0.15, ALWAYS, OFFICE)
        busy = shape / shape.sum(axis=1, keepdims=True) * activity[:, None]  # [workstations, 168]
        self.rhythm = Rhythm(busy.sum(axis=0), workstations * PER_HOST_DAY)
        cumulative = np.cumsum(busy.T, axis=1)
        cumulative /= cumulative[:, -1:]
        self._who = (cumulative + np.arange(HOURS)[:, None]).ravel()

    def who(self, rng: np.random.Generator, time_s: Floats) -> Ints:
        """Draw the workstations that open flows at these times, by how busy each is in that hour."""
        hours = hour_of_week(time_s)
        places = np.searchsorted(self._who, hours + rng.random(len(time_s)), side="right")
        drawn: Ints = np.clip(places - hours * self.workstations, 0, self.workstations - 1)
        return drawn

    def what(self, rng: np.random.Generator, source: Ints) -> Ints:
        """Draw the service of each flow, by the host's use."""
        chosen: Ints = (self._uses[source] < rng.random(len(source))[:, None]).sum(axis=1)
        return np.minimum(chosen, len(SERVICES) - 1)

    def whither(self, rng: np.random.Generator, source: Ints, service: Ints) -> Ints:
        """Return the destinations: the role's server that serves this host, or a site outside."""
        rank = np.minimum(np.searchsorted(SITE_ODDS, rng.random(len(source))), SITES_EACH - 1)
        target = self._sites[source, rank]
        new = rng.random(len(source)) < 0.03
        any_site = self.first_outside + rng.integers(0, self.known_outside, len(source))
        target = np.where(new, any_site, target)
        for place, kind in enumerate(SERVICES):
            if kind.role:
                servers = self._server_of_role[kind.role]
                target = np.where(service == place, servers[source % len(servers)], target)
        return target

    def any_server(self, rng: np.random.Generator) -> int:
        """Draw a server of any role."""
        return int(rng.integers(self.first_server, self.first_outside))

    def unknown_outside(self, rng: np.random.Generator) -> int:
        """Draw an outside address that no ordinary flow goes to."""
        return self.first_outside + int(rng.integers(self.known_outside, self.outside))
