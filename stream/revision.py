"""New revisions of alerts: what verdicts and labels make of the alerts that are there.

An alert's next revision is a function of the one before and of a log entry, and both are committed with the
entry's position, so a replay makes the same ones. Single-threaded: only the engine calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anomalyai.alert import Alert, Amendment, amended
from stream.store import Store

__all__ = ["revised"]


def revised(
    changes: Sequence[Amendment], fresh: Mapping[str, Alert], store: Store
) -> list[tuple[Alert, Alert]]:
    """Return (former, new) of every alert that changes, those about nothing that was flagged left out.

    `fresh` has the alerts that are not committed yet, `store` all others.
    """
    known = {**store.alerts_by_id([change.id for change in changes if change.id not in fresh]), **fresh}
    former: dict[str, Alert] = {}
    for change in changes:
        alert = known.get(change.id)
        after = amended(alert, change) if alert is not None else None
        if alert is not None and after is not None:
            former.setdefault(change.id, alert)
            known[change.id] = after
    return [(alert, known[alert_id]) for alert_id, alert in former.items()]
