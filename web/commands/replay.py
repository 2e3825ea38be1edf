"""`anomalyai replay`: send the records of a file to a server."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Send the records of a file to a server.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--feed", "feed_toml", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="TOML file that declares the feed's fields; it is declared first.")  # fmt: skip
@click.option("--name", help="Feed to send to (the declared name, else the file's).")
@click.option("--to", "url", metavar="URL", default="http://127.0.0.1:8000", show_default=True,
              help="Server to send to.")  # fmt: skip
@click.option("--speed", default="max", show_default=True, metavar="max|NUMBER",
              help="max does not wait; a number is a multiple of event time.")  # fmt: skip
def command(file: Path, feed_toml: Path | None, name: str | None, url: str, speed: str) -> None:
    """Send every record of FILE (CSV, NDJSON or JSON, .gz too), in file order.

    Types are those that an upload of the file would have: a CSV column is a number only if its first 500
    filled cells are, and a cell with a leading zero is none. The last line on stdout sums the run up.
    """
    from simulators.failure import named_failures
    from simulators.replay import feed_name, replay
    from simulators.sending import require_target, stop_on_signals

    pace = _speed(speed)
    with named_failures(), stop_on_signals() as stop:
        toml = feed_toml.read_text(encoding="utf-8-sig") if feed_toml else None
        feed = name or feed_name(file, toml)
        require_target(url, feed)
        click.echo(replay(file, url, feed, toml=toml, speed=pace, stop=stop).line())


def _speed(text: str) -> float | None:
    """Return the multiple of event time, None for `max`."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise click.BadParameter(f"expected max or a number above 0, got {text!r}", param_hint="--speed")
    return speed
