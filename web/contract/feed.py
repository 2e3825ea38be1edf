"""What is said of a feed: `GET /feeds/{feed}`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from anomalyai.alert import Maturity, Severity, Status
from anomalyai.notice import Notice
from anomalyai.schema import FeedSchema
from anomalyai.shadow import ShadowCounts
from stream.champion.past import Promotion
from stream.message import IncidentFigures, SilenceFigures
from stream.truth import Truth


class FieldCounts(msgspec.Struct, frozen=True):
    """Fields since the start: new ones, those over the limit, and the names of the vanished."""

    new: int
    over_limit: int
    vanished: list[str]


class Lag(msgspec.Struct, frozen=True):
    """Records that are accepted and not scored, and the age of the oldest of them in seconds."""

    records: int
    s: float


class ModelInUse(msgspec.Struct, frozen=True):
    """The batch model that scores a feed; `id` and `error` alone where its manifest is gone."""

    id: str
    algorithm: str | UnsetType = UNSET
    sha256: str | UnsetType = UNSET
    last_seq: Annotated[int, Meta(description="The record that completed its training set.")] | UnsetType = (
        UNSET
    )
    error: str | UnsetType = UNSET


class Judged(msgspec.Struct, frozen=True):
    """Verdicts and labels applied since the start, and open alerts ranked anew."""

    verdicts: int
    labels: int
    reranked: int


class Tally(msgspec.Struct, frozen=True):
    """Alerts of one severity and status."""

    severity: Severity
    status: Status
    count: int


class Viewers(msgspec.Struct, frozen=True):
    """Live viewers, and the messages that they were too slow for."""

    open: int
    dropped: int


class SetAside(msgspec.Struct, frozen=True):
    """A log entry that could not be used, and why."""

    entry: int
    error: str


class FeedState(msgspec.Struct, frozen=True, kw_only=True):
    """A feed: its schema, what was taken, where scoring stands, what its log no longer has.

    What only scoring knows is absent, or null, until the first record was scored.
    """

    feed: str
    schema: FeedSchema
    fields: FieldCounts
    accepted: int
    policy: Literal["block", "sample", "shed"]
    last_seq: int
    rejected: int
    shed: int
    alerts: int
    events_per_second: float
    p99_ms: float | None
    lag: Lag
    model: ModelInUse | None
    maturity: Maturity
    budget: str | None
    threshold: float | None
    promised_rate: float | None
    realised_rate: float | None
    shadow: ShadowCounts | UnsetType | None = UNSET
    seen: int | UnsetType = UNSET
    clean: Annotated[int, Meta(description="Records learnt as normal.")] | UnsetType = UNSET
    train_at: Annotated[int | None, Meta(description="Clean records of the first model.")] | UnsetType = UNSET
    columns: int | UnsetType = UNSET
    quarantined: int | UnsetType = UNSET
    quarantine_dropped: int | UnsetType = UNSET
    adopted: int | UnsetType = UNSET
    notices: list[Notice] | UnsetType = UNSET
    evicted_entities: int | UnsetType = UNSET
    late: int | UnsetType = UNSET
    too_late: int | UnsetType = UNSET
    future: int | UnsetType = UNSET
    silences: SilenceFigures | UnsetType = UNSET
    incidents: IncidentFigures | UnsetType = UNSET
    refused_model: str | None
    training: dict[str, Any] | None
    dead_letters: int
    first_seq: int
    dropped: int
    lost: int
    holes: list[tuple[int, int]]
    set_aside: list[SetAside]
    notes: list[str]
    alerts_by: list[Tally]
    judged: Judged
    truth: Truth
    viewers: Viewers
    snapshot_age_s: float | None


class FeedView(FeedState, frozen=True, kw_only=True):
    """A feed, and the models that were put into it, oldest first."""

    promotions: list[Promotion]


class FeedList(msgspec.Struct, frozen=True):
    """All feeds, by name."""

    feeds: list[FeedState]
