"""Incidents over HTTP, and the conditions by which incidents and alerts are looked for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from anomalyai.alert import Severity, Status
from stream.anomalies import ToldIncident, Wanted
from stream.errors import UnknownFeed, UnknownIncident
from web.contract.operation import Refused, operation
from web.errors import json_response
from web.query import NoQuery, read_query
from web.refusal import RequestError
from web.site import current_site

blueprint = Blueprint("incident", __name__)

Text = Annotated[str, Meta(min_length=1, max_length=500)]
Moment = Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]


class Conditions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is looked for: every condition that is given has to hold."""

    since: Annotated[Moment, Meta(description="Event time from here on, RFC 3339.")] | None = None
    until: Annotated[Moment, Meta(description="Event time up to here, RFC 3339.")] | None = None
    severity: Annotated[Severity, Meta(description="So severe at least.")] | None = None
    status: Annotated[Status, Meta(description="What people said; of an incident, of any alert.")] | None = (
        None
    )
    entity: Annotated[Text, Meta(description="The exact text of any entity's value.")] | None = None
    field: Annotated[Text, Meta(description="A field among the reasons; of an incident, its own.")] | None = (
        None
    )
    text: (
        Annotated[Text, Meta(description="Part of the summary, entities or record, in any case.")] | None
    ) = None

    def wanted(self, incident: str | None = None) -> Wanted:
        """Return the conditions as the store takes them, and beside them the incident to look in."""
        given = {name: getattr(self, name) for name in Conditions.__struct_fields__}
        times = {name: _moment(name, given[name]) for name in ("since", "until")}
        return Wanted(**{**given, **times}, incident=incident)


def _moment(name: str, text: str | None) -> datetime | None:
    """Read a time of a query; a text of digits, which might be meant in any unit, is none."""
    if text is None:
        return None
    try:
        read: datetime = msgspec.json.decode(
            msgspec.json.encode(text), type=Annotated[datetime, Meta(tz=True)]
        )
    except msgspec.ValidationError as error:
        raise RequestError(
            400,
            "bad_query",
            f"query parameter {name}: expected a time in RFC 3339, got {text!r}",
            field=name,
            hint="for example 2026-03-02T09:00:00Z",
        ) from error
    return read


class IncidentsQuery(Conditions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Conditions, and which page."""

    before: Annotated[Text, Meta(description="The `next` of the page before.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class IncidentList(msgspec.Struct, frozen=True):
    """Incidents, the one that went on last first; `next` is what to pass as `before` for more, or null."""

    incidents: list[ToldIncident]
    next: str | None


@blueprint.get("/feeds/<feed>/incidents")
@operation(
    query=IncidentsQuery,
    answers={200: IncidentList},
    raises=(UnknownFeed, Refused(400, "bad_query", "`before` is no page's `next`.")),
)
def list_incidents(feed: str) -> Response:
    """List incidents: alerts about one entity and one reason, the latest first."""
    query = read_query(IncidentsQuery)
    try:
        page = current_site().runtime.incidents(feed, query.wanted(), query.before, query.limit)
    except ValueError as error:
        raise RequestError(
            400,
            "bad_query",
            f"query parameter before: expected the next of a page, got {str(query.before)[:60]!r}",
            field="before",
        ) from error
    return json_response(IncidentList(*page))


@blueprint.get("/incidents/<incident_id>")
@operation(query=NoQuery, answers={200: ToldIncident}, raises=(UnknownIncident,))
def get_incident(incident_id: str) -> Response:
    """Answer one incident; its alerts are at `/feeds/{feed}/alerts?incident=`."""
    read_query(NoQuery)
    found = current_site().runtime.anomalies.incident(incident_id)
    if found is None:
        raise UnknownIncident(f"there is no incident {incident_id[:120]!r}", field="id")
    return json_response(found)
