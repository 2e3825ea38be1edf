"""One run of a simulator: to a server, going on where the feed ends, or to a file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from anomalyai.client import declare, feed_status, rest
from simulators.event_time import seconds
from simulators.export import write_chunks
from simulators.fraud import FraudSimulator
from simulators.network import NetworkSimulator
from simulators.progress import Progress
from simulators.sending import Summary, portions, send, stop_on_signals
from simulators.simulator import START_S, Chunk, Simulator

__all__ = ["SIMULATORS", "Simulation"]

SIMULATORS: Final[dict[str, type[Simulator]]] = {
    simulator.name: simulator for simulator in (FraudSimulator, NetworkSimulator)
}


class Simulation:
    """A simulator by its name, with what a run of it needs.

    Parameters
    ----------
    scenario : str
        `fraud` or `network`.
    feed : str
        Feed to send to.
    seed, anomaly_share
        As for every `Simulator`.
    """

    def __init__(self, scenario: str, feed: str, seed: int, anomaly_share: float) -> None:
        self._kind = SIMULATORS[scenario]
        self._feed = feed
        self._seed = seed
        self._anomaly_share = anomaly_share

    def write(self, path: Path, records: int) -> Summary:
        """Write the first `records` records to a file. Raises `OSError`, or `ValueError` for its name."""
        began_s = time.monotonic()
        written = 0
        with Progress("simulate", records) as shown:

            def on_chunk(chunk: Chunk) -> None:
                nonlocal written
                written += len(chunk)
                shown.show(written, written)

            write_chunks(path, self._simulator(START_S, 1).chunks(records), on_chunk)
        return Summary(self._feed, written, None, None, None, round(time.monotonic() - began_s, 3))

    def send(self, url: str, records: int | None, rate: float | None, *, declares: bool) -> Summary:
        """Send records, `rate` a second (None: as fast as they are taken). Raises `ClientError`.

        A feed that has records goes on behind its last one: same population, later events, higher numbers.
        """
        if declares:
            declare(url, self._feed, self._kind.feed_toml)
        simulator = self._simulator(*self._end_of_feed(url))
        source = portions(simulator, records, rate)
        with stop_on_signals() as stop:
            return send(url, self._feed, source, stop=stop, label="simulate", total=records)

    def _simulator(self, start_s: float, first: int) -> Simulator:
        return self._kind(self._seed, self._anomaly_share, start_s, first)

    def _end_of_feed(self, url: str) -> tuple[float, int]:
        """Return event time and number to go on with: the last record's time, and how many there are + 1."""
        status = feed_status(url, self._feed)
        last_seq = 0 if status is None else int(status["last_seq"])
        if not last_seq:
            return START_S, 1
        event = rest.call(url, f"/feeds/{self._feed}/events/{last_seq}")
        last_s = seconds(event["record"].get("time"))
        return max(START_S, last_s or START_S), last_seq + 1
