"""Control entries of a feed's log: what changes the pipeline and is no record.

They have no sequence number of their own; the log's entry number orders them among the records.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from anomalyai.schema import FeedSchema

__all__ = [
    "BudgetChange",
    "ClockTick",
    "ControlEntry",
    "Labels",
    "ModelSwap",
    "Mute",
    "MuteEnd",
    "SchemaChange",
    "ShadowChange",
    "Verdict",
]


class SchemaChange(msgspec.Struct, frozen=True, tag="schema"):
    """From here on the feed's records are read under `schema`."""

    schema: FeedSchema


class ModelSwap(msgspec.Struct, frozen=True, tag="model"):
    """From here on the batch-trained model `model_id` scores the feed; `sha256` is its artefact's.

    With `start_sha256`, its start state's, a feed that has no settled records of its own takes that over
    first. `by` says who put the model in: "first" (the feed's first), "hand", "schedule" or "drift";
    `rollback` that it takes the promotion before it back; `note` is theirs.
    """

    model_id: str
    sha256: str
    algorithm: str
    start_sha256: str | None = None
    by: str = "first"
    rollback: bool = False
    note: str | None = None


class ShadowChange(msgspec.Struct, frozen=True, tag="shadow"):
    """From here on the model `model_id` scores the feed beside its own, without alerting; None: none does."""

    model_id: str | None
    sha256: str | None = None


class BudgetChange(msgspec.Struct, frozen=True, tag="budget"):
    """From here on `budget`, "20/day" or "1/1000", is the promised alert rate."""

    budget: str


class Verdict(msgspec.Struct, frozen=True, tag="verdict"):
    """Somebody judged record `seq`, which `record` is a copy of, so that no log has to be read again.

    `real`: an anomaly, never to be learnt; `false_alarm`: it is normal, and what is like it; `new_normal`: so
    is all that is held back and like it; `unsure` takes back what was said of it before, else it changes
    nothing. `alert` is the id of the alert that was judged, None for the record's own; an alert about no
    single record has no `record`, and only its status changes.
    """

    seq: int
    verdict: Literal["real", "false_alarm", "new_normal", "unsure"]
    record: dict[str, Any] | None
    note: str | None = None
    alert: str | None = None


class Labels(msgspec.Struct, frozen=True, tag="labels"):
    """Ground truth of some records, 1 for an anomaly and 0 for none, with copies of them."""

    seqs: tuple[int, ...]
    labels: tuple[Literal[0, 1], ...]
    records: tuple[dict[str, Any], ...]


class ClockTick(msgspec.Struct, frozen=True, tag="tick"):
    """It was `time_s` (epoch seconds of arrival) when no record came: the feed may have fallen silent."""

    time_s: float


class Mute(msgspec.Struct, frozen=True, tag="mute"):
    """Alerts with these `entities` and about this `field` are muted until `until_s`, seconds of arrival.

    Without entities all of the feed's about the field are, without a field all with the entities. `alerts`
    are the ids of open ones that are there already and are muted too.
    """

    entities: dict[str, str]
    field: str | None
    until_s: float
    note: str | None = None
    alerts: tuple[str, ...] = ()


class MuteEnd(msgspec.Struct, frozen=True, tag="mute_end"):
    """The mute `id` ends before its time."""

    id: str


ControlEntry = (
    SchemaChange | ModelSwap | ShadowChange | BudgetChange | Verdict | Labels | Mute | MuteEnd | ClockTick
)
