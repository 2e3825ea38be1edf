"""`anomalyai models`: what the model store holds, and which model scores a feed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

TO = click.option("--to", default="http://127.0.0.1:8000", show_default=True, help="Server to ask.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON line.")
NOTE = click.option("--note", help="Kept with it in the log.")


@click.group(short_help="List stored models, put one into a feed, take it back.")
def command() -> None:
    """List stored models, put one into a feed, take it back."""


@command.command("list", short_help="List the models.")
@click.option("--feed", help="Only those trained for this feed.")
@click.option("--data", type=click.Path(file_okay=False, exists=True, path_type=Path),
              help="Read this data directory instead of asking a server.")  # fmt: skip
@TO
@AS_JSON
def list_models(feed: str | None, data: Path | None, to: str, as_json: bool) -> None:
    """List the models, and those that are there and were refused."""
    found = _read(data, feed) if data is not None else _call(to, "/models", query={"feed": feed})
    if as_json:
        _print(found)
        return
    for model in found["models"]:
        click.echo(f"{model['id']}  {model['algorithm']}  {_made(model)}")
    for refused in found["refused"]:
        click.echo(f"{refused['id']}  refused: {refused['error']}")
    if not found["models"] and not found["refused"]:
        click.echo("no models yet; anomalyai train FILE makes one", err=True)


@command.command("show", short_help="Show what is known of a model.")
@click.argument("model")
@TO
@AS_JSON
def show(model: str, to: str, as_json: bool) -> None:
    """Show what is known of a model, which feeds it scores, and when it was put in."""
    found = _call(to, f"/models/{_quoted(model)}")
    if as_json:
        _print(found)
        return
    for name in ("id", "feed", "algorithm", "parameters", "rows", "rows_used", "created_by", "sha256"):
        click.echo(f"{name:12} {found[name]}")
    click.echo(f"{'made':12} {_made(found)}")
    click.echo(f"{'scores':12} {', '.join(found['champion_of']) or 'no feed now'}")
    for one in found["promoted"]:
        what = "back in" if one["rollback"] else "put in"
        click.echo(f"{what:12} {one['feed']} at {one['time']} by {one['by']}")


@command.command("promote", short_help="Let a model score a feed from here on.")
@click.argument("model")
@click.option("--feed", help="The feed (the one that the model was trained for).")
@NOTE
@TO
@AS_JSON
def promote(model: str, feed: str | None, note: str | None, to: str, as_json: bool) -> None:
    """Let a model score a feed from here on."""
    body = {"feed": feed, "note": note}
    _told(_call(to, f"/models/{_quoted(model)}/promote", body=body), as_json)


@command.command("rollback", short_help="Let the model before the present one score a feed again.")
@click.argument("feed")
@NOTE
@TO
@AS_JSON
def rollback(feed: str, note: str | None, to: str, as_json: bool) -> None:
    """Let the model before the present one score a feed again; a second time goes back one further."""
    _told(_call(to, f"/feeds/{_quoted(feed)}/models/rollback", body={"note": note}), as_json)


def _told(answer: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print(answer)
    elif answer["entry"] is None:
        click.echo(f"{answer['model']} scores {answer['feed']} already")
    else:
        before = f", before it {answer['previous']}" if answer["previous"] else ""
        click.echo(f"{answer['model']} scores {answer['feed']} from log entry {answer['entry']} on{before}")


def _read(data: Path, feed: str | None) -> dict[str, Sequence[Any]]:
    """Return what `GET /models` would, read from the folder."""
    import msgspec

    from anomalyai.model_store import ModelStore
    from stream.secret import read_secret

    if not (data / "models").is_dir():
        return {"models": [], "refused": []}
    store = ModelStore(data / "models", read_secret(data))
    found: dict[str, Sequence[Any]] = msgspec.to_builtins(
        {"models": store.list(feed), "refused": store.refused(feed)}
    )
    return found


def _call(
    to: str,
    path: str,
    *,
    query: dict[str, str | int | None] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    import msgspec

    from anomalyai.client import ClientError
    from anomalyai.client.rest import call

    sent = None if body is None else msgspec.json.encode({k: v for k, v in body.items() if v is not None})
    method = "GET" if sent is None else "POST"
    headers = {"Content-Type": "application/json"}
    try:
        return call(to, path, query=query, method=method, body=sent, headers=headers)
    except ClientError as error:
        raise click.ClickException(str(error)) from error


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")


def _made(model: dict[str, Any]) -> str:
    created_s = model.get("created_s")
    when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(created_s)) if created_s is not None else "first"
    return f"{when}  {model['rows']} rows" if model.get("rows") else when


def _print(answer: Any) -> None:
    import msgspec

    click.echo(msgspec.json.encode(answer).decode())
