"""Putting models into feeds: a swap entry in the log, which the engine applies when it comes to it.

Safe from any thread: it holds nothing of its own but the last manifests it read.
"""

from __future__ import annotations

import logging

from anomalyai.control import ModelSwap
from anomalyai.errors import ModelError
from anomalyai.manifest import Manifest
from stream.feeds import Feeds
from stream.models import Models
from stream.results import Statement, change_job
from stream.training import JobState
from stream.writer import Writer

log = logging.getLogger("anomalyai.stream")


class Swaps:
    """Where trained and chosen models go into the log."""

    def __init__(self, feeds: Feeds, models: Models, writer: Writer) -> None:
        self._feeds = feeds
        self._models = models
        self._writer = writer

    def install(self, feed: str, model_id: str) -> None:
        """Append the swap of a model that is in the store, and wait until it is durable.

        Raises
        ------
        UnknownFeed, ModelError, LogFailure
            There is no such feed or model, the model cannot be used, or the log cannot take it.
        """
        self._feeds.get(feed).control(_swap(self._checked(model_id))).result()

    def report(self, job: JobState) -> None:
        """Keep a training's state; a finished one's model goes into the log in the same transaction.

        Raises
        ------
        LogFailure
            The log could not take it.
        """
        if job.state == "done" and job.model is not None:
            try:
                manifest = self._checked(job.model)
            except ModelError as error:
                log.error("training %s made a model that cannot be used: %s", job.id, error)
                self._keep(JobState(job.id, job.feed, "failed", job.failures + 1, error.message))
                return
            done = change_job(job.id, state="done", model=job.model, error=None)
            self._feeds.get(job.feed).control(_swap(manifest), also=[done]).result()
            log.info("feed %s: model %s was trained and put in", job.feed, job.model)
        else:
            self._keep(job)

    def _keep(self, job: JobState) -> None:
        change = change_job(job.id, state=job.state, failures=job.failures, error=job.error)
        statement = Statement(change)
        self._writer.submit(statement)
        statement.finished.result()

    def _checked(self, model_id: str) -> Manifest:
        """Load a model, so that the engine finds it in memory; returns its manifest."""
        manifest = self._models.store.manifest(model_id)
        self._models.load(model_id, manifest.sha256)
        return manifest


def _swap(manifest: Manifest) -> ModelSwap:
    return ModelSwap(manifest.id, manifest.sha256, manifest.algorithm, by=manifest.created_by)
