"""Everything that this package raises on purpose.

    AnomalyAIError                  (anomalyai.errors)
    └── StreamError
        ├── SettingsError           a setting is unknown, unreadable or out of range
        ├── DataDirectoryInUse      another process has the data directory
        ├── StoreVersion            the database was made by a newer version
        ├── DatabaseDamaged         a page of the database is malformed; wants `anomalyai repair`
        ├── NotReady                starting, recovering, or stopped by a fault
        ├── Overloaded              the backlog is full; carries `retry_after_s`
        ├── LogFailure              the log could not be written; nothing was acknowledged
        ├── LogDamaged              an entry does not match its checksum
        ├── RecordGone              the record was dropped by retention, or lost in a repair
        ├── UnknownFeed             no such feed
        ├── FeedName                not a feed name, or no room for another feed
        ├── UnknownAlert            no such alert
        ├── UnknownEvent            no such record in the feed
        ├── UnknownIncident         no such incident
        ├── UnknownMute             the feed has no such mute in force
        ├── MuteRefused             a mute names nothing, ends in the past, or does not fit
        ├── NoModel                 the feed has no trained model yet
        ├── RetrainingRuns          the feed's model is being trained again already
        ├── NoShadow                the model is not in the feed's shadow
        ├── NoEarlierModel          the feed's promotions hold no model to go back to
        ├── UnknownJob              no such training
        ├── JobFinished             the training is over and cannot be cancelled
        ├── DiskFull                an upload does not fit on the disk
        ├── BatchConflict           a batch number or key was used before for another body
        └── Superseded              another connection of the same producer took over

Each carries `code`, `message`, `field` and `hint`, the four parts of an error body.
"""

from __future__ import annotations

from anomalyai.errors import AnomalyAIError


class StreamError(AnomalyAIError):
    """Base of what this package raises; `code` names the kind for programs."""

    code = "stream"


class SettingsError(StreamError):
    """A setting is unknown, unreadable or out of range; `field` names it."""

    code = "settings"


class DataDirectoryInUse(StreamError):
    """Another process holds the data directory; the message says which."""

    code = "data_directory_in_use"


class StoreVersion(StreamError):
    """The database was made by a newer version of the program."""

    code = "store_version"


class DatabaseDamaged(StreamError):
    """A page of the database is malformed: nothing can be relied on until `anomalyai repair` has run."""

    code = "database_damaged"


class NotReady(StreamError):
    """The runtime is starting, recovering or stopped; ask again after `retry_after_s`."""

    code = "not_ready"

    def __init__(self, message: str, *, retry_after_s: float = 1.0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class Overloaded(StreamError):
    """Too many records wait for the engine; nothing was taken, ask again after `retry_after_s`."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after_s: float, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class LogFailure(StreamError):
    """The log could not be written. Nothing was acknowledged; sending again is safe."""

    code = "log_failure"


class LogDamaged(StreamError):
    """A stored entry does not match its checksum."""

    code = "log_damaged"


class RecordGone(StreamError):
    """The record was there once: retention dropped it, or a repair could not save it."""

    code = "record_gone"


class UnknownFeed(StreamError):
    """There is no such feed."""

    code = "unknown_feed"


class FeedName(StreamError):
    """The text is not a feed name, or the bound on feeds is reached."""

    code = "feed_name"


class UnknownAlert(StreamError):
    """There is no such alert."""

    code = "unknown_alert"


class UnknownEvent(StreamError):
    """The feed has no record of this number."""

    code = "unknown_event"


class UnknownIncident(StreamError):
    """There is no incident with this id."""

    code = "unknown_incident"


class UnknownMute(StreamError):
    """The feed has no mute with this id in force."""

    code = "unknown_mute"


class MuteRefused(StreamError):
    """A mute names nothing, ends in the past, or there is no place for it."""

    code = "bad_mute"


class NoModel(StreamError):
    """The feed has no trained model yet."""

    code = "no_model"


class RetrainingRuns(StreamError):
    """The feed's model is being trained again already."""

    code = "retraining_runs"


class NoShadow(StreamError):
    """The model does not score the feed beside its own."""

    code = "no_shadow"


class NoEarlierModel(StreamError):
    """The feed has no model before the one that scores it now."""

    code = "no_earlier_model"


class UnknownJob(StreamError):
    """There is no such training."""

    code = "unknown_job"


class JobFinished(StreamError):
    """The training is over, one way or the other."""

    code = "job_finished"


class DiskFull(StreamError):
    """What was sent does not fit on the disk of the data directory."""

    code = "disk_full"


class BatchConflict(StreamError):
    """A batch number or idempotency key was used before for another body, or is out of order."""

    code = "batch_conflict"


class Superseded(StreamError):
    """Another connection of the same producer took over; this one must close."""

    code = "superseded"
