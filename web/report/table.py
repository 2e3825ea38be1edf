"""An evaluation as plain text of at most 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from anomalyai.evaluation import Evaluation
from anomalyai.evaluation.accuracy import Accuracy
from anomalyai.evaluation.agreement import Agreement
from anomalyai.evaluation.interval import Estimate
from anomalyai.evaluation.split import PartFigures
from web.report.wording import duration, moment, percent, plain, share, with_interval

WIDTH = 100
NAME_WIDTH = 30


def text_report(evaluation: Evaluation) -> str:
    """Return an evaluation as text: on what it was measured, figures beside the rivals', what to know."""
    return "\n".join(_lines(evaluation))


def _lines(evaluation: Evaluation) -> Iterator[str]:
    basis, alerting = evaluation.basis, evaluation.alerting
    yield f"{plain(basis.scorer)} on {plain(basis.source or 'records')}"
    yield from _wrapped(f"Measured on {measured_on(evaluation)}.")
    yield from _wrapped(
        f"Alert budget: {percent(alerting.promised_rate)} of records promised, "
        f"{with_interval(alerting.realised_rate, percent)} flagged ({alerting.flagged:,})."
    )
    for name, found in (("ground truth", evaluation.ground_truth), ("verdicts", evaluation.verdicts)):
        yield ""
        yield from _accuracy(name, found)
    for title, agreements in (("Stability", evaluation.stability), ("Agreement", evaluation.agreement)):
        if agreements:
            yield ""
            yield from _agreements(title, agreements)
    if evaluation.by_time:
        yield ""
        yield from _parts("By time (equal spans)", evaluation.by_time)
    if evaluation.by_entity:
        yield ""
        yield from _parts(f"By {plain(evaluation.entity or 'entity')} (largest)", evaluation.by_entity)
    yield ""
    for note in evaluation.notes:
        yield from _wrapped(f"* {note}")


def measured_on(evaluation: Evaluation) -> str:
    """Say which records the figures are of, and how they were scored."""
    basis = evaluation.basis
    span = ""
    if basis.first_time_s is not None and basis.last_time_s is not None:
        span = f" of {moment(basis.first_time_s)} to {moment(basis.last_time_s)}"
    refused = f"; {basis.rejected:,} rows were rejected" if basis.rejected else ""
    return f"{basis.records:,} records{span}: {plain(basis.how)}{refused}"


def _accuracy(name: str, found: Accuracy | None) -> Iterator[str]:
    if found is None:
        yield f"By {name}: not known, no record has such a label."
        return
    anomalies = f"{found.anomalies:,} anomalies ({percent(found.anomaly_share)})"
    yield f"By {name}: {anomalies} of {found.labelled:,} labelled"
    if found.known_after_s is not None:
        yield f"Known {duration(found.known_after_s)} after the record (median)"
    yield (
        f"{'':<{NAME_WIDTH}} {'average precision':>22} {'ROC AUC':>8} {'prec@budget':>12} "
        f"{'recall@budget':>14}"
    )
    for scorer in found.scorers:
        cut = scorer.at_budget
        yield (
            f"{plain(scorer.name)[:NAME_WIDTH]:<{NAME_WIDTH}} {with_interval(scorer.average_precision):>22} "
            f"{share(scorer.roc_auc):>8} {share(cut.precision):>12} {share(cut.recall):>14}"
        )
    yield (
        f"At the threshold: precision {with_interval(found.precision)}, recall {with_interval(found.recall)}"
    )
    table = found.confusion
    yield f"{'':<12}{'anomaly':>12}{'ordinary':>12}"
    yield f"{'flagged':<12}{table.true_positives:>12,}{table.false_positives:>12,}"
    yield f"{'not flagged':<12}{table.false_negatives:>12,}{table.true_negatives:>12,}"
    yield from _wrapped(f"Episodes of anomalies: {delay_words(found)}.")


def delay_words(found: Accuracy) -> str:
    """Say how long episodes of anomalies went on before a flag."""
    delay = found.delay
    said = f"{delay.found:,} of {delay.episodes:,} found, {delay.at_once:,} by their first record"
    if delay.median_records is None:
        return said
    said += f"; records to the first flag: median {delay.median_records:g}"
    said += f", 90 % within {delay.ninth_tenth_records:.3g}"
    if delay.median_s is not None and delay.ninth_tenth_s is not None:
        said += f"; time: median {duration(delay.median_s)}, 90 % within {duration(delay.ninth_tenth_s)}"
    return said


def _agreements(title: str, agreements: Sequence[Agreement]) -> Iterator[str]:
    yield (
        f"{title + ' with':<{NAME_WIDTH}} {'rank correlation':>18} {'shared at budget':>18} {'by chance':>12}"
    )
    for found in agreements:
        yield (
            f"{plain(found.other)[:NAME_WIDTH]:<{NAME_WIDTH}} {share(found.rank_correlation):>18} "
            f"{share(found.shared_at_budget):>18} {share(found.chance):>12}"
        )


def _parts(title: str, parts: Sequence[PartFigures]) -> Iterator[str]:
    yield (
        f"{title:<{NAME_WIDTH}} {'records':>9} {'flagged':>8} {'rate':>8} {'anomalies':>10} {'AP':>8} "
        f"{'prec':>8} {'recall':>8}"
    )
    for part in parts:
        name = part_name(part)
        anomalies = "unknown" if part.anomalies is None else f"{part.anomalies:,}"
        yield (
            f"{name[:NAME_WIDTH]:<{NAME_WIDTH}} {part.records:>9,} {part.flagged:>8,} "
            f"{percent(_value(part.realised_rate)):>8} {anomalies:>10} {share(part.average_precision):>8} "
            f"{share(part.precision):>8} {share(part.recall):>8}"
        )


def part_name(part: PartFigures) -> str:
    """Return what a part is called: its entity, or when it begins."""
    if part.name is not None:
        return plain(part.name)
    return (
        "no record"
        if not part.records
        else "part"
        if part.first_time_s is None
        else f"from {moment(part.first_time_s)}"
    )


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _wrapped(text: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False) or [""]
