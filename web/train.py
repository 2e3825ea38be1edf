"""`POST /train`: train a model on records in the body, on an uploaded file, or on what a feed's log holds."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from anomalyai.errors import ModelError, ParameterError
from anomalyai.media import CSV, JSON, NDJSON
from anomalyai.training import Algorithm, TrainingOptions
from anomalyai.training.parameter import checked
from stream.errors import DiskFull, FeedName, LogFailure, Overloaded, UnknownFeed
from stream.feeds import require_name
from stream.job import Job
from stream.training.reception import Reception
from web.contract.operation import Refused, operation
from web.contract.record import Csv, NdJson, Records
from web.errors import json_response
from web.query import read_query
from web.refusal import RequestError
from web.site import current_site
from web.upload import FORM, receive, require_rows

blueprint = Blueprint("train", __name__)

LAST = re.compile(r"^(\d{1,9})([smhd])$")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
MAX_REQUEST_BYTES = 65_536

T = TypeVar("T", bound=msgspec.Struct)


class TrainQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?feed=&algorithm=&options=`: which feed the model is for, and how it is trained."""

    feed: Annotated[str, Meta(min_length=1, description="The feed that the model is for.")]
    algorithm: Annotated[Algorithm | None, Meta(description="What is trained; isolation_forest.")] = None
    options: Annotated[str | None, Meta(description="TrainingOptions as JSON.")] = None


class FromLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Train on what the feed's log holds."""

    source: Annotated[str, Meta(pattern="^log$", description="`log`.")]
    last: (
        Annotated[
            str,
            Meta(
                pattern=LAST.pattern,
                description="Only what came in lately: a number of s, m, h or d.",
                examples=["7d"],
            ),
        ]
        | None
    ) = None
    options: TrainingOptions | None = None


class TrainForm(msgspec.Struct, frozen=True):
    """A file of records (CSV, NDJSON or JSON, plain or gzip), with options."""

    file: Annotated[str, Meta(extra_json_schema={"format": "binary"})]
    options: TrainingOptions | None = None


class JobAnswer(msgspec.Struct, frozen=True):
    """A job."""

    job: Job


@blueprint.post("/train")
@operation(
    query=TrainQuery,
    body={JSON: (Records, FromLog), NDJSON: NdJson, CSV: Csv, FORM: TrainForm},
    answers={202: JobAnswer},
    raises=(
        UnknownFeed,
        FeedName,
        ModelError,
        ParameterError,
        Overloaded,
        DiskFull,
        LogFailure,
        Refused(400, "bad_options", "The options are not JSON, or not such options."),
        Refused(400, "bad_form", "The form is broken, or has other parts."),
    ),
)
def train() -> Response:
    """Start a training; answered with its job, which `GET /jobs/{id}` and a socket follow."""
    query = read_query(TrainQuery)
    site = current_site()
    jobs = site.runtime.jobs
    require_name(query.feed)
    jobs.require_room()
    options = _options(query, _decoded(query.options))
    limit = site.settings.training.max_upload_bytes
    with Reception(jobs.folders.uploads, limit) as reception:
        media, form = receive(reception)
        if form is not None:
            options = _options(query, _decoded(form))
        asked = _from_log(reception) if media != CSV else None
        if asked is not None:
            return _started(_start_log(query, asked))
        require_rows(reception, media)
        return _started(jobs.start_upload(query.feed, options, reception.path, media, "hand"))


def _start_log(query: TrainQuery, asked: dict[str, Any]) -> Job:
    options = _options(query, asked.get("options"))
    request = _converted({**asked, "options": None}, FromLog, "bad_request")
    last_s = None
    if request.last is not None and (found := LAST.fullmatch(request.last)) is not None:
        last_s = int(found[1]) * SECONDS[found[2]]
    return current_site().runtime.jobs.start_log(query.feed, options, last_s=last_s, created_by="hand")


def _from_log(reception: Reception) -> dict[str, Any] | None:
    """Return the body where it is a request to train on the log, None where it is records."""
    if reception.size_bytes > MAX_REQUEST_BYTES or not reception.head.lstrip().startswith(b"{"):
        return None
    try:
        document = msgspec.json.decode(reception.head)
    except (msgspec.DecodeError, RecursionError):
        return None  # lines of records, or what their reader will refuse
    names = set(document)
    return document if "source" in names and names <= {"source", "last", "options"} else None


def _options(query: TrainQuery, given: Any) -> TrainingOptions:
    """Return what the query and an object of options ask for; hyperparameters are checked."""
    if given is None and query.options is not None:
        given = _decoded(query.options)
    values = {} if given is None else given
    if isinstance(values, dict) and query.algorithm is not None:
        if values.get("algorithm", query.algorithm) != query.algorithm:
            raise RequestError(
                400,
                "bad_options",
                f"the query asks for {query.algorithm}, the options for another algorithm",
                field="algorithm",
                hint="name it once",
            )
        values = {**values, "algorithm": query.algorithm}
    options = _converted(values, TrainingOptions, "bad_options")
    checked(options.algorithm, options.parameters)
    return options


def _decoded(text: str | bytes | None) -> Any:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestError(
            400, "bad_options", f"the options are not JSON: {error}", field="options"
        ) from error


def _converted(values: Any, kind: type[T], code: str) -> T:
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        at = where.rstrip("`").lstrip(".")
        unknown = re.search(r"unknown field `(.{1,60})`", text)
        name = ".".join(part for part in (at, unknown[1] if unknown else "") if part)
        raise RequestError(
            400, code, f"{name or 'options'}: {text}", field=name or "options", hint="/docs has what is known"
        ) from error


def _started(job: Job) -> Response:
    response = json_response(JobAnswer(job), 202)
    response.headers["Location"] = f"/jobs/{job.id}"
    return response
