"""`anomalyai simulate`: a labelled event stream, sent to a server or written to a file."""

from __future__ import annotations

from pathlib import Path

import click

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_RATE = 50.0


@click.command(short_help="Make a labelled event stream and send it, or write it to a file.")
@click.argument("scenario", type=click.Choice(["fraud", "network"]))
@click.option("--rate", type=click.FloatRange(min=0, min_open=True),
              help="Records a second (50 without --records, else as fast as they are taken).")  # fmt: skip
@click.option("--records", type=click.IntRange(min=1), help="How many; without it, until Ctrl-C.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
              help="The same seed gives the same stream.")  # fmt: skip
@click.option("--name", help="Feed to send to (the scenario's name).")
@click.option("--anomaly-share", type=click.FloatRange(0, 0.5), default=0.005, show_default=True,
              help="Expected share of anomalous records.")  # fmt: skip
@click.option("--declare/--infer", default=True, show_default=True,
              help="Declare the feed's fields first, or leave them to be inferred.")  # fmt: skip
@click.option("--to", "url", metavar="URL", help=f"Server to send to.  [default: {DEFAULT_URL}]")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
              help="File to write instead: .csv or .ndjson, also with .gz.")  # fmt: skip
def command(
    scenario: str,
    rate: float | None,
    records: int | None,
    seed: int,
    name: str | None,
    anomaly_share: float,
    declare: bool,
    url: str | None,
    out: Path | None,
) -> None:
    """Simulate card payments with fraud, or network flows with attacks, each record labelled 0 or 1.

    Event time runs with the simulated population, not with the clock. Into a feed that has records already,
    the stream goes on behind the last one. The last line on stdout sums the run up.
    """
    from simulators.export import name_problem
    from simulators.failure import named_failures
    from simulators.sending import require_target
    from simulators.simulation import Simulation

    if url is not None and out is not None:
        raise click.UsageError("--to and --out exclude each other: send the stream, or write it to a file")
    if out is not None and (problem := name_problem(out)):
        raise click.BadParameter(problem, param_hint="--out")
    require_target(url or DEFAULT_URL, name or scenario)
    simulation = Simulation(scenario, name or scenario, seed, anomaly_share)
    with named_failures():
        if out is None:
            rate = DEFAULT_RATE if rate is None and records is None else rate
            summary = simulation.send(url or DEFAULT_URL, records, rate, declares=declare)
        elif records is None or rate is not None:
            raise click.UsageError("--out needs --records and takes no --rate: a file has an end and no pace")
        else:
            summary = simulation.write(out, records)
    click.echo(summary.line())
