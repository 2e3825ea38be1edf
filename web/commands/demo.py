"""`anomalyai demo`: the server with a starter model and a simulated feed of card payments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

FEED = "fraud"
SEED = 1
TRAINING_SEED, TRAINING_RECORDS, CHUNK_RECORDS = 20_260_101, 20_000, 500


@click.command(short_help="Run the server with a starter model and a simulated feed.")
@click.option("--host", help="Loopback address to listen on (default 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on, 0 picks one (default 8000).")
@click.option("--data", type=click.Path(file_okay=False), help="Data directory (default ./anomalyai-data).")
@click.option(
    "--rate", type=click.FloatRange(0.1, 100_000), default=100.0, show_default=True, help="Records a second."
)
def command(host: str | None, port: int | None, data: str | None, rate: float) -> None:
    """Run the server with a starter model and a simulated feed of card payments.

    The starter model is trained at the first start and loaded at later ones. Prints the page's address;
    Ctrl-C stops server and simulator.
    """
    from simulators.fraud import FraudSimulator
    from stream.settings import load
    from web.demo import Demo
    from web.server import serve

    settings = load(overrides={"server.host": host, "server.port": port, "data": data})

    def clean_chunks() -> Iterator[Sequence[Mapping[str, Any]]]:
        simulator = FraudSimulator(seed=TRAINING_SEED, anomaly_share=0.0)
        return (chunk.records() for chunk in simulator.chunks(TRAINING_RECORDS, size=CHUNK_RECORDS))

    simulate = ("simulate", FEED, "--rate", str(rate), "--seed", str(SEED))
    log_path = settings.data_path / "simulator.log"
    serve(settings, Demo(FEED, FraudSimulator.feed_toml, clean_chunks, simulate, log_path))
