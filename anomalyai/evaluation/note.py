"""What a reader of figures has to know, in words: what is missing and why, and what not to conclude."""

from __future__ import annotations

from anomalyai.evaluation.accuracy import Accuracy

FEW_ANOMALIES = 20

NO_LABELS = (
    "No record has a ground-truth label, so there is no precision, recall, average precision or ROC curve "
    "here: nobody can know them without labels. What can be said is how often records are flagged, how "
    "stable the ranking is, and how far it agrees with others; none of that says that it is right."
)


def notes(
    truth: Accuracy | None, verdicts: Accuracy | None, *, flagged: bool, compared: bool, repeated: bool
) -> tuple[str, ...]:
    """Return what has to be said beside the figures of an evaluation."""
    said = [NO_LABELS] if truth is None else _of_truth(truth)
    if verdicts is not None:
        said.append(_of_verdicts(verdicts))
    if not flagged:
        said.append("Nothing was flagged: precision at the threshold is undefined.")
    if not compared:
        said.append("There is no previous version to compare with.")
    if not repeated:
        said.append("Stability was not measured: it takes a second training.")
    return tuple(said)


def _of_truth(truth: Accuracy) -> list[str]:
    if not truth.anomalies:
        return [
            f"None of the {truth.labelled:,} labelled records is an anomaly: recall, average precision and "
            "ROC curve are undefined, and every flag counts as false."
        ]
    said = []
    if truth.anomalies < FEW_ANOMALIES:
        said.append(
            f"Only {truth.anomalies} anomalies are labelled: one more or less found moves these figures much."
        )
    if truth.anomalies == truth.labelled:
        said.append("Every labelled record is an anomaly: precision is 1 whatever is flagged.")
    if truth.labelled_share < 1.0:
        said.append(
            f"{truth.labelled_share:.1%} of the records have a ground-truth label; accuracy is of these."
        )
    return said


def _of_verdicts(verdicts: Accuracy) -> str:
    return (
        f"Verdicts cover {verdicts.labelled:,} records ({verdicts.labelled_share:.2%}), of which "
        f"{verdicts.flagged_labelled:,} were flagged. People judge what they were shown, so verdicts say how "
        "many alerts were real; recall and ranking by them are of judged records alone."
    )
