"""The demo beside a server: a starter model for a simulated feed, and the simulator as a child process.

The starter model is trained once a data directory, on simulated clean records that go through the same
pipeline as everything else; later starts load it. The simulator sends over the same WebSocket as any
producer. It runs as long as the worker does: it is stopped with it, started again with its successor, and
dies with it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from web import child, journal

if TYPE_CHECKING:
    from anomalyai.manifest import Manifest
    from anomalyai.model_store import ModelStore
    from anomalyai.schema import FeedSchema
    from stream.runtime import Runtime

Chunks = Callable[[], Iterable[Sequence[Mapping[str, Any]]]]

POLL_S = 0.5
RESTART_S = 5.0


class Demo:
    """A `Companion` that brings a feed to life.

    `declaration` is the feed's schema in TOML, `clean_chunks` makes clean records to train on, `simulate` are
    the arguments of the console script that send to the feed; the server's address is added to them.
    """

    def __init__(
        self, feed: str, declaration: str, clean_chunks: Chunks, simulate: Sequence[str], log_path: Path
    ) -> None:
        self._feed = feed
        self._declaration = declaration
        self._clean_chunks = clean_chunks
        self._simulate = tuple(simulate)
        self._log_path = log_path
        self._model_id = ""
        self._origin = ""

    def prepare(self, runtime: Runtime) -> None:
        """Load the starter model, or train it: this also compiles all that scoring needs."""
        from anomalyai.schema import FeedSchema

        self._schema = FeedSchema.from_toml(self._declaration)
        known = runtime.models.list(self._feed)
        if known:
            manifest, self._origin = known[-1], "loaded"
        else:
            journal.announce(f"Training a starter model for the feed {self._feed!r}")
            manifest = train_starter(self._feed, self._schema, self._clean_chunks(), runtime.models)
            self._origin = "trained just now on simulated clean records"
        self._model_id = manifest.id

    def install(self, runtime: Runtime) -> None:
        """Declare the feed and let the model score it, unless a model does already."""
        runtime.declare(self._feed, self._schema)
        if runtime.feed(self._feed)["model"] is None:
            runtime.install_model(self._feed, self._model_id)

    def run(self, url: str, stop: threading.Event) -> None:
        """Say where to look, and keep the simulator running until `stop`."""
        print(f"Starter model {self._model_id}, {self._origin}", flush=True)
        print(f"Open {url}/ to watch the feed {self._feed!r}; Ctrl-C stops everything", flush=True)
        while not stop.is_set():
            code = self._run_once(url, stop)
            if not stop.is_set():
                journal.announce(
                    f"The simulator ended with code {code}, see {self._log_path}", logging.WARNING
                )
                stop.wait(RESTART_S)

    def _run_once(self, url: str, stop: threading.Event) -> int:
        running = child.start([*self._simulate, "--to", url], self._log_path)
        try:
            while running.poll() is None and not stop.wait(POLL_S):
                pass
        finally:
            child.end(running)
        return running.returncode


def train_starter(
    feed: str, schema: FeedSchema, chunks: Iterable[Sequence[Mapping[str, Any]]], store: ModelStore
) -> Manifest:
    """Send clean records through intake and pipeline until a training set is complete; train on it and save.

    Raises
    ------
    ModelError
        The records ended before there was a training set.
    """
    from anomalyai.errors import ModelError
    from anomalyai.intake import Intake
    from anomalyai.media import JSON
    from anomalyai.pipeline import Pipeline
    from anomalyai.records import RecordBatch
    from anomalyai.training import train

    intake = Intake(schema)
    pipeline = Pipeline(schema, feed=feed)
    for records in chunks:
        for item in intake.admit(msgspec.json.encode(records), JSON).items:
            if not isinstance(item, RecordBatch):
                pipeline.apply(item)
                continue
            training_set = pipeline.process(item.numbered(pipeline.seen + 1)).training_set
            if training_set is not None:
                return store.save(feed, train(training_set))
    raise ModelError(
        f"expected enough clean records for a training set, got {pipeline.seen}", code="too_few_rows"
    )
