"""`anomalyai repair`: save what can be read of a damaged database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from stream.mending import FeedLoss

SHOWN_HOLES = 10


@click.command(short_help="Save what can be read of a damaged database.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("./anomalyai-data"),
    help="Data directory (default ./anomalyai-data).",
)
def command(data: Path) -> None:
    """Save what can be read of a damaged database into a new file, and say what is lost.

    No server may run on the data directory. The damaged file stays beside the new one, under another name.
    """
    from stream.repair import repair

    report = repair(data)
    for table in report.tables:
        lost = "an unknown number" if table.lost is None else table.lost
        click.echo(f"table {table.table}: {table.kept} rows kept, {lost} lost")
    for feed in report.feeds:
        click.echo(_told(feed))
    click.echo(f"The damaged file is kept as {report.old}; start the server again.")


def _told(feed: FeedLoss) -> str:
    ranges = [f"{first} to {last}" for first, last in feed.holes[:SHOWN_HOLES]]
    ranges += [f"and {len(feed.holes) - SHOWN_HOLES} ranges more"] if len(feed.holes) > SHOWN_HOLES else []
    where = f" ({', '.join(ranges)})" if ranges else ""
    damaged = f"; {feed.damaged} of those kept do not match their checksum" if feed.damaged else ""
    return f"feed {feed.feed}: {feed.kept} records kept, {feed.lost} lost{where}{damaged}"
