"""The OpenAPI document: valid, complete, and kept by the answers of a real server."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from flask import Flask
from jsonschema import ValidationError
from openapi_spec_validator import validate

from tests.serving import ServerProcess
from tests.web.contract.conftest import FEED, records
from tests.web.contract.promise import require_answer
from web.contract.openapi import IMPLIED
from web.contract.operation import require_stated
from web.contract.path import template
from web.query import read_query


def test_the_document_is_valid(openapi: dict[str, Any]) -> None:
    validate(openapi)
    assert openapi["openapi"].startswith("3.1.")


def test_every_route_is_described_and_nothing_else(app: Flask, openapi: dict[str, Any]) -> None:
    served = {
        (template(rule), method.lower())
        for rule in app.url_map.iter_rules()
        if not rule.websocket
        for method in (rule.methods or set()) - IMPLIED
    }
    described = {(path, method) for path, methods in openapi["paths"].items() for method in methods}
    assert served == described
    assert len(served) > 15


def test_operations_have_names_of_their_own_and_say_what_they_do(openapi: dict[str, Any]) -> None:
    every = [one for methods in openapi["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in every}) == len(every)
    assert [one["operationId"] for one in every if not one["summary"].endswith((".", ";", ":"))] == []


def test_what_a_query_may_have_is_what_the_server_knows(
    seeded: ServerProcess, openapi: dict[str, Any]
) -> None:
    asked = 0
    for path, methods in openapi["paths"].items():
        described = [each for each in methods.get("get", {}).get("parameters", ()) if each["in"] == "query"]
        if "get" not in methods or "400" not in methods["get"]["responses"]:
            continue
        answer = seeded.request("GET", f"{re.sub('{[a-z_]+}', '1', path)}?surprise=1")
        known = answer.error["hint"].partition("known here: ")[2]
        assert known == ", ".join(sorted(each["name"] for each in described)), path
        asked += 1
    assert asked > 8


NEW = json.dumps(records(200)[-101:-98])
REQUESTS: list[tuple[str, str, str | None, int]] = [
    ("GET", "/feeds", None, 200),
    ("GET", f"/feeds/{FEED}", None, 200),
    ("GET", f"/feeds/{FEED}?x=1", None, 400),
    ("GET", "/feeds/none", None, 404),
    ("PUT", "/feeds/declared", '{"feed": {"numbers": ["amount"], "budget": "20/day"}}', 201),
    ("PUT", "/feeds/declared", '{"feed": {"numbers": ["amount"], "budget": "20/day"}}', 200),
    ("PUT", "/feeds/declared", '{"feed": {"number": ["amount"]}}', 400),
    ("PUT", f"/feeds/{FEED}", '{"feed": {"categories": ["amount"]}}', 409),
    ("GET", "/feeds/declared", None, 200),
    ("POST", f"/feeds/{FEED}/events", NEW, 202),
    ("POST", f"/feeds/{FEED}/events", '[{"amount": "a lot"}]', 422),
    ("POST", f"/feeds/{FEED}/events", "[", 400),
    ("GET", f"/feeds/{FEED}/alerts?after=0&limit=1", None, 200),
    ("GET", f"/feeds/{FEED}/alerts?limit=null", None, 400),
    ("GET", f"/feeds/{FEED}/alerts?after={2**63}", None, 400),
    ("POST", f"/feeds/{FEED}/events?producer=p&batch=null", NEW, 400),
    ("GET", f"/feeds/{FEED}/events/1", None, 200),
    ("GET", f"/feeds/{FEED}/events/2901", None, 200),
    ("GET", f"/feeds/{FEED}/events/zero", None, 400),
    ("GET", f"/feeds/{FEED}/events/1000000", None, 404),
    ("GET", f"/alerts/{FEED}-2901", None, 200),
    ("POST", f"/alerts/{FEED}-2901/verdict", '{"verdict": "real"}', 200),
    ("POST", f"/alerts/{FEED}-2901/verdict", '{"verdict": "perhaps"}', 400),
    ("POST", f"/feeds/{FEED}/labels", '{"labels": [{"seq": 1, "label": 0}, {"label": 2}]}', 202),
    ("POST", f"/predict?feed={FEED}", NEW, 200),
    ("POST", "/predict?feed=declared", NEW, 409),
    ("GET", f"/models?feed={FEED}", None, 200),
    ("GET", "/models/none", None, 404),
    ("POST", "/models/none/promote", None, 404),
    ("POST", f"/feeds/{FEED}/models/rollback", None, 409),
    ("POST", f"/train?feed={FEED}", '{"source": "log"}', 202),
    ("POST", f"/train?feed={FEED}", NEW, 400),
    ("POST", "/train?feed=none", '{"source": "log"}', 404),
    ("GET", "/jobs", None, 200),
    ("GET", "/jobs/none", None, 404),
    ("DELETE", "/jobs/none", None, 404),
    ("GET", "/healthz", None, 200),
    ("GET", "/readyz", None, 200),
    ("GET", "/metrics", None, 200),
    ("GET", "/openapi.json", None, 200),
    ("GET", "/", None, 200),
    ("GET", "/static/js/live/main.js", None, 200),
]


@pytest.mark.parametrize(("method", "address", "body", "status"), REQUESTS)
def test_answers_are_as_described(
    seeded: ServerProcess, openapi: dict[str, Any], method: str, address: str, body: str | None, status: int
) -> None:
    answer = seeded.request(method, address, body)
    assert answer.status == status, answer
    require_answer(openapi, method, address, answer)


def test_a_model_is_as_described(seeded: ServerProcess, openapi: dict[str, Any]) -> None:
    model = seeded.request("GET", f"/models?feed={FEED}").json["models"][0]["id"]
    answer = seeded.request("GET", f"/models/{model}")
    assert answer.status == 200, answer
    require_answer(openapi, "GET", f"/models/{model}", answer)


def test_an_answer_with_a_key_too_many_is_noticed(seeded: ServerProcess, openapi: dict[str, Any]) -> None:
    answer = seeded.request("GET", "/healthz")
    answer.body = b'{"status": "ok", "more": 1}'
    with pytest.raises(ValidationError, match="more"):
        require_answer(openapi, "GET", "/healthz", answer)


def test_a_query_or_body_read_as_another_type_than_stated_fails(app: Flask) -> None:
    class Other(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """Another query."""

    with app.test_request_context("/feeds/payments/alerts"):
        with pytest.raises(TypeError, match="list_alerts reads its query as Other"):
            read_query(Other)
        with pytest.raises(TypeError, match="list_alerts reads its body as Other"):
            require_stated(Other, "body")
