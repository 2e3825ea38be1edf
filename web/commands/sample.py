"""`anomalyai sample`: a labelled sample file, with missing values, to try everything else on."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Write a labelled sample file.")
@click.argument("scenario", type=click.Choice(["fraud", "network"]))
@click.option("--rows", type=click.IntRange(min=1), required=True, help="How many records.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True,
              help="File to write: .csv or .ndjson, also with .gz.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="The same seed gives the same bytes.")  # fmt: skip
@click.option("--missing", type=click.FloatRange(0, 1), default=0.01, show_default=True,
              help="Share of values left out, of fields but times, ids, entities and the label.")  # fmt: skip
@click.option("--anomalies", type=click.FloatRange(0, 0.5), default=0.005, show_default=True,
              help="Expected share of anomalous records.")  # fmt: skip
@click.option("--feed-toml", is_flag=True, help="Write the feed's declaration beside it, for --feed.")
def command(
    scenario: str, rows: int, out: Path, seed: int, missing: float, anomalies: float, feed_toml: bool
) -> None:
    """Write simulated card payments with fraud, or network flows with attacks, each labelled 0 or 1.

    The last line on stdout says what was written.
    """
    from simulators.export import name_problem
    from simulators.failure import named_failures
    from simulators.sample import write_sample

    if problem := name_problem(out):
        raise click.BadParameter(problem, param_hint="--out")
    with named_failures():
        written = write_sample(
            scenario,
            out,
            rows,
            seed=seed,
            anomaly_share=anomalies,
            missing_share=missing,
            declares=feed_toml,
        )
    click.echo(written.line())
