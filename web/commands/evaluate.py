"""`anomalyai evaluate`: how good it is, with intervals and beside simpler scorers."""

from __future__ import annotations

from pathlib import Path

import click

ALGORITHMS = ("isolation_forest", "one_class_svm", "kmeans", "dbscan")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="Evaluate detection on a file, beside simpler scorers.")
@click.argument("file", type=FILE)
@click.option("--feed", "feed_toml", type=FILE, help="TOML file that declares the feed's fields.")
@click.option("--warmup", type=click.IntRange(min=1),
              help="Records to learn from first (20%; of the pipeline min(20%, 5000)).")  # fmt: skip
@click.option(
    "--budget", help="Alert budget, such as 1/1000 (the default where the feed declares none) or 20/day."
)
@click.option("--algorithm", "algorithms", multiple=True, type=click.Choice(ALGORITHMS),
              help="Evaluate an algorithm alone, trained on the first records; may be repeated.")  # fmt: skip
@click.option("--model", "models", multiple=True, metavar="ID",
              help="Evaluate this stored model alone; may be repeated.")  # fmt: skip
@click.option("--previous", metavar="ID", help="Stored model to show beside it.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), default="./anomalyai-data",
              show_default=True, help="Data directory that holds the stored models.")  # fmt: skip
@click.option("--verdicts", metavar="FILE|FIELD",
              help="People's verdicts: a file of seq,verdict[,time], or a field.")  # fmt: skip
@click.option(
    "--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a report, one HTML file."
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="Seed of every random choice.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one JSON line.")
def command(
    file: Path,
    feed_toml: Path | None,
    warmup: int | None,
    budget: str | None,
    algorithms: tuple[str, ...],
    models: tuple[str, ...],
    previous: str | None,
    data: Path,
    verdicts: str | None,
    html: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """Evaluate detection on FILE (CSV, NDJSON or JSON, .gz too) in event order, beside simpler scorers.

    Without --algorithm and --model it is the whole pipeline, which scores every record before it learns it.
    A batch model alone is trained on the first records, or was before, and scores the later ones frozen.
    Labels are used for the figures only; without labels there are figures of rate, stability and agreement.
    """
    import msgspec

    from web.report.table import text_report
    from web.report.task import Task, evaluate_task

    task = Task(
        file=file,
        feed_toml=feed_toml,
        warmup=warmup,
        budget=budget,
        algorithms=algorithms,
        models=models,
        previous=previous,
        data=data,
        verdicts=verdicts,
        seed=seed,
    )
    evaluations = evaluate_task(task)
    for evaluation in evaluations:
        click.echo(f"{text_report(evaluation)}\n")
    if html is not None:
        from web.page import plotly_file
        from web.report.document import html_report

        html.write_text(html_report(evaluations, plotly_file()), encoding="utf-8")
        click.echo(f"wrote {html}", err=True)
    if as_json:
        click.echo(msgspec.json.encode({"evaluations": evaluations}).decode())
