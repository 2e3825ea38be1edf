"""`anomalyai whatif`: a feed's past with another model or another budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from stream.candidate.replay import Answer

SHOWN = 10
LAST = r"\s*(\d+(?:\.\d+)?)\s*([smhd])\s*\Z"
UNIT_S = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def seconds(ctx: click.Context, param: click.Parameter, value: str) -> float | None:
    """Read "7d", "12h", "30m" or "90s"; "all" is None."""
    import re

    if value.strip() == "all":
        return None
    found = re.match(LAST, value)
    if found is None or float(found[1]) <= 0:
        raise click.BadParameter(f"expected a span such as 7d, 12h, 30m or 90s, or all, got {value!r}")
    return float(found[1]) * UNIT_S[found[2]]


@click.command(short_help="Show what another model or budget would have flagged.")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path),
              default=Path("anomalyai-data"), show_default=True, help="Data directory.")  # fmt: skip
@click.option("--feed", required=True, help="Feed whose past is played again.")
@click.option("--model", help="Model to score with, by its id (the feed's own).")
@click.option("--budget", help="Alert budget, such as 1/500 or 20/day (the feed's own).")
@click.option(
    "--last", default="7d", show_default=True, callback=seconds, help="How far back: 7d, 12h, 30m, or all."
)
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as one JSON line.")
def command(
    data: Path, feed: str, model: str | None, budget: str | None, last: float | None, as_json: bool
) -> None:
    """Play the last part of a feed's log again and compare what is flagged with what was flagged then.

    Reads only, so a server may run on the same directory. The span ends at the feed's last record and goes by
    when records came in. Precision and recall are given where labels or verdicts say what the truth is.
    """
    import logging

    import msgspec

    from anomalyai.budget import AlertBudget
    from stream.candidate.replay import Question, opened
    from web.progress import Bar

    logging.getLogger("anomalyai.stream").setLevel(logging.ERROR)  # snapshots that are too new are expected
    if budget is not None:
        AlertBudget.parse(budget)
    with opened(data) as replays, Bar("playing") as bar:
        answer = replays.answer(Question(feed=feed, model=model, budget=budget, last_s=last), bar.update)
    if as_json:
        click.echo(msgspec.json.encode(answer).decode())
        return
    for line in _lines(answer):
        click.echo(line)


def _lines(answer: Answer) -> list[str]:
    found = answer.comparison
    lines = [
        f"{found.records:,} records from {found.since or 'none'} on",
        f"{'':>18}  {'then':>12}  {'what if':>12}",
        _row("anomalies", found.champion.alerts, found.candidate.alerts),
        _row("one in", *(1 / side.rate if side.rate else None for side in (found.champion, found.candidate))),
    ]
    if found.labelled:
        lines += [
            _row(name.replace("_", " "), getattr(found.champion, name), getattr(found.candidate, name))
            for name in ("precision", "recall", "average_precision")
        ]
    lines.append(f"{found.both:,} in both, {found.added:,} added, {found.removed:,} removed")
    for kind, sign in (("added", "+"), ("removed", "-")):
        for example in getattr(found.examples, kind)[: -SHOWN - 1 : -1]:
            lines.append(f"{sign} {example.time or 'no time'}  #{example.seq:,}  {example.summary}")
    if answer.note is not None:
        lines.append(answer.note)
    if answer.passed_over:
        lines.append(f"{answer.passed_over:,} log entries could not be read and were passed over")
    return lines


def _row(name: str, then: Any, now: Any) -> str:
    shown = (
        "-"
        if value is None
        else f"{value:,.3f}"
        if isinstance(value, float) and value < 10
        else f"{value:,.0f}"
        for value in (then, now)
    )
    return f"{name:>18}  " + "  ".join(f"{text:>12}" for text in shown)
