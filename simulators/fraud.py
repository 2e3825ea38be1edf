"""Card payments: customers with habits, and three kinds of fraud among them.

Event time runs with the population, about 5,000 payments a day for 2,000 customers, whatever the pace of
sending. Habits are home city, favourite shops in each category, amounts by category and wealth, hours of the
day, weekends, trips. The frauds:

- `card_testing`: 5 to 12 tiny online payments within minutes, then a big one.
- `account_takeover`: at night, in a far city, by magnetic stripe: 3 to 7 purchases several times the usual.
- `amount_inflation`: at a usual shop at a usual hour, one or two payments 5 to 15 times too high.

The label is a field of the record; which fraud it was is not, so that no detector can read it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np

from simulators.cardholder import CATEGORIES, ONLINE_SHOPS, STREET, Cardholders, online_shop
from simulators.rhythm import DAY_S, HOUR_S, MONDAY_S
from simulators.simulator import START_S, Attack, Events, Simulator, texts_of_times, with_gaps

__all__ = ["FraudSimulator"]

EVENT: Final = np.dtype([
    ("time_s", "f8"), ("attack", "i1"), ("customer", "i8"), ("category", "i8"), ("shop", "i8"),
    ("amount", "f8"), ("channel", "i1"),
])  # fmt: skip
CHANNELS: Final = ("chip", "contactless", "online", "magstripe")
CHIP, CONTACTLESS, ONLINE, MAGSTRIPE = range(4)
CONTACTLESS_LIMIT: Final = 50.0
NO_POSITION, NO_CHANNEL = 0.01, 0.005  # shares of records that lack them
OLD_TERMINALS: Final = 0.03  # share of ordinary payments, not by tap, that still use the magnetic stripe
BY_NAME: Final = {category.name: place for place, category in enumerate(CATEGORIES)}


class FraudSimulator(Simulator):
    """Card payments with fraud.

    Parameters
    ----------
    seed, anomaly_share, start_s, first
        As for every `Simulator`.
    customers : int
        Size of the population; the rate of event time is in proportion.
    """

    name: ClassVar[str] = "fraud"
    attacks: ClassVar[tuple[Attack, ...]] = (
        Attack("card_testing", 0.40, 9.5),
        Attack("account_takeover", 0.35, 5.0),
        Attack("amount_inflation", 0.25, 1.5),
    )
    feed_toml: ClassVar[str] = """\
[feed]
name = "Card payments"
time = "time"
id = "transaction_id"
label = "label"
entities = ["customer", "merchant"]
categories = ["category", "channel"]
numbers = ["amount"]
positions = [["lat", "lon"]]
"""

    def __init__(
        self,
        seed: int = 0,
        anomaly_share: float = 0.005,
        start_s: float = START_S,
        first: int = 1,
        *,
        customers: int = 2_000,
    ) -> None:
        if customers < 1:
            raise ValueError(f"customers must be at least 1, got {customers}")
        super().__init__(seed, anomaly_share, start_s, first)
        self.customers = customers

    def _populate(self, rng: np.random.Generator) -> None:
        self._people = Cardholders(rng, self.customers)
        self._customer_names = np.array([f"c{i:05d}" for i in rng.permutation(self.customers)], dtype=object)
        shops = len(self._people.price)
        self._shop_names = np.array([f"m{i:04d}" for i in rng.permutation(shops)], dtype=object)
        self._category_names = np.array([category.name for category in CATEGORIES], dtype=object)

    def _ordinary(self, rng: np.random.Generator, after_s: float, count: int) -> Events:
        people = self._people
        events = np.zeros(count, EVENT)
        if count:
            time_s = events["time_s"] = people.rhythm.arrivals(rng, after_s, count)
            people.travel(rng, after_s, float(time_s[-1]))
            customer = events["customer"] = people.who(rng, time_s)
            category = events["category"] = people.what(rng, customer)
            city = people.where(rng, customer, time_s)
            shop = events["shop"] = people.shop(rng, customer, category, city)
            amount = events["amount"] = people.amount(rng, customer, category, shop)
            tap = (amount < CONTACTLESS_LIMIT) & (rng.random(count) < 0.8)
            card = np.where(tap, CONTACTLESS, np.where(rng.random(count) < OLD_TERMINALS, MAGSTRIPE, CHIP))
            events["channel"] = np.where(category >= STREET, ONLINE, card)
        return events

    def _attack(self, rng: np.random.Generator, name: str, start_s: float) -> Events:
        victim = int(self._people.who(rng, np.array([start_s]))[0])
        draw = {
            "card_testing": self._card_testing,
            "account_takeover": self._account_takeover,
            "amount_inflation": self._amount_inflation,
        }[name]
        events = draw(rng, victim, start_s)
        events["customer"] = victim
        return events

    def _card_testing(self, rng: np.random.Generator, victim: int, start_s: float) -> Events:
        tests = int(rng.integers(5, 13))
        events = np.zeros(tests + 1, EVENT)
        gaps_s = 3 + rng.exponential(20, tests + 1)
        gaps_s[-1] += rng.uniform(30, 240)
        events["time_s"] = start_s + np.cumsum(gaps_s)
        events["category"] = rng.choice([BY_NAME["online_retail"], BY_NAME["subscription"]], tests + 1)
        events["category"][-1] = BY_NAME["online_retail"]
        events["shop"] = online_shop(events["category"], rng.integers(0, ONLINE_SHOPS, tests + 1))
        events["amount"] = rng.uniform(0.5, 3, tests + 1)
        events["amount"][-1] = rng.lognormal(6.6, 0.4)
        events["channel"] = ONLINE
        return events

    def _account_takeover(self, rng: np.random.Generator, victim: int, start_s: float) -> Events:
        purchases = int(rng.integers(3, 8))
        events = np.zeros(purchases, EVENT)
        midnight_s = start_s - (start_s - MONDAY_S) % DAY_S
        night_s = midnight_s + rng.uniform(1, 4) * HOUR_S
        if night_s < start_s:
            night_s += DAY_S
        events["time_s"] = night_s + np.cumsum(180 + rng.exponential(400, purchases))
        category = events["category"] = rng.choice(
            [BY_NAME["clothing"], BY_NAME["electronics"], BY_NAME["fuel"]], purchases
        )
        city = np.full(purchases, self._people.far_city(rng, victim))
        who = np.full(purchases, victim)
        shop = events["shop"] = self._people.shop(rng, who, category, city)
        events["amount"] = self._people.amount(rng, who, category, shop) * rng.uniform(3, 8, purchases)
        events["channel"] = MAGSTRIPE
        return events

    def _amount_inflation(self, rng: np.random.Generator, victim: int, start_s: float) -> Events:
        payments = int(rng.integers(1, 3))
        events = np.zeros(payments, EVENT)
        events["time_s"] = start_s + np.array([0.0, rng.uniform(1, 24) * HOUR_S])[:payments]
        who = np.full(payments, victim)
        category = events["category"] = self._people.what(rng, who)
        city = self._people.home[who]
        shop = events["shop"] = self._people.shop(rng, who, category, city)
        events["amount"] = self._people.amount(rng, who, category, shop) * rng.uniform(5, 15, payments)
        events["channel"] = np.where(category >= STREET, ONLINE, CHIP)
        return events

    def _columns(self, rng: np.random.Generator, events: Events, first: int) -> dict[str, list[Any]]:
        shop = events["shop"]
        street = events["category"] < STREET
        located = street & (rng.random(len(events)) >= NO_POSITION)
        at = np.where(street, shop, 0)
        channel = np.array(CHANNELS, dtype=object)[events["channel"]]
        channel[rng.random(len(events)) < NO_CHANNEL] = None
        return {
            "time": texts_of_times(events["time_s"]),
            "transaction_id": [f"t{number:09d}" for number in range(first, first + len(events))],
            "customer": self._customer_names[events["customer"]].tolist(),
            "merchant": self._shop_names[shop].tolist(),
            "category": self._category_names[events["category"]].tolist(),
            "amount": np.round(np.maximum(events["amount"], 0.5), 2).tolist(),
            "lat": with_gaps(np.round(self._people.shop_lat[at], 4), located),
            "lon": with_gaps(np.round(self._people.shop_lon[at], 4), located),
            "channel": channel.tolist(),
        }
