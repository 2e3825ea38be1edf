"""What a pipeline has to say besides alerts: a drift was found, a new normal was adopted."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ["MAX_NOTICES", "Notice", "Notices"]

MAX_NOTICES = 32
"""Notices kept in a feed's state, the latest ones."""


class Notice(msgspec.Struct, frozen=True):
    """One thing said at the end of the block whose last record was number `seen` of the feed.

    `kind` is adopted (what was held back has been learnt), or for a drift what changed: level, spread or
    missing of a number, mix of a category or an entity, score of the feed. `field` is None where it concerns
    no single field. `before` and `after` are of a drift: a level in the number's own unit, a spread relative
    to the usual one, a share of missing values, a mean rarity in nats, a mean raw score.
    """

    seen: int
    kind: Literal["adopted", "level", "spread", "missing", "mix", "score"]
    field: str | None
    text: str
    before: float | None = None
    after: float | None = None


class Notices:
    """The latest notices; further back ones are dropped."""

    def __init__(self) -> None:
        self.kept: list[Notice] = []
        self._fresh: list[Notice] = []

    def say(self, notice: Notice) -> None:
        """Add a notice."""
        self.kept = [*self.kept, notice][-MAX_NOTICES:]
        self._fresh.append(notice)

    def take(self) -> list[Notice]:
        """Return the notices since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"kept": msgspec.json.encode(self.kept)}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.kept = msgspec.json.decode(state["kept"], type=list[Notice])
        self._fresh = []
