"""Control entries of a feed's log: what changes the pipeline and is no record.

They have no sequence number of their own; the log's entry number orders them among the records.
"""

from __future__ import annotations

import msgspec

from anomalyai.schema import FeedSchema

__all__ = ["BudgetChange", "ControlEntry", "ModelSwap", "SchemaChange"]


class SchemaChange(msgspec.Struct, frozen=True, tag="schema"):
    """From here on the feed's records are read under `schema`."""

    schema: FeedSchema


class ModelSwap(msgspec.Struct, frozen=True, tag="model"):
    """From here on the batch-trained model `model_id` scores the feed; `sha256` is its artefact's."""

    model_id: str
    sha256: str
    algorithm: str


class BudgetChange(msgspec.Struct, frozen=True, tag="budget"):
    """From here on `budget`, "20/day" or "1/1000", is the promised alert rate."""

    budget: str


ControlEntry = SchemaChange | ModelSwap | BudgetChange
