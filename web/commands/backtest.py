"""`anomalyai backtest`: measure detection on a labelled file."""

from __future__ import annotations

from pathlib import Path

import click

LEAVABLE = (
    "columns", "rarity", "habit", "behaviour", "tight trees", "wide trees", "forest", "far out"
)  # fmt: skip
"""Members of the ensemble (`anomalyai.ensemble.MEMBERS`, which takes seconds to import) that speak in a
back-test."""


@click.command(short_help="Measure detection on a labelled file.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--feed", "feed_toml", type=click.Path(exists=True, dir_okay=False, path_type=Path),
              help="TOML file that declares the feed's fields.")  # fmt: skip
@click.option(
    "--warmup", type=click.IntRange(min=0), help="Records before the figures start (min(20%, 5000))."
)
@click.option(
    "--budget", help="Alert budget, such as 1/1000 (the default where the feed declares none) or 20/day."
)
@click.option(
    "--scores", type=click.Path(dir_okay=False, path_type=Path), help="Write seq,score,one_in,flagged."
)
@click.option("--seed", default=0, show_default=True, help="Seed of every random choice.")
@click.option("--without", multiple=True, type=click.Choice(LEAVABLE),
              help="Leave a member of the ensemble out; may be repeated.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON line.")
def command(
    file: Path,
    feed_toml: Path | None,
    warmup: int | None,
    budget: str | None,
    scores: Path | None,
    seed: int,
    without: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run FILE (CSV, NDJSON or JSON, .gz too) through the same pipeline as live records and measure it.

    Records go in event order and are scored before they are learnt; labels are used for the figures only.
    """
    import time

    import msgspec

    from anomalyai.backtest import figures, score_file
    from anomalyai.schema import FeedSchema
    from web.progress import Bar
    from web.scores_csv import write_scores

    schema = FeedSchema.from_file(feed_toml) if feed_toml else None
    started = time.perf_counter()
    with Bar("scoring") as bar:
        result = score_file(file, schema, budget=budget, seed=seed, without=without, progress=bar.update)
    measured = figures(result, warmup=warmup, elapsed_s=time.perf_counter() - started)
    if result.rejections:
        first = result.rejections[0]
        click.echo(
            f"rejected {len(result.rejections)} rows, first: row {first.index + 1}: {first.error}", err=True
        )
    if scores is not None:
        write_scores(scores, result)
    if as_json:
        click.echo(msgspec.json.encode(measured).decode())
        return
    for name, value in msgspec.to_builtins(measured).items():
        shown = (
            "undefined" if value is None else f"{value:,.4f}" if isinstance(value, float) else f"{value:,}"
        )
        click.echo(f"{name:>22}  {shown}")
