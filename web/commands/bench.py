"""`anomalyai bench`: measure speed on this machine."""

from __future__ import annotations

from collections.abc import Callable

import click


@click.command(short_help="Measure speed on this machine.")
@click.option("--end-to-end", is_flag=True, help="Only the server: four producers, durable acks, scored.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line.")
def command(end_to_end: bool, as_json: bool) -> None:
    """Measure speed beside what one would otherwise run: River's and scikit-learn's own loops.

    Trust the ratios, not the absolute figures: value and baseline are measured in the same run.
    """
    import msgspec

    from web.benchmark.detectors import measure_dsalmon, measure_forest, measure_hst
    from web.benchmark.end_to_end import measure_end_to_end
    from web.benchmark.pipeline import measure_pipeline

    every: list[Callable[[], dict[str, dict[str, float]]]] = [
        measure_hst,
        measure_dsalmon,
        measure_forest,
        measure_pipeline,
        measure_end_to_end,
    ]
    parts = every[-1:] if end_to_end else every
    results: dict[str, dict[str, float]] = {}
    for part in parts:
        click.echo("measuring ...", err=True)
        try:
            results.update(part())
        except ModuleNotFoundError as error:
            click.echo(f"left out, not installed: {error}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(results).decode())
        return
    click.echo(f"{'events/s, or as named':>24} {'value':>14} {'baseline':>14} {'ratio':>9}")
    for name, row in results.items():
        click.echo(f"{name:>24} {row['value']:>14,.0f} {row['baseline']:>14,.0f} {row['ratio']:>8.2f}x")
