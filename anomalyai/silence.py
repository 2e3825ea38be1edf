"""What is missing: feeds, and entities of a feed, that have a learnt cadence and fell silent.

An entity is overdue by the feed's own stopwatch (`anomalyai.attendance`), the feed itself by its arrivals and
a logged tick (`anomalyai.arrival`). Each gap is allowed a tail probability such that, of what keeps to its
cadence, at most a tenth of the alert budget falls silent by chance: no record ends more than one gap of the
feed and one of each entity field. Silences are raised beside the budget, at most `MAX_OPEN` of an entity
field and one of the feed open at a time.

An alert's id is `{feed}-s{entry}`, the entry that showed the silence; of several that one entry showed, the
later ones have `-2`, `-3` and so on behind it. When who was silent comes back, the alert is amended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import numpy as np

from anomalyai.alert import Alert, Amendment, Reason, one_in, rfc3339, severity_of
from anomalyai.arrival import ArrivalCadence, Origins
from anomalyai.attendance import BECAME_KNOWN, CAME_BACK, MAX_OPEN, MAX_WATCHED, Attendance, Event
from anomalyai.cadence import Silence
from anomalyai.records import RecordBatch
from anomalyai.state import part_of, under
from anomalyai.wording import duration, noun, quoted

SHARE_OF_BUDGET = 0.1
MAX_NAME_CHARS = 200
_STANDARD = NormalDist()


class SilenceWatch:
    """Cadences of a feed and its entity fields, and the silences that are open."""

    def __init__(self, feed: str, entities: tuple[str, ...]) -> None:
        self.feed = feed
        self.entities = entities
        self.raised = self.resumed = 0
        self._arrivals = ArrivalCadence()
        self._rate = 0.0
        self._tick = 0
        self._last = [0, 0]  # the entry that showed a silence last, and how many it showed
        self._open_feed: str | None = None
        self._start()

    def _start(self) -> None:
        self._fields = {field: Attendance() for field in self.entities}
        self._names: dict[str, dict[int, str]] = {field: {} for field in self.entities}
        self._open: dict[str, dict[int, str]] = {field: {} for field in self.entities}

    def restart(self, entities: tuple[str, ...]) -> None:
        """Learn the entities anew, with the fields that there are now; the feed's own cadence stays."""
        self.entities = entities
        self._start()

    @property
    def last_arrival_s(self) -> float:
        """When the feed's last records arrived, NaN before the first."""
        return self._arrivals.last_s

    @property
    def allowed_s(self) -> float:
        """How long the feed may be silent before a tick is worth while; infinite where it never is."""
        return self._arrivals.allowed_s(self._spreads()) if self._rate else math.inf

    def observe(
        self, batch: RecordBatch, alive_s: Any, rate: float, origins: Origins | None
    ) -> tuple[list[Alert], list[Amendment]]:
        """Follow a batch that lies within one block.

        `alive_s` float64 [n] is the feed's stopwatch, `rate` the promised alert rate. Returns new alerts and
        what becomes of earlier ones, in order; without `origins` nothing is watched.
        """
        if origins is None:
            return [], []
        self._rate = rate
        alerts: list[Alert] = []
        amendments: list[Amendment] = []
        ended = self._arrivals.observe(origins.upto(batch.first_seq + batch.n - 1))
        if ended is not None and self._open_feed is not None:
            arrival_s, silent_s = ended
            amendments.append(self._resumption(self._open_feed, arrival_s, silent_s))
            self._open_feed = None
        spreads = self._spreads()
        for field, event in sorted(self._events(batch, alive_s, spreads), key=lambda found: found[1].row):
            names = self._names[field]
            if event.kind == BECAME_KNOWN:
                self._remember(field, event.key, batch.text(event.row, field) or "")
            elif event.kind == CAME_BACK:
                alert_id = self._open[field].pop(event.key, None)
                if alert_id is not None:
                    time_s = self._time_s(batch, event.row, origins)
                    amendments.append(self._resumption(alert_id, time_s, event.elapsed_s))
            else:
                alert = self._entity_alert(batch, field, names.get(event.key, ""), event, origins)
                self._open[field][event.key] = alert.id
                _keep_newest(self._open[field], 2 * MAX_OPEN)
                alerts.append(alert)
        self._tick += batch.n
        return alerts, amendments

    def tick(self, time_s: float, entry: int, seq: int) -> list[Alert]:
        """Take a logged tick after record `seq`; returns the alert of the feed's silence, once."""
        found = self._arrivals.tick(time_s, self._spreads()) if self._rate else None
        if found is None:
            return []
        alert = self._alert(self._next_id(entry), seq, time_s, "the feed", {}, found)
        self._open_feed = alert.id
        return [alert]

    def status(self) -> dict[str, int]:
        """Return figures, ready for JSON."""
        return {
            "watched": sum(len(names) for names in self._names.values()),
            "open": sum(field.open for field in self._fields.values()) + (self._open_feed is not None),
            "raised": self.raised,
            "resumed": self.resumed,
            "withheld": sum(field.withheld for field in self._fields.values()),
        }

    def _spreads(self) -> float:
        tail = self._rate * SHARE_OF_BUDGET / (len(self.entities) + 1)
        return _STANDARD.inv_cdf(1.0 - max(tail, 1e-12))

    def _events(self, batch: RecordBatch, alive_s: Any, spreads: float) -> Iterator[tuple[str, Event]]:
        known = (*batch.schema.categories, *batch.schema.entities)
        for field, attendance in self._fields.items():
            if field in known:
                keys = np.ascontiguousarray(batch.keys[:, known.index(field)])
            else:
                keys = np.zeros(batch.n, dtype=np.uint64)
            for event in attendance.observe(keys, alive_s, self._tick, spreads):
                yield field, event

    def _remember(self, field: str, key: int, name: str) -> None:
        names = self._names[field]
        names.pop(key, None)
        names[key] = name[:MAX_NAME_CHARS]
        _keep_newest(names, 2 * MAX_WATCHED)

    def _entity_alert(
        self, batch: RecordBatch, field: str, name: str, event: Event, origins: Origins
    ) -> Alert:
        seq = batch.first_seq + event.row
        entry, _ = origins.of(seq)
        who = f"{noun(field)} {quoted(name)}"
        silence = Silence(event.elapsed_s, event.usual_s, event.score)
        time_s = self._time_s(batch, event.row, origins)
        return self._alert(self._next_id(entry), seq, time_s, who, {field: name}, silence)

    def _alert(
        self, alert_id: str, seq: int, time_s: float, who: str, entities: dict[str, str], silence: Silence
    ) -> Alert:
        elapsed, usual = duration(silence.elapsed_s), duration(silence.usual_s)
        text = f"{who} has been silent for {elapsed}, usually every {usual}"
        self.raised += 1
        return Alert(
            id=alert_id,
            feed=self.feed,
            seq=seq,
            time=rfc3339(time_s),
            score=silence.score,
            one_in=one_in(silence.score),
            severity=severity_of(silence.score, -math.log10(self._rate)),
            summary=text,
            reasons=(Reason(next(iter(entities), "arrival"), text, 1.0, silence.usual_s, silence.elapsed_s),),
            record=None,
            entities=entities,
            resumed=None,
        )

    def _next_id(self, entry: int) -> str:
        self._last = [entry, self._last[1] + 1 if self._last[0] == entry else 1]
        return f"{self.feed}-s{entry}" + (f"-{self._last[1]}" if self._last[1] > 1 else "")

    def _resumption(self, alert_id: str, time_s: float, silent_s: float) -> Amendment:
        self.resumed += 1
        return Amendment(alert_id, None, resumed_s=time_s, silent_s=silent_s)

    @staticmethod
    def _time_s(batch: RecordBatch, row: int, origins: Origins) -> float:
        """Return a record's time, that of its arrival where it has none."""
        time_s = float(batch.time_s[row])
        return time_s if math.isfinite(time_s) else origins.of(batch.first_seq + row)[1]

    def state(self) -> dict[str, Any]:
        """Return the exact state for `anomalyai.state`."""
        state: dict[str, Any] = {
            "entities": list(self.entities),
            "figures": [self.raised, self.resumed, self._rate, self._tick, *self._last, self._open_feed],
            "names": [list(names.items()) for names in self._names.values()],
            "open": [list(ids.items()) for ids in self._open.values()],
        }
        for prefix, part in self._parts().items():
            state.update(under(prefix, part.state()))
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.restart(tuple(state["entities"]))
        self.raised, self.resumed, self._rate, self._tick, *self._last, self._open_feed = state["figures"]
        for place, field in enumerate(self.entities):
            self._names[field] = dict(state["names"][place])
            self._open[field] = dict(state["open"][place])
        for prefix, part in self._parts().items():
            part.restore(part_of(prefix, state))

    def _parts(self) -> dict[str, Any]:
        return {
            "arrivals": self._arrivals,
            **{f"field{j}": part for j, part in enumerate(self._fields.values())},
        }


def _keep_newest(kept: dict[int, str], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
