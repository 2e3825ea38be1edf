"""Verdicts and labels over HTTP: people judge alerts, programs say what became of records."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from anomalyai.alert import Alert, Status
from anomalyai.errors import TooLarge, UnreadableBody
from anomalyai.media import CSV, JSON, SNIFFED, media_of
from anomalyai.records import Rejection
from stream.errors import LogFailure, UnknownAlert, UnknownFeed, UnknownIncident
from stream.judgement import MAX_AT_ONCE, MAX_NOTE_CHARS, Label
from web.body import read_body, read_json
from web.contract.operation import Refused, operation
from web.contract.record import LabelsCsv
from web.errors import json_response
from web.query import NoQuery, read_query
from web.refusal import RequestError
from web.site import current_site

blueprint = Blueprint("verdict", __name__)

MAX_LABELS = 10_000
"""Labels of one request."""

LABEL_FIELDS = ("seq", "id", "label")


class VerdictBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a verdict."""

    verdict: Literal["real", "false_alarm", "unsure", "new_normal"]
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] | None = None


class VerdictsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One verdict on many alerts: those named, or, with `incident`, those of its that stand otherwise."""

    verdict: Literal["real", "false_alarm", "unsure", "new_normal"]
    alerts: Annotated[list[str], Meta(max_length=MAX_AT_ONCE)] | None = None
    incident: str | None = None
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] | None = None


class VerdictsAnswer(msgspec.Struct, frozen=True):
    """How many alerts were judged, how many others that ranked anew, and ids of no alert of the feed."""

    judged: int
    reranked: int
    unknown: list[str]


class LabelItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One label: exactly one of `seq` and `id` is given."""

    label: Literal[0, 1]
    seq: Annotated[int, Meta(ge=1, lt=2**62)] | None = None
    id: str | int | None = None


class LabelsBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of labels as JSON."""

    labels: Annotated[list[LabelItem], Meta(max_length=MAX_LABELS)]


class RawLabels(LabelsBody, frozen=True, forbid_unknown_fields=True):
    """The body as it is read, so that each label is looked at by itself."""

    labels: list[msgspec.Raw]  # type: ignore[assignment]


class JudgedAlert(Alert, frozen=True, kw_only=True):
    """The alert after its verdict; `reranked` other open alerts were ranked anew."""

    reranked: int


class LabelsAnswer(msgspec.Struct, frozen=True):
    """How many labels were taken, and which not and why."""

    accepted: int
    rejected: list[Rejection]


@blueprint.post("/alerts/<alert_id>/verdict")
@operation(query=NoQuery, body=VerdictBody, answers={200: JudgedAlert}, raises=(UnknownAlert, LogFailure))
def post_verdict(alert_id: str) -> Response:
    """Take a verdict on an alert; answered with the alert as it is after it."""
    read_query(NoQuery)
    body = read_json(VerdictBody, read_body())
    alert, reranked = current_site().runtime.judgements.judge(alert_id, body.verdict, body.note)
    return json_response(JudgedAlert(**msgspec.structs.asdict(alert), reranked=reranked))


@blueprint.post("/feeds/<feed>/verdicts")
@operation(
    query=NoQuery,
    body=VerdictsBody,
    answers={200: VerdictsAnswer},
    raises=(
        UnknownFeed,
        UnknownIncident,
        LogFailure,
        Refused(400, "bad_body", "It names alerts and an incident, or neither."),
    ),
)
def post_verdicts(feed: str) -> Response:
    """Take one verdict on many alerts, at most 1,000 at a time; answered once all of them act."""
    read_query(NoQuery)
    body = read_json(VerdictsBody, read_body())
    runtime = current_site().runtime
    if (body.alerts is None) == (body.incident is None):
        raise RequestError(400, "bad_body", "expected exactly one of alerts and incident", field="alerts")
    alerts = body.alerts
    if alerts is None:
        assert body.incident is not None
        if runtime.anomalies.incident(body.incident) is None:
            raise UnknownIncident(f"there is no incident {body.incident[:120]!r}", field="incident")
        status: Status = "false_alarm" if body.verdict == "new_normal" else body.verdict
        alerts = runtime.anomalies.ids(body.incident, status, MAX_AT_ONCE)
    return json_response(VerdictsAnswer(*runtime.judgements.judge_all(feed, alerts, body.verdict, body.note)))


@blueprint.post("/feeds/<feed>/labels")
@operation(
    query=NoQuery,
    body={JSON: LabelsBody, CSV: LabelsCsv},
    answers={202: LabelsAnswer},
    raises=(UnknownFeed, LogFailure),
)
def post_labels(feed: str) -> Response:
    """Take labels as JSON or CSV; answered once they are durable, with what was not taken and why."""
    read_query(NoQuery)
    labels, refused = _labels(read_body())
    accepted, rejected = current_site().runtime.judgements.label(feed, labels)
    rejected = sorted([*refused, *rejected], key=lambda rejection: rejection.index)
    return json_response(LabelsAnswer(accepted, rejected), 202)


def _labels(body: bytes) -> tuple[list[Label], list[Rejection]]:
    media = request.mimetype
    if media in SNIFFED:
        media = JSON if body.lstrip()[:1] == b"{" else CSV
    else:
        media = media_of(request.content_type, body)
    items = _from_csv(body) if media == CSV else [bytes(raw) for raw in read_json(RawLabels, body).labels]
    if len(items) > MAX_LABELS:
        raise TooLarge(f"expected at most {MAX_LABELS} labels, got {len(items)}", hint="send them in parts")
    labels: list[Label] = []
    refused: list[Rejection] = []
    for index, item in enumerate(items):
        taken = _label(index, item)
        if isinstance(taken, Label):
            labels.append(taken)
        else:
            refused.append(taken)
    return labels, refused


def _label(index: int, item: bytes | dict[str, Any]) -> Label | Rejection:
    try:
        read = (
            msgspec.json.decode(item, type=LabelItem)
            if isinstance(item, bytes)
            else msgspec.convert(item, LabelItem)
        )
    except (msgspec.MsgspecError, RecursionError) as error:
        text, _, where = str(error).partition(" - at `$.")
        named = text.partition("field `")[2].rstrip("`")
        return Rejection(index, where.rstrip("`") or named or None, text)
    if (read.seq is None) == (read.id is None):
        return Rejection(index, "seq", "expected exactly one of seq and id")
    key = read.seq if read.seq is not None else str(read.id)
    return Label(index, key, read.label)


def _from_csv(body: bytes) -> list[bytes | dict[str, Any]]:
    """Return the data rows of a CSV body with a header of `label` and `seq` or `id`."""
    try:
        text = body.decode("utf-8-sig")
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableBody(f"expected CSV in UTF-8: {error}") from error
    header = [name.strip() for name in rows[0]] if rows else []
    unknown = [name for name in header if name not in LABEL_FIELDS]
    if unknown:
        raise UnreadableBody(f"unknown column {unknown[0][:60]!r}", code="bad_body", field=unknown[0][:60])
    if sorted(header) not in (["label", "seq"], ["id", "label"]):
        raise UnreadableBody(
            f"expected CSV with the header seq,label or id,label, got {','.join(header)[:80]!r}",
            hint='or JSON: {"labels": [{"seq": 1, "label": 0}]}',
        )
    return [_cells(header, row) for row in rows[1:] if row]


def _cells(header: list[str], row: list[str]) -> dict[str, Any]:
    """Return a row's cells; what is a whole number becomes one, but for an id."""
    if len(row) != len(header):
        return {"label": f"a row of {len(row)} cells"}
    cells: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=True):
        text = cell.strip()
        is_number = name != "id" and text.isascii() and text.isdigit() and len(text) <= 18
        cells[name] = int(text) if is_number else text
    return cells
