"""A scorer as its training data left it, made ready to score a feed of its own.

What was learnt stays: scales, densities, trees, calibration, habits, verdicts on entities. What belongs to
the training records alone goes: the numbers of those held back or judged, their clock, their notices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from anomalyai import state as state_codec
from anomalyai.budget import AlertBudget
from anomalyai.errors import ModelError
from anomalyai.growth import adds_columns
from anomalyai.judged import JudgedRows
from anomalyai.mismatch import require_columns, unfit
from anomalyai.notice import Notices
from anomalyai.opinion import Opinions
from anomalyai.quarantine import Quarantine
from anomalyai.schema import FeedSchema
from anomalyai.scorer import Scorer
from anomalyai.watermark import Watermark

__all__ = ["Start", "read_start"]


class Start(NamedTuple):
    """What a feed begins with: the scorer, the schema of its columns, the members that have no say."""

    scorer: Scorer
    schema: FeedSchema
    without: tuple[str, ...]

    def require(self, model_id: str, columns: Sequence[str], schema: FeedSchema) -> None:
        """Check that a model reads this start's columns, and a feed of this schema has all of them.

        Raises
        ------
        ModelError
            Naming the fields or columns that are not there.
        """
        require_columns(model_id, columns, [c.name for c in self.scorer.features.columns])
        if not adds_columns(self.schema, schema):
            raise _fields_differ(model_id, self.schema, schema)


def read_start(kind: str, start: bytes, feed: str, budget: AlertBudget) -> Start:
    """Return a scorer that learnt other records, ready for the first one of a feed; raises `StateError`."""
    state = state_codec.loads(kind, start)
    try:
        schema = msgspec.json.decode(state["scored"] or state["schema"], type=FeedSchema)
        without = tuple(state["without"])
        scorer = Scorer(schema, feed=feed, budget=budget, seed=state["seed"], without=without)
        scorer.restore(state)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise unfit(kind, error) from error
    _forget_records(scorer)
    return Start(scorer, schema.replace(settled=True), without)


def _forget_records(scorer: Scorer) -> None:
    columns, codes = len(scorer.features.measures), len(scorer.features.codes)
    scorer.quarantine = Quarantine(columns, len(scorer.features.entities), codes)
    scorer.ensemble.judged = JudgedRows(columns, codes)
    scorer.opinions, scorer.notices = Opinions(), Notices()
    scorer.watermark = Watermark(judging=scorer.schema.time is not None)
    scorer.flow.leap()


def _fields_differ(model_id: str, trained: FeedSchema, schema: FeedSchema) -> ModelError:
    scored: set[Any] = {*trained.numbers, *trained.categories, *trained.entities, trained.time}
    lacking = [
        f"{field.name} ({field.kind})"
        for field in trained.fields
        if field.name in scored
        and (field.name not in schema.by_name or schema.by_name[field.name].kind is not field.kind)
    ]
    return ModelError(
        f"model {model_id!r} reads fields that the feed has not, or as another kind: "
        f"{', '.join(lacking[:5]) or 'positions'}",
        code="model_columns",
        hint="Declare the feed's schema as the model's, or train on this feed's own records",
    )
