"""Putting models into feeds: a swap entry in the log, which the engine applies when it comes to it.

Safe from any thread: it holds nothing of its own but the last manifests it read.
"""

from __future__ import annotations

from collections.abc import Sequence

from anomalyai.control import ModelSwap
from anomalyai.manifest import Manifest
from stream.feeds import Feeds
from stream.models import Models
from stream.transaction import Statements


class Swaps:
    """Where trained and chosen models go into the log."""

    def __init__(self, feeds: Feeds, models: Models) -> None:
        self._feeds = feeds
        self._models = models

    def install(self, feed: str, model_id: str) -> None:
        """Append the swap of a model that is in the store, and wait until it is durable.

        Raises
        ------
        UnknownFeed, ModelError, LogFailure
            There is no such feed or model, the model cannot be used, or the log cannot take it.
        """
        self._feeds.get(feed).control(_swap(self._checked(model_id))).result()

    def put_in(self, feed: str, model_id: str, also: Sequence[Statements]) -> None:
        """Append the swap of a model that was just trained, with statements for the same transaction.

        Raises
        ------
        UnknownFeed, ModelError, LogFailure
            As `install`.
        """
        self._feeds.get(feed).control(_swap(self._checked(model_id)), also=also).result()

    def _checked(self, model_id: str) -> Manifest:
        """Load a model, so that the engine finds it in memory; returns its manifest."""
        manifest = self._models.store.manifest(model_id)
        self._models.load(model_id, manifest.sha256)
        return manifest


def _swap(manifest: Manifest) -> ModelSwap:
    return ModelSwap(manifest.id, manifest.sha256, manifest.algorithm, by=manifest.created_by)
