"""Payments for the browser tests: ordinary ones that are all alike, and one that is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def ordinary(count: int, first: int = 0, seed: int = 7) -> list[dict[str, Any]]:
    """Return payments a minute apart, `first` minutes after the beginning; each run has its own seed."""
    rng = np.random.default_rng([seed, first])
    amounts = rng.normal(30.0, 4.0, count).round(2)
    cards = rng.integers(0, 5, count)
    return [
        {"ts": _moment(first + i), "card": f"card-{card}", "amount": amount}
        for i, (card, amount) in enumerate(zip(cards.tolist(), amounts.tolist(), strict=True))
    ]


def gross(minute: int, amount: float = 98_765.25, **more: Any) -> dict[str, Any]:
    """Return a payment thousands of times larger than all others."""
    return {"ts": _moment(minute), "card": "card-1", "amount": amount, **more}


def _moment(minute: int) -> str:
    return (BEGIN + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
