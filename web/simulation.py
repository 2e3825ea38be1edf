"""Simulators and replays over HTTP: start, steer and stop them, and how much of them was caught."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from anomalyai.errors import UnreadableBody
from stream.errors import FeedName
from stream.feeds import require_name
from web.body import read_body, read_json
from web.contract.operation import Refused, operation
from web.contract.record import RECORDS
from web.errors import json_response
from web.page import HTML, render_page
from web.query import NoQuery, read_query
from web.runs import Plan, Run
from web.site import current_site
from web.spool import Limits, receive

blueprint = Blueprint("simulation", __name__)

MAX_RATE = 100_000.0

Rate = Annotated[float, Meta(gt=0, le=MAX_RATE, description="Records a second.")]
Share = Annotated[float, Meta(ge=0, le=0.5, description="Expected share of anomalous records.")]
UNKNOWN = Refused(404, "unknown_simulation", "There is no such run.")
RUNS = Refused(409, "simulation_runs", "A run sends to the feed already.")
FULL = Refused(409, "too_many_simulations", "As many runs as may be are under way.")


class SimulationBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A simulator to start; the feed is the scenario's name if left out."""

    scenario: Literal["fraud", "network"]
    feed: str | None = None
    rate: Rate = 50.0
    anomaly_share: Share = 0.005
    seed: Annotated[int, Meta(ge=0, lt=2**31, description="The same seed gives the same stream.")] = 0
    records: Annotated[int, Meta(ge=1, description="It ends after so many.")] | None = None


class SteeringBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a simulator under way is to do from here on."""

    rate: Rate | None = None
    anomaly_share: Share | None = None


class ReplayQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?feed=&speed=&file=`: where the file's records go, how fast, and what it is called."""

    feed: Annotated[str, Meta(min_length=1)]
    speed: Annotated[float, Meta(gt=0, description="A multiple of event time; as fast as can be.")] | None = (
        None
    )
    file: Annotated[str, Meta(max_length=200, description="The file's name, to be shown.")] | None = None


class RunList(msgspec.Struct, frozen=True):
    """Runs, the newest first; of those that have ended the latest."""

    simulations: list[Run]


@blueprint.get("/simulate")
@operation(query=NoQuery, answers={200: {HTML: str}})
def simulate() -> Response:
    """Answer the page that starts, steers and stops simulators and replays."""
    read_query(NoQuery)
    return render_page("simulate.html", here="/simulate")


@blueprint.get("/simulations")
@operation(query=NoQuery, answers={200: RunList})
def list_simulations() -> Response:
    """List the runs."""
    read_query(NoQuery)
    return json_response(RunList(current_site().runs.all()))


@blueprint.post("/simulations")
@operation(query=NoQuery, body=SimulationBody, answers={201: Run}, raises=(FeedName, RUNS, FULL))
def start_simulation() -> Response:
    """Start a simulator of card payments or network flows; its records are labelled."""
    read_query(NoQuery)
    body = read_json(SimulationBody, read_body())
    feed = body.feed or body.scenario
    require_name(feed)
    plan = Plan(
        kind=body.scenario,
        feed=feed,
        rate=body.rate,
        anomaly_share=body.anomaly_share,
        seed=body.seed,
        records=body.records,
    )
    return json_response(current_site().runs.start(plan, _own_url()), 201)


@blueprint.post("/replays")
@operation(query=ReplayQuery, body=RECORDS, answers={201: Run}, raises=(FeedName, RUNS, FULL))
def start_replay() -> Response:
    """Replay the file of the body (CSV, NDJSON or JSON) into a feed, by event time or as fast as can be."""
    query = read_query(ReplayQuery)
    require_name(query.feed)
    site = current_site()
    limits = Limits(site.settings.predict.max_upload_bytes, "predict.max_upload_bytes", 0)
    upload = receive(site.runs.folder, limits)
    if upload.path is None:
        raise UnreadableBody("expected a file of records, got nothing")
    started = False
    try:
        plan = Plan(kind="replay", feed=query.feed, speed=query.speed, file=query.file)
        run = site.runs.start(plan, _own_url(), upload.path)
        started = True
        return json_response(run, 201)
    finally:
        if not started:
            upload.remove()


@blueprint.get("/simulations/<run_id>")
@operation(query=NoQuery, answers={200: Run}, raises=(UNKNOWN,))
def get_simulation(run_id: str) -> Response:
    """Answer one run, with what was caught of it so far."""
    read_query(NoQuery)
    return json_response(current_site().runs.get(run_id))


@blueprint.patch("/simulations/<run_id>")
@operation(
    query=NoQuery,
    body=SteeringBody,
    answers={200: Run},
    raises=(UNKNOWN, Refused(409, "not_steerable", "It has ended, or is a replay.")),
)
def steer_simulation(run_id: str) -> Response:
    """Let a simulator go on at another rate, or with another share of anomalies."""
    read_query(NoQuery)
    body = read_json(SteeringBody, read_body())
    return json_response(current_site().runs.change(run_id, body.rate, body.anomaly_share))


@blueprint.delete("/simulations/<run_id>")
@operation(query=NoQuery, answers={202: Run}, raises=(UNKNOWN,))
def stop_simulation(run_id: str) -> Response:
    """Stop a run; what it has sent stays."""
    read_query(NoQuery)
    return json_response(current_site().runs.end(run_id), 202)


def _own_url() -> str:
    """Return the address that this server listens on, whatever name it was asked by."""
    host, port = request.environ["SERVER_NAME"], request.environ["SERVER_PORT"]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
