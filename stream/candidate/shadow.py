"""Putting candidates into the shadow of a feed, and taking them out: entries in its log.

Safe from any thread: it holds nothing of its own.
"""

from __future__ import annotations

from typing import Any

from anomalyai.control import ShadowChange
from anomalyai.errors import ModelError
from stream.engine import Engine
from stream.errors import NoShadow
from stream.feeds import Feeds
from stream.lane import Lane
from stream.models import Models

__all__ = ["Shadows"]

PATIENCE_S = 30.0


class Shadows:
    """The candidate in the shadow of each feed, one at most."""

    def __init__(self, feeds: Feeds, models: Models, engine: Engine) -> None:
        self._feeds = feeds
        self._models = models
        self._engine = engine

    def begin(self, model_id: str, feed: str | None = None) -> dict[str, Any]:
        """Let a stored model score a feed's traffic beside its own, in place of an earlier candidate.

        `feed` is the one that the model was trained for where None. Returns once the engine has come to it:
        `{"feed", "shadow"}`.

        Raises
        ------
        UnknownFeed, ModelError, LogFailure, NotReady
            There is no such feed or model, the model is the feed's own, reads other columns or cannot be
            used, or it cannot be done now.
        """
        manifest = self._models.store.manifest(model_id)
        feed = manifest.feed if feed is None else feed
        admission = self._feeds.get(feed)
        self._models.load(model_id, manifest.sha256)  # so that the engine finds it in memory
        champion, _, _ = self._look(feed)
        if champion == model_id:
            raise ModelError(
                f"model {model_id!r} scores the feed {feed!r} already",
                code="model_in_use",
                hint="a candidate is another model than the feed's own",
            )
        [entry] = admission.control(ShadowChange(model_id, manifest.sha256)).result()
        self._engine.confirm(feed, entry).result(PATIENCE_S)
        _, shadow, refused = self._look(feed)
        if shadow is None and refused is not None:
            raise ModelError(refused, code="model_columns", hint="train a model on this feed's own records")
        return {"feed": feed, "shadow": shadow}

    def end(self, model_id: str, feed: str | None = None) -> dict[str, Any]:
        """Take a model out of a feed's shadow, `feed` as in `begin`; returns `{"feed", "shadow": None}`.

        Raises
        ------
        UnknownFeed, ModelError, NoShadow, LogFailure, NotReady
            There is no such feed or model, it is in no shadow, or it cannot be done now.
        """
        feed = self._models.store.manifest(model_id).feed if feed is None else feed
        admission = self._feeds.get(feed)
        _, shadow, _ = self._look(feed)
        if shadow is None or shadow["model"] != model_id:
            raise NoShadow(
                f"model {model_id!r} is not in the shadow of the feed {feed!r}",
                field="feed",
                hint="GET /feeds/{feed} says which model is",
            )
        [entry] = admission.control(ShadowChange(None)).result()
        self._engine.confirm(feed, entry).result(PATIENCE_S)
        return {"feed": feed, "shadow": None}

    def _look(self, feed: str) -> tuple[str | None, dict[str, Any] | None, str | None]:
        """Return a feed's champion, its candidate's counts, and why the last candidate was refused."""

        def read(lane: Lane) -> tuple[str | None, dict[str, Any] | None, str | None]:
            status = lane.shard.pipeline.status()
            return status["model"], status["shadow"], lane.shard.refused_shadow

        found: tuple[str | None, dict[str, Any] | None, str | None] = self._engine.ask(feed, read).result(
            PATIENCE_S
        )
        return found
