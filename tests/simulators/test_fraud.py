"""Card payments: that customers have habits, and that each fraud breaks the habit it is said to break."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simulators.cardholder import kilometres
from simulators.fraud import FraudSimulator
from simulators.rhythm import hour_of_day, hour_of_week
from tests.simulators.test_simulators import collect, missing


@pytest.fixture(scope="module")
def payments() -> dict[str, Any]:
    return collect(FraudSimulator(7, 0.02, customers=1_000), 120_000)


def median_by_customer(payments: dict[str, Any], values: Any, mask: Any) -> dict[str, float]:
    grouped: dict[str, list[float]] = {}
    for who, value in zip(payments["customer"][mask], values[mask], strict=True):
        grouped.setdefault(who, []).append(value)
    return {who: float(np.median(of_one)) for who, of_one in grouped.items()}


def runs(payments: dict[str, Any], name: str) -> list[np.ndarray]:
    """Return the places of each fraud of a kind: one victim's, no two days apart."""
    by_victim: dict[str, list[int]] = {}
    for place in np.flatnonzero(payments["attack"] == name):
        by_victim.setdefault(payments["customer"][place], []).append(int(place))
    found = []
    for places in by_victim.values():
        gaps = np.diff(payments["time_s"][places]) > 7_200
        found += np.split(np.array(places), np.flatnonzero(gaps) + 1)
    return found


def test_customers_keep_to_their_shops(payments: dict[str, Any]) -> None:
    ordinary = payments["attack"] == ""
    pairs: dict[tuple[str, str], list[str]] = {}
    columns = (payments["customer"][ordinary], payments["category"][ordinary], payments["merchant"][ordinary])
    for who, category, shop in zip(*columns, strict=True):
        pairs.setdefault((who, category), []).append(shop)
    favourite = [
        max(map(shops.count, set(shops))) / len(shops) for shops in pairs.values() if len(shops) >= 20
    ]
    assert len(favourite) > 500
    assert 0.45 < np.median(favourite) < 0.75


def test_amounts_differ_by_category_and_by_customer(payments: dict[str, Any]) -> None:
    ordinary = payments["attack"] == ""
    amount = payments["amount"].astype(float)
    groceries = np.median(amount[ordinary & (payments["category"] == "groceries")])
    electronics = np.median(amount[ordinary & (payments["category"] == "electronics")])
    transport = np.median(amount[ordinary & (payments["category"] == "transport")])
    assert 2 * transport < groceries < electronics / 2
    of_customers = list(
        median_by_customer(payments, amount, ordinary & (payments["category"] == "groceries")).values()
    )
    assert np.quantile(of_customers, 0.9) > 1.8 * np.quantile(of_customers, 0.1)
    assert amount.min() >= 0.5


def test_days_and_weekends_have_a_rhythm(payments: dict[str, Any]) -> None:
    hours = np.bincount(hour_of_day(payments["time_s"]), minlength=24)
    assert hours[12] > 4 * hours[4]
    own: dict[str, set[int]] = {}
    for who, hour in zip(payments["customer"], hour_of_week(payments["time_s"]) % 24, strict=True):
        own.setdefault(who, set()).add(int(hour))
    assert np.median([len(seen) for seen in own.values()]) < 20


def test_people_pay_near_home_but_travel(payments: dict[str, Any]) -> None:
    there = (payments["attack"] == "") & ~missing(payments["lat"])
    lat, lon = payments["lat"][there].astype(float), payments["lon"][there].astype(float)
    who = payments["customer"][there]
    home = {
        name: (np.median(lat[who == name]), np.median(lon[who == name]))
        for name in list(dict.fromkeys(who))[:60]
    }
    away = [
        float(np.mean(kilometres(*home[name], lat[who == name], lon[who == name]) > 100)) for name in home
    ]
    assert 0.01 < np.mean(away) < 0.25
    online = payments["channel"] == "online"
    assert missing(payments["lat"][online]).all()


def test_card_testing_is_many_small_payments_then_a_big_one(payments: dict[str, Any]) -> None:
    amount, time_s = payments["amount"].astype(float), payments["time_s"]
    bursts = runs(payments, "card_testing")
    assert len(bursts) > 40
    for places in bursts:
        assert 6 <= len(places) <= 13
        assert amount[places[:-1]].max() <= 3
        assert amount[places[-1]] > 100
        assert time_s[places[-1]] - time_s[places[0]] < 3_600
        assert set(payments["channel"][places]) <= {"online", None}
    ordinary = payments["attack"] == ""
    assert np.median([np.diff(time_s[places]).min() for places in bursts]) < 20
    assert np.mean(amount[ordinary] <= 3) < 0.06


def test_account_takeover_is_far_at_night_and_dear(payments: dict[str, Any]) -> None:
    amount = payments["amount"].astype(float)
    ordinary = payments["attack"] == ""
    there = ordinary & ~missing(payments["lat"])
    lat = median_by_customer(payments, payments["lat"], there)
    lon = median_by_customer(payments, payments["lon"], there)
    taken = payments["attack"] == "account_takeover"
    assert taken.sum() > 200
    assert (
        np.mean((hour_of_day(payments["time_s"])[taken] >= 1) & (hour_of_day(payments["time_s"])[taken] < 6))
        > 0.95
    )
    assert np.mean(hour_of_day(payments["time_s"])[ordinary] < 6) < 0.15
    usual = {
        category: np.median(amount[ordinary & (payments["category"] == category)])
        for category in set(payments["category"][taken])
    }
    ratios = [amount[p] / usual[payments["category"][p]] for p in np.flatnonzero(taken)]
    assert 3.5 < np.median(ratios) < 8
    located = np.flatnonzero(taken & ~missing(payments["lat"]))
    apart = [
        kilometres(lat[who], lon[who], payments["lat"][p], payments["lon"][p])
        for p in located
        if (who := payments["customer"][p]) in lat
    ]
    assert np.quantile(apart, 0.05) > 500


def test_amount_inflation_is_dear_at_usual_shops(payments: dict[str, Any]) -> None:
    amount = payments["amount"].astype(float)
    ordinary = payments["attack"] == ""
    visited = set(zip(payments["customer"][ordinary], payments["merchant"][ordinary], strict=True))
    inflated = np.flatnonzero(payments["attack"] == "amount_inflation")
    assert len(inflated) > 300
    known = [(payments["customer"][p], payments["merchant"][p]) in visited for p in inflated]
    assert np.mean(known) > 0.75
    ratios = []
    for place in inflated:
        like = ordinary & (payments["customer"] == payments["customer"][place])
        like &= payments["category"] == payments["category"][place]
        if like.sum() >= 5:
            ratios.append(amount[place] / np.median(amount[like]))
    assert 6 < np.median(ratios) < 14


def test_no_single_field_gives_fraud_away(payments: dict[str, Any]) -> None:
    fraud = payments["attack"] != ""
    for field in ("category", "channel", "customer", "merchant"):
        for value in set(payments[field][fraud]):
            share = np.mean(fraud[payments[field] == value])
            assert share < 0.75, (field, value, share)
