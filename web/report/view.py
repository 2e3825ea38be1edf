"""An evaluation as tables of words and as points to draw: what the HTML report and the page show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from anomalyai.evaluation import Evaluation
from anomalyai.evaluation.accuracy import Accuracy, ScorerFigures
from anomalyai.evaluation.agreement import Agreement
from anomalyai.evaluation.split import PartFigures
from web.report.table import delay_words, measured_on, part_name
from web.report.wording import duration, percent, plain, share, with_interval


class Table(msgspec.Struct, frozen=True):
    """A table: the first cell of each row is its name."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


class Section(msgspec.Struct, frozen=True):
    """What one label clock says: in tables, or in one sentence why it says nothing."""

    title: str
    said: str
    tables: tuple[Table, ...] = ()


class View(msgspec.Struct, frozen=True):
    """One evaluation as it is shown; `charts` are named, their points are in `drawing`."""

    title: str
    measured_on: str
    alerting: str
    sections: tuple[Section, ...]
    tables: tuple[Table, ...]
    charts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def view(evaluation: Evaluation) -> View:
    """Return an evaluation as it is shown. Its texts are plain: whoever puts them into HTML escapes them."""
    alerting = evaluation.alerting
    truth = evaluation.ground_truth
    tables = [
        *_agreements("Stability: the same training done otherwise", evaluation.stability),
        *_agreements("Agreement with other scorers", evaluation.agreement),
        *_parts("By time, in equal spans", evaluation.by_time),
        *_parts(f"By {plain(evaluation.entity or 'entity')}, the largest", evaluation.by_entity),
    ]
    curves = (
        (("precision_recall", "Precision and recall"), ("roc", "ROC curve")) if _has_curves(truth) else ()
    )
    return View(
        title=f"{plain(evaluation.basis.scorer)} on {plain(evaluation.basis.source or 'records held out')}",
        measured_on=f"Measured on {measured_on(evaluation)}.",
        alerting=f"Alert budget: {percent(alerting.promised_rate)} of records promised, "
        f"{with_interval(alerting.realised_rate, percent)} flagged ({alerting.flagged:,} records).",
        sections=(_section("Ground truth", truth), _section("Verdicts", evaluation.verdicts)),
        tables=tuple(tables),
        charts=(*curves, ("histogram", "Scores"), ("rate", "Share flagged over time")),
        notes=evaluation.notes,
    )


def drawing(evaluation: Evaluation) -> dict[str, Any]:
    """Return the points that are drawn, ready for JSON."""
    truth = evaluation.ground_truth
    scorers: Sequence[ScorerFigures] = () if truth is None else truth.scorers
    return {
        "precision_recall": [_line(s.name, s.precision_recall) for s in scorers if s.precision_recall],
        "roc": [_line(s.name, s.roc) for s in scorers if s.roc],
        "anomaly_share": None if truth is None else truth.anomaly_share,
        "histogram": msgspec.to_builtins(evaluation.histogram),
        "threshold": evaluation.alerting.threshold,
        "promised_rate": evaluation.alerting.promised_rate,
        "rate": [
            {
                "time_s": part.first_time_s,
                "rate": None if part.realised_rate is None else part.realised_rate.value,
            }
            for part in evaluation.by_time
        ],
    }


def _has_curves(truth: Accuracy | None) -> bool:
    return truth is not None and any(scorer.precision_recall for scorer in truth.scorers)


def _line(name: str, curve: Any) -> dict[str, Any]:
    return {"name": plain(name), "x": curve.x, "y": curve.y}


def _section(title: str, found: Accuracy | None) -> Section:
    if found is None:
        return Section(title, "Not known: no record has such a label, so nothing is said of accuracy by it.")
    said = (
        f"{found.anomalies:,} anomalies ({percent(found.anomaly_share)}) of {found.labelled:,} labelled "
        f"records; a scorer that knows nothing has an average precision of {share(found.anomaly_share)}."
    )
    if found.known_after_s is not None:
        said += f" Labels were known {duration(found.known_after_s)} after the record (median)."
    scorers = Table(
        "Beside simpler scorers",
        ("scorer", "average precision", "ROC AUC", "precision at budget", "recall at budget"),
        tuple(
            (
                plain(scorer.name),
                with_interval(scorer.average_precision),
                share(scorer.roc_auc),
                with_interval(scorer.at_budget.precision),
                with_interval(scorer.at_budget.recall),
            )
            for scorer in found.scorers
        ),
        f"At the budget are the {found.scorers[0].at_budget.records:,} highest scores. "
        "95 % intervals in brackets.",
    )
    table = found.confusion
    confusion = Table(
        "At the threshold that was used",
        ("", "anomaly", "ordinary"),
        (
            ("flagged", f"{table.true_positives:,}", f"{table.false_positives:,}"),
            ("not flagged", f"{table.false_negatives:,}", f"{table.true_negatives:,}"),
        ),
        f"Precision {with_interval(found.precision)}, recall {with_interval(found.recall)}. "
        f"Episodes of anomalies: {delay_words(found)}.",
    )
    return Section(title, said, (scorers, confusion))


def _agreements(caption: str, agreements: Sequence[Agreement]) -> list[Table]:
    if not agreements:
        return []
    rows = tuple(
        (plain(a.other), share(a.rank_correlation), share(a.shared_at_budget), share(a.chance))
        for a in agreements
    )
    head = ("with", "rank correlation", "shared at budget", "by chance")
    return [Table(caption, head, rows)]


def _parts(caption: str, parts: Sequence[PartFigures]) -> list[Table]:
    if not parts:
        return []
    rows = tuple(
        (
            part_name(part),
            f"{part.records:,}",
            f"{part.flagged:,}",
            with_interval(part.realised_rate, percent),
            "unknown" if part.anomalies is None else f"{part.anomalies:,}",
            share(part.average_precision),
            with_interval(part.precision),
            with_interval(part.recall),
        )
        for part in parts
    )
    head = ("", "records", "flagged", "rate", "anomalies", "average precision", "precision", "recall")
    return [Table(caption, head, rows)]
