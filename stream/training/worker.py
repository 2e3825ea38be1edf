"""The training process: `python -m stream.training.worker DATA`, its task a line of JSON on standard input.

Reads the records (a kept training set, an upload, or the feed's log, which it opens for reading only), trains
and keeps the model in the store. It runs at low priority on one thread, says how far it is on its standard
output, and ends as soon as its standard input closes, that is when its server is gone. Nothing here is
imported by the server.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from anomalyai.errors import AnomalyAIError
from stream.child import begin
from stream.clock import SystemClock
from stream.errors import LogFailure
from stream.job import Failure
from stream.training.folder import Folders
from stream.training.task import Line, Refused, Stage, Task, Trained

if TYPE_CHECKING:
    from anomalyai.manifest import Manifest
    from anomalyai.training import TrainedModel
    from anomalyai.training.course import Course, Progress

TELL_EVERY_S = 0.1


def main(arguments: list[str]) -> int:
    """Train one model; returns the exit code, 0 when what came of it was said."""
    if len(arguments) != 1:
        print("usage: python -m stream.training.worker DATA", file=sys.stderr)
        return 2
    say = _speaker()
    task = msgspec.json.decode(begin(), type=Task)
    try:
        manifest = _trained(task, Path(arguments[0]), _Teller(say).tell)
    except LogFailure:
        raise  # of the disk, so that another attempt may go well
    except AnomalyAIError as error:
        say(Refused(Failure.of(error)))
    else:
        say(Trained(manifest))
    return 0


def _trained(task: Task, data: Path, progress: Progress) -> Manifest:
    """Train as the task says and keep the model."""
    from anomalyai.model_store import ModelStore
    from stream.secret import instance_secret
    from stream.snapshot import sync_folder

    folders = Folders(data)
    progress("reading", 0.0)
    store = ModelStore(folders.models, instance_secret(data))
    if task.source == "first":
        model, facts, start = _from_set(task, folders, progress), None, None
    else:
        course = (
            _from_log(task, data, progress) if task.source == "log" else _from_upload(task, folders, progress)
        )
        model, facts, start = course.model, course.facts, course.start
    progress("saving", 1.0)
    manifest = store.save(
        task.feed, model, facts=facts, start=start, created_s=task.created_s, created_by=task.created_by
    )
    sync_folder(folders.models)  # the log will name this model: it must survive what the log survives
    return manifest


def _from_set(task: Task, folders: Folders, progress: Progress) -> TrainedModel:
    from anomalyai.training import TrainingSet, train

    training_set = TrainingSet.load(folders.training_set(task.id))
    progress("fitting", 0.1)
    return train(training_set, task.options.algorithm, **task.options.parameters)


def _from_log(task: Task, data: Path, progress: Progress) -> Course:
    from anomalyai.training.course import train_records
    from stream.history import History

    since_s = None if task.last_s is None else task.created_s - task.last_s
    with History.open(data) as history:
        span = history.span(task.feed, since_s=since_s, upto=task.entry)
        items = (item.payload for item in history.read(span))
        return train_records(
            items, task.options, feed=task.feed, total=span.records or None, progress=progress
        )


def _from_upload(task: Task, folders: Folders, progress: Progress) -> Course:
    from anomalyai.training.course import train_file
    from stream.history import History

    assert task.upload is not None
    with History.open(folders.data) as history:
        known = history.schema(task.feed)
    return train_file(
        folders.uploads / task.upload,
        task.options,
        feed=task.feed,
        schema=known if known.fields else None,  # so that the columns are the feed's
        progress=progress,
        media=task.media,
    )


class _Teller:
    """Says how far the training is, at most every `TELL_EVERY_S` within a stage."""

    def __init__(self, say: Callable[[Line], None]) -> None:
        self._say = say
        self._clock = SystemClock()
        self._told: tuple[str, float] | None = None

    def tell(self, stage: str, fraction: float) -> None:
        now_s = self._clock.monotonic_s()
        if self._told is None or self._told[0] != stage or now_s - self._told[1] >= TELL_EVERY_S:
            self._told = (stage, now_s)
            self._say(Stage(stage, fraction))


def _speaker() -> Callable[[Line], None]:
    """Return what says a line; whatever else is printed from here on goes to standard error."""
    sys.stdout.flush()
    speech = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    def say(line: Line) -> None:
        speech.write(msgspec.json.encode(line) + b"\n")

    return say


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
