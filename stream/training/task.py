"""What a training process is told, and what it tells in return: one line of JSON each."""

from __future__ import annotations

import msgspec

from anomalyai.manifest import Manifest
from anomalyai.training.options import TrainingOptions
from stream.job import CreatedBy, Failure, Source


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One training, with everything that its outcome depends on.

    `entry` is the last log entry that counts, so that a training that is started again sees the same records;
    `last_s` narrows the log to what came in that long before `created_s`. `upload` is a file in the folder of
    uploads, `media` its media type.
    """

    id: str
    feed: str
    source: Source = "first"
    created_by: CreatedBy = "first"
    created_s: float = 0.0
    entry: int = 0
    options: TrainingOptions = TrainingOptions()
    last_s: float | None = None
    upload: str | None = None
    media: str | None = None


class Stage(msgspec.Struct, frozen=True, tag="stage"):
    """How far the process is: what it is at, and the fraction of the whole that is done."""

    stage: str
    fraction: float


class Trained(msgspec.Struct, frozen=True, tag="trained"):
    """The model is in the store."""

    manifest: Manifest


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """There can be no such model, and another attempt would come to the same."""

    failure: Failure


Line = Stage | Trained | Refused
