"""The AsyncAPI document: sound, complete, and kept by the frames of a real server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft7Validator, ValidationError

from tests.serving import ServerProcess, receive
from tests.web.contract.conftest import FEED, records
from tests.web.contract.promise import closed


@pytest.fixture(scope="module")
def asyncapi(seeded: ServerProcess) -> dict[str, Any]:
    """Return the server's own document."""
    document: dict[str, Any] = json.loads(seeded.request("GET", "/asyncapi.json").body)
    return document


def pointed(document: dict[str, Any], reference: str) -> Any:
    """Follow a reference within the document."""
    place: Any = document
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place


def references(part: Any) -> Iterator[str]:
    """Find every reference."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


def require_message(document: dict[str, Any], channel: str, message: dict[str, Any]) -> str:
    """Fail where a message of the server is not as described; returns its type."""
    payload = document["channels"][channel]["messages"][message["type"]]["payload"]
    whole = {"allOf": [closed(payload)], "components": closed(document["components"])}
    Draft7Validator(whole).validate(message)
    return str(message["type"])


def test_the_document_is_what_version_3_demands(asyncapi: dict[str, Any]) -> None:
    assert asyncapi["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(asyncapi["info"])
    assert all(pointed(asyncapi, reference) for reference in references(asyncapi))
    for channel in asyncapi["channels"].values():
        assert re.findall(r"\{(\w+)\}", channel["address"]) == list(channel["parameters"])
        for message in channel["messages"].values():
            Draft7Validator.check_schema({**message["payload"], "components": asyncapi["components"]})
    said = []
    for operation in asyncapi["operations"].values():
        assert operation["action"] in ("send", "receive")
        of_channel = f"{operation['channel']['$ref']}/messages/"
        assert all(message["$ref"].startswith(of_channel) for message in operation["messages"])
        said += [message["$ref"] for message in operation["messages"]]
    every = [
        f"#/channels/{name}/messages/{m}" for name, c in asyncapi["channels"].items() for m in c["messages"]
    ]
    assert sorted(said) == sorted(every)


def test_every_socket_is_described_and_nothing_else(asyncapi: dict[str, Any], sockets: set[str]) -> None:
    assert {channel["address"] for channel in asyncapi["channels"].values()} == sockets
    assert len(sockets) > 1


def test_ingest_speaks_as_described(seeded: ServerProcess, asyncapi: dict[str, Any]) -> None:
    seen = []
    with seeded.socket(f"/feeds/{FEED}/ingest?producer=described") as socket:
        seen.append(require_message(asyncapi, "ingest", receive(socket)))
        for frame in (
            {"batch": 1, "records": [{"customer": "c1", "amount": 21.0}, {"customer": 1.5, "amount": 2.0}]},
            {"batch": 2, "columns": {"customer": ["c1", "c2"], "amount": [21.0, 22.0]}},
            [{"customer": "c1", "amount": "a lot"}],
            "[",
        ):
            socket.send(frame if isinstance(frame, str) else json.dumps(frame))
            seen.append(require_message(asyncapi, "ingest", receive(socket)))
    assert seen == ["hello", "ack", "ack", "ack", "error"]


def test_live_speaks_as_described(seeded: ServerProcess, asyncapi: dict[str, Any]) -> None:
    seen = set()
    with seeded.socket(f"/feeds/{FEED}/live?after=0") as socket:
        assert seeded.post(FEED, records(200)[:50]).status == 202
        while not {"alert", "caught_up", "points", "stats"} <= seen:
            seen.add(require_message(asyncapi, "live", receive(socket)))


def test_a_job_is_told_as_described(seeded: ServerProcess, asyncapi: dict[str, Any]) -> None:
    answer = seeded.request("POST", f"/train?feed={FEED}", '{"source": "log"}')
    assert answer.status == 202, answer
    with seeded.socket(f"{answer.headers['location']}/live") as socket:
        told = receive(socket)
    payload = asyncapi["channels"]["live_job"]["messages"]["job"]["payload"]
    Draft7Validator({"allOf": [closed(payload)], "components": closed(asyncapi["components"])}).validate(told)
    assert told["id"] == answer.json["job"]["id"]


def test_a_feed_without_records_has_figures_as_described(
    seeded: ServerProcess, asyncapi: dict[str, Any]
) -> None:
    assert seeded.request("PUT", "/feeds/silent", '{"feed": {"numbers": ["x"]}}').status == 201
    with seeded.socket("/feeds/silent/live") as socket:
        while require_message(asyncapi, "live", receive(socket)) != "stats":
            pass


def test_a_key_too_many_is_noticed(asyncapi: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="more"):
        require_message(asyncapi, "live", {"type": "caught_up", "seq": 1, "more": 2})
