"""The population behind card payments: cities, shops, and customers with habits, drawn from one seed.

Shops stand in a grid, so that choosing one is arithmetic: `IN_CITY` shops of each category in each city, then
`ONLINE_SHOPS` of each online category. Every customer ranks the shops of a category in the home city (and the
online ones) once, and mostly goes to the first.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulators.rhythm import DAY_S, HOURS, Rhythm, hour_of_week, week

__all__ = ["CATEGORIES", "Cardholders", "Category", "kilometres"]

CITIES: Final = 20
IN_CITY: Final = 5
ONLINE_SHOPS: Final = 20
RANK_ODDS: Final = np.cumsum([0.62, 0.22, 0.10, 0.04, 0.02])
PER_CUSTOMER_DAY: Final = 2.5
TRIP_EVERY_DAYS: Final = 45.0

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Category(NamedTuple):
    """A line of trade: how often, the log of amounts (mean, spread), and whether it is online."""

    name: str
    weight: float
    log_amount: float
    spread: float
    online: bool


CATEGORIES: Final = (
    Category("groceries", 0.30, 3.3, 0.50, False),
    Category("restaurant", 0.17, 3.2, 0.45, False),
    Category("fuel", 0.09, 3.8, 0.25, False),
    Category("transport", 0.12, 1.5, 0.45, False),
    Category("clothing", 0.06, 4.0, 0.50, False),
    Category("pharmacy", 0.06, 2.8, 0.50, False),
    Category("electronics", 0.03, 4.7, 0.60, False),
    Category("online_retail", 0.10, 3.6, 0.65, True),
    Category("subscription", 0.05, 2.4, 0.25, True),
    Category("travel", 0.02, 5.0, 0.60, True),
)
STREET: Final = sum(not category.online for category in CATEGORIES)
ONLINE: Final = len(CATEGORIES) - STREET
STREET_SHOPS: Final = CITIES * STREET * IN_CITY

# early birds, office hours, evenings, nights
LIVES: Final = np.stack([
    week([(8.0, 1.5, 1.0), (17.0, 2.0, 0.6)], floor=0.02, weekend=0.8),
    week([(12.5, 1.2, 1.0), (18.0, 1.8, 1.0)], floor=0.02, weekend=1.3),
    week([(14.0, 2.5, 0.5), (20.5, 1.8, 1.0)], floor=0.03, weekend=1.4),
    week([(22.5, 2.0, 0.7), (3.0, 1.5, 0.4)], floor=0.10, weekend=1.0),
])  # fmt: skip
LIFE_SHARES: Final = (0.25, 0.45, 0.28, 0.02)


class Cardholders:
    """Customers, cities and shops; what changes as time goes on is who is on a trip, and where.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws everything.
    customers : int
        How many there are.
    """

    def __init__(self, rng: np.random.Generator, customers: int) -> None:
        self.customers = customers
        self.city_lat = rng.uniform(38, 58, CITIES)
        self.city_lon = rng.uniform(-8, 24, CITIES)
        self.home = rng.choice(CITIES, customers, p=_falling(CITIES))
        self.wealth = rng.normal(0, 0.35, customers)
        taste = np.array([category.weight for category in CATEGORIES])
        self._taste = np.cumsum(rng.dirichlet(taste * 12, customers), axis=1)
        shops = STREET_SHOPS + ONLINE * ONLINE_SHOPS
        self.price = rng.normal(0, 0.15, shops)
        city_of_shop = np.arange(STREET_SHOPS) // (STREET * IN_CITY)
        self.shop_lat = self.city_lat[city_of_shop] + rng.normal(0, 0.06, STREET_SHOPS)
        self.shop_lon = self.city_lon[city_of_shop] + rng.normal(0, 0.09, STREET_SHOPS)
        self._street_rank = rng.permuted(np.tile(np.arange(IN_CITY), (customers, STREET, 1)), axis=2)
        self._online_rank = rng.permuted(np.tile(np.arange(ONLINE_SHOPS), (customers, ONLINE, 1)), axis=2)
        activity = rng.lognormal(0, 0.5, customers)
        life = rng.choice(len(LIVES), customers, p=LIFE_SHARES)
        busy = LIVES[life] / LIVES[life].sum(axis=1, keepdims=True) * activity[:, None]  # [customers, 168]
        self.rhythm = Rhythm(busy.sum(axis=0), customers * PER_CUSTOMER_DAY)
        cumulative = np.cumsum(busy.T, axis=1)
        cumulative /= cumulative[:, -1:]
        self._who = (cumulative + np.arange(HOURS)[:, None]).ravel()  # one ascending list for all hours
        self._away_until_s = np.zeros(customers)
        self._away_city = np.zeros(customers, dtype=np.int64)

    def who(self, rng: np.random.Generator, time_s: Floats) -> Ints:
        """Draw the customers who pay at these times, by how busy each is in that hour of the week."""
        hours = hour_of_week(time_s)
        places = np.searchsorted(self._who, hours + rng.random(len(time_s)), side="right")
        drawn: Ints = np.clip(places - hours * self.customers, 0, self.customers - 1)
        return drawn

    def what(self, rng: np.random.Generator, customer: Ints) -> Ints:
        """Draw the category each of them buys in, by taste."""
        chosen: Ints = (self._taste[customer] < rng.random(len(customer))[:, None]).sum(axis=1)
        return np.minimum(chosen, len(CATEGORIES) - 1)

    def where(self, rng: np.random.Generator, customer: Ints, time_s: Floats) -> Ints:
        """Return the city each is in: at home, rarely in another for a purchase, or on a trip."""
        city = np.where(time_s < self._away_until_s[customer], self._away_city[customer], self.home[customer])
        visiting = rng.random(len(customer)) < 0.01
        return np.where(visiting, rng.integers(0, CITIES, len(customer)), city)

    def shop(self, rng: np.random.Generator, customer: Ints, category: Ints, city: Ints) -> Ints:
        """Draw the shop: by the customer's own ranking, rarely any."""
        rank = np.searchsorted(RANK_ODDS, rng.random(len(customer)))
        rank = np.minimum(rank, IN_CITY - 1)
        online = category >= STREET
        trade = np.where(online, 0, category)
        street = self._street_rank[customer, trade, rank]
        net = self._online_rank[customer, np.where(online, category - STREET, 0), rank]
        any_place = rng.random(len(customer)) < 0.05
        street = np.where(any_place, rng.integers(0, IN_CITY, len(customer)), street)
        net = np.where(any_place, rng.integers(0, ONLINE_SHOPS, len(customer)), net)
        return np.where(online, online_shop(category, net), (city * STREET + trade) * IN_CITY + street)

    def amount(self, rng: np.random.Generator, customer: Ints, category: Ints, shop: Ints) -> Floats:
        """Draw what is paid: lognormal by category, customer and shop."""
        log_amount = np.array([c.log_amount for c in CATEGORIES])[category]
        spread = np.array([c.spread for c in CATEGORIES])[category]
        noise = spread * rng.standard_normal(len(customer))
        amounts: Floats = np.exp(log_amount + noise + self.wealth[customer] + self.price[shop])
        return amounts

    def travel(self, rng: np.random.Generator, from_s: float, until_s: float) -> None:
        """Let some customers set off on a trip of 2 to 7 days between two times."""
        expected = self.customers * (until_s - from_s) / (TRIP_EVERY_DAYS * DAY_S)
        leaving = rng.integers(0, self.customers, rng.poisson(expected))
        self._away_city[leaving] = rng.integers(0, CITIES, len(leaving))
        self._away_until_s[leaving] = until_s + rng.uniform(2, 7, len(leaving)) * DAY_S

    def far_city(self, rng: np.random.Generator, customer: int) -> int:
        """Draw a city among the five farthest from a customer's home."""
        home = self.home[customer]
        away = kilometres(self.city_lat[home], self.city_lon[home], self.city_lat, self.city_lon)
        return int(rng.choice(np.argsort(away)[-5:]))


def online_shop(category: Ints, place: Ints) -> Ints:
    """Return the shop number of the place-th online shop of an online category."""
    return STREET_SHOPS + (category - STREET) * ONLINE_SHOPS + place


def kilometres(lat: float, lon: float, lats: Floats, lons: Floats) -> Floats:
    """Return great-circle distances (haversine) in kilometres from one point to many, in degrees."""
    first, others = np.radians(lat), np.radians(lats)
    half = np.sin((others - first) / 2) ** 2
    half = half + np.cos(first) * np.cos(others) * np.sin(np.radians(lons - lon) / 2) ** 2
    apart: Floats = 2 * 6_371.0 * np.arcsin(np.sqrt(half))
    return apart


def _falling(count: int) -> Floats:
    weights = 1 / np.arange(1, count + 1) ** 0.7
    shares: Floats = weights / weights.sum()
    return shares
