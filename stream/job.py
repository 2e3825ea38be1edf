"""One training as everybody sees it: the API, the page, the sockets, and whoever waits for its model."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from anomalyai.errors import AnomalyAIError
from anomalyai.training.options import Algorithm

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
Source = Literal["upload", "log", "first"]
CreatedBy = Literal["first", "hand", "schedule", "drift"]

FINISHED: Final = ("done", "failed", "cancelled")
"""The states that a job does not leave again."""

FAILED: Final = "training_failed"
"""The code of a failure that is no error of ours: a process that died, a disk that is full."""


class Failure(msgspec.Struct, frozen=True):
    """Why a job failed, in the four parts of an error body."""

    code: Annotated[str, Meta(description="A stable word for programs.")]
    message: Annotated[str, Meta(description="What was expected and what came.")]
    field: Annotated[str | None, Meta(description="The field or option at fault.")] = None
    hint: Annotated[str | None, Meta(description="What to do.")] = None

    @classmethod
    def of(cls, error: AnomalyAIError) -> Failure:
        """Return the four parts of an error of ours."""
        return cls(error.code, error.message, error.field, error.hint)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Where a training stands. Times are RFC 3339 in UTC."""

    id: Annotated[str, Meta(description="Names the job.")]
    feed: Annotated[str, Meta(description="The feed that the model is for.")]
    state: Annotated[JobState, Meta(description="The last three are final.")] = "queued"
    stage: Annotated[str | None, Meta(description="What it is at; null before it runs.")] = None
    fraction: Annotated[float, Meta(ge=0, le=1, description="How much of the whole is done.")] = 0.0
    seconds_left: Annotated[float | None, Meta(description="At the rate so far; null when not known.")] = None
    model: Annotated[str | None, Meta(description="The model's id, once it is done.")] = None
    error: Annotated[Failure | None, Meta(description="Why it failed, or its last attempt did.")] = None
    algorithm: Annotated[Algorithm, Meta(description="What is trained.")] = "isolation_forest"
    source: Annotated[
        Source,
        Meta(description="Where the records come from: an upload, the feed's log, or a first clean set."),
    ] = "first"
    created_by: Annotated[
        CreatedBy, Meta(description="Who asked: the feed itself, a person, the schedule, a drift.")
    ] = "first"
    created: Annotated[str | None, Meta(description="When it was asked for.")] = None
    started: Annotated[str | None, Meta(description="When it began to run, lately.")] = None
    finished: Annotated[str | None, Meta(description="When it came to its end.")] = None

    @property
    def is_finished(self) -> bool:
        """Whether the state is final."""
        return self.state in FINISHED
