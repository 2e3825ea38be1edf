"""`anomalyai serve`: run the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command(short_help="Run the server.")
@click.option("--host", help="Loopback address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 picks one (default 8000).")
@click.option("--data", type=click.Path(file_okay=False), help="Data directory (default ./anomalyai-data).")
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="TOML file of settings."
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), help="How stderr is written (default text)."
)
def command(
    host: str | None, port: int | None, data: str | None, config: Path | None, log_format: str | None
) -> None:
    """Run the server: ingest, scoring, alerts and the live page.

    Prints `Listening on http://HOST:PORT` as its first line when it is ready. Stop it with Ctrl-C or SIGTERM:
    what was accepted is scored and stored before it exits.
    """
    from stream.settings import load
    from web.server import serve

    overrides: dict[str, Any] = {
        "server.host": host,
        "server.port": port,
        "server.log_format": log_format,
        "data": data,
    }
    serve(load(config, overrides=overrides))
