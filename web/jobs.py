"""Trainings: which there are and were, how far each is, and an end to one before its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from stream.errors import JobFinished, LogFailure, UnknownJob
from stream.job import Job
from stream.training.register import Watch
from web.contract.channel import channel
from web.contract.operation import operation
from web.errors import json_response
from web.query import NoQuery, read_query
from web.site import current_site
from web.sockets import POLL_S, Socket, websocket

blueprint = Blueprint("jobs", __name__)


class JobsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?feed=&limit=`: only the jobs of one feed, and so many."""

    feed: Annotated[str, Meta(min_length=1)] | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class JobList(msgspec.Struct, frozen=True):
    """Jobs, the newest first."""

    jobs: Sequence[Job]


@blueprint.get("/jobs")
@operation(query=JobsQuery, answers={200: JobList})
def list_jobs() -> Response:
    """List the trainings, the newest first."""
    query = read_query(JobsQuery)
    return json_response(JobList(current_site().runtime.jobs.list(query.feed)[: query.limit]))


@blueprint.get("/jobs/<job_id>")
@operation(query=NoQuery, answers={200: Job}, raises=(UnknownJob,))
def get_job(job_id: str) -> Response:
    """Answer one training."""
    read_query(NoQuery)
    return json_response(current_site().runtime.jobs.get(job_id))


@blueprint.delete("/jobs/<job_id>")
@operation(query=NoQuery, answers={200: Job}, raises=(UnknownJob, JobFinished, LogFailure))
def cancel_job(job_id: str) -> Response:
    """Cancel a training that waits or runs; answered once its process is gone."""
    read_query(NoQuery)
    return json_response(current_site().runtime.jobs.cancel(job_id))


def watch(job_id: str) -> Watch:
    """Watch before the upgrade; an unknown job is refused as HTTP."""
    read_query(NoQuery)
    return current_site().runtime.jobs.watch(job_id)


@websocket(blueprint, "/jobs/<job_id>/live", watch)
@channel(query=NoQuery, sends=(Job,), closes={1000: "the job has come to its end"})
def live_job(socket: Socket, changes: Watch, job_id: str) -> None:
    """Push a training as it stands now and at each change, until it has come to its end."""
    socket.ignore_input()
    while socket.is_open() and not changes.finished:
        job = changes.next(POLL_S)
        if job is not None:
            socket.send(msgspec.json.encode(job))
