"""`anomalyai score`: score the records of a file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Score the records of a file.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--feed", "feed_toml", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="TOML file that declares the feed's fields.")  # fmt: skip
@click.option(
    "--budget", help="Alert budget, such as 1/1000 (the default where the feed declares none) or 20/day."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="CSV file to write (stdout).")
@click.option("--seed", default=0, show_default=True, help="Seed of every random choice.")
def command(file: Path, feed_toml: Path | None, budget: str | None, out: Path | None, seed: int) -> None:
    """Score every record of FILE (CSV, NDJSON or JSON, .gz too) as the live pipeline would, in event order.

    Writes one row a data row of the file, in file order: seq, score (-log10 of the tail probability), one_in,
    flagged, and anomaly in words. A rejected row has an empty score.
    """
    from anomalyai.backtest import score_file
    from anomalyai.schema import FeedSchema
    from web.progress import Bar
    from web.scores_csv import write_scores

    schema = FeedSchema.from_file(feed_toml) if feed_toml else None
    with Bar("scoring") as bar:
        result = score_file(file, schema, budget=budget, seed=seed, progress=bar.update)
    write_scores(out, result, with_anomaly=True)
    flagged = int(result.flagged.sum())
    click.echo(f"scored {len(result.order):,} of {len(result.score):,} rows, {flagged:,} anomalies", err=True)
