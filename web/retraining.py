"""Retraining over HTTP: train a feed's model again, and read what was decided."""

from __future__ import annotations

from typing import Annotated

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from anomalyai.errors import ModelError
from stream.errors import LogFailure, NoModel, NotReady, Overloaded, RetrainingRuns, UnknownFeed
from stream.job import Job
from stream.retraining.decision import Decision
from web.contract.operation import operation
from web.errors import json_response
from web.query import NoQuery, read_query
from web.site import current_site

blueprint = Blueprint("retraining", __name__)


class Started(msgspec.Struct, frozen=True):
    """A retraining that was asked for."""

    job: Job


class DecisionList(msgspec.Struct, frozen=True):
    """What was decided about a feed's retrainings, the newest first."""

    decisions: list[Decision]
    cooled: Annotated[int, Meta(description="Drifts since the start that came within the cool-down.")]


@blueprint.post("/feeds/<feed>/models/retrain")
@operation(
    query=NoQuery,
    answers={202: Started},
    raises=(UnknownFeed, NoModel, RetrainingRuns, ModelError, Overloaded, LogFailure, NotReady),
)
def retrain(feed: str) -> Response:
    """Train a feed's model again now; it goes live if it passes the gate."""
    read_query(NoQuery)
    job = current_site().runtime.retraining.by_hand(feed)
    return json_response(Started(job), 202)


@blueprint.get("/feeds/<feed>/decisions")
@operation(query=NoQuery, answers={200: DecisionList}, raises=(UnknownFeed,))
def list_decisions(feed: str) -> Response:
    """List what was decided about a feed's retrainings, and why."""
    read_query(NoQuery)
    return json_response(DecisionList(**current_site().runtime.retraining.describe(feed)))
