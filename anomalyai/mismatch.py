"""What does not belong together: models, states, batches and the pipeline that is asked to take them."""

from __future__ import annotations

from collections.abc import Sequence

from anomalyai.errors import ModelError, StateError
from anomalyai.provisional import MAX_RECORDS
from anomalyai.schema import FeedSchema

__all__ = ["reads", "require_columns", "require_schema", "require_young", "unfit"]


def require_schema(schema: FeedSchema, applied: FeedSchema) -> None:
    """Check that a batch was read under the schema applied last; raises `StateError`."""
    if schema != applied:
        raise StateError(
            f"expected a batch under the schema of {len(applied.fields)} fields applied last, "
            f"got one of {len(schema.fields)} fields",
            code="schema_mismatch",
            hint="Apply the SchemaChange that stands before the batch",
        )


def require_young(model_id: str, seen: int, schema: FeedSchema) -> None:
    """Check that a feed has no settled records of its own; raises `ModelError`."""
    if schema.settled and seen >= MAX_RECORDS:
        raise ModelError(
            f"model {model_id!r} can only start a feed of fewer than {MAX_RECORDS} records, "
            f"this one has {seen}",
            code="model_columns",
            hint="Train a model on this feed's own records",
        )


def reads(columns: Sequence[str], known: Sequence[str]) -> bool:
    """Return whether a model's columns are those of a feed, with or without the codes behind them.

    >>> reads(["value(a)"], ["value(a)", "code(b)"]), reads(["value(a)"], ["value(a)", "rarity(b)"])
    (True, False)
    """
    return tuple(columns) in (tuple(known), _measures(known))


def _measures(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if not name.startswith("code("))


def require_columns(model_id: str, columns: Sequence[str], known: Sequence[str]) -> None:
    """Check that a model reads the columns that there are, codes included, as `reads` says.

    Raises
    ------
    ModelError
        Naming columns that are not there.
    """
    if not reads(columns, known):
        missing = [name for name in columns if name not in known]
        raise ModelError(
            f"model {model_id!r} reads {len(columns)} columns and the feed has {len(_measures(known))}; "
            f"not in the feed: {', '.join(missing[:5]) or 'none'}",
            code="model_columns",
            hint="train a model on this feed's own records",
        )


def unfit(kind: str, error: Exception) -> StateError:
    """Return the error of a state that contradicts itself."""
    return StateError(
        f"expected the whole state of a {kind}, found one that does not fit: {error!r}",
        code="state_unreadable",
        hint="The state is damaged: restore an older one",
    )
