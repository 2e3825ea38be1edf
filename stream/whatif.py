"""Another alert budget for a feed: what it would have flagged lately, and putting it in. From any thread."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from anomalyai.budget import AlertBudget
from anomalyai.comparison import Comparison
from anomalyai.control import BudgetChange
from stream.candidate.comparison import LEAD_RECORDS, WAIT_S, Comparisons
from stream.candidate.replay import Question
from stream.engine import Engine
from stream.feeds import Feeds
from stream.judgement import wait_for

__all__ = ["Budgets", "WhatIf"]


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """A feed's latest records at another budget: the champion is what was flagged at the time.

    `exact` and `note` say how true it is to what would have been.
    """

    feed: str
    budget: str
    exact: bool
    note: str | None
    comparison: Comparison


class Budgets:
    """Asks about budgets and changes them; `require_ready` raises `NotReady` where the runtime is not."""

    def __init__(
        self, feeds: Feeds, engine: Engine, comparisons: Comparisons, require_ready: Callable[[], None]
    ) -> None:
        self._feeds = feeds
        self._engine = engine
        self._comparisons = comparisons
        self._require_ready = require_ready

    def what_if(self, feed: str, budget: str, last: int, wait_s: float = WAIT_S) -> WhatIf | None:
        """Say what the last records would have raised at a budget; None where it takes longer.

        Raises
        ------
        UnknownFeed, SchemaError
            There is no such feed, or the budget is none.
        ModelError, Overloaded, NotReady
            The past cannot be played, or not now.
        """
        self._feeds.get(feed)
        AlertBudget.parse(budget)
        question = Question(feed=feed, budget=budget, records=last, lead_records=LEAD_RECORDS)
        answer = self._comparisons.ask(question, wait_s)
        if answer is None:
            return None
        return WhatIf(
            feed=feed,
            budget=budget,
            exact=answer.exact,
            note=answer.note,
            comparison=answer.comparison,
        )

    def change(self, feed: str, budget: str) -> None:
        """Let a budget hold from the next record on; what was learnt stays. Returns once it does.

        Raises
        ------
        UnknownFeed, SchemaError, LogFailure, NotReady
            There is no such feed, the budget is none, or it cannot be done now.
        """
        self._require_ready()
        AlertBudget.parse(budget)
        [entry] = self._feeds.get(feed).control(BudgetChange(budget)).result()
        wait_for(self._engine.confirm(feed, entry), "the budget")
