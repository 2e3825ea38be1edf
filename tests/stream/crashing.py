"""A server that is to be killed: `python -m tests.stream.crashing DATA` admits frames and tells every ack.

Two producers send numbered frames, each a function of the producer and the batch number alone. After a start
each first repeats the batch before the one that `hello` asks for. Lines: `ack PRODUCER BATCH FIRST LAST`.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stream.runtime import Runtime
from stream.settings import Engine, Settings

PRODUCERS = ("a", "b")
ODD_EVERY = 10
"""Batches from one odd amount to the next: few enough, and late enough, that none becomes usual."""


def crash_records(producer: str, batch: int) -> list[dict[str, Any]]:
    """Return the records of a batch: 1 to 25 of them, the first one of every `ODD_EVERY`th batch odd."""
    rng = np.random.default_rng([PRODUCERS.index(producer), batch])
    odd = batch % ODD_EVERY == 0
    return [
        {
            "ts": 1_700_000_000.0 + batch + 0.01 * i,
            "key": f"{producer}/{batch}/{i}",
            "customer": f"c{int(rng.integers(10))}",
            "amount": round(float(rng.normal(50, 5)) * (80 if odd and i == 0 else 1), 2),
        }
        for i in range(int(rng.integers(1, 26)))
    ]


def crash_settings(data: Path) -> Settings:
    """Return settings under which snapshots come often."""
    engine = msgspec.structs.replace(Engine(), snapshot_every_records=50, snapshot_every_s=0.2)
    return Settings(data=str(data), engine=engine)


def produce(runtime: Runtime, producer: str, tell: threading.Lock) -> None:
    """Send batches until killed, several under way at once."""
    session = runtime.producer("f", producer)
    batch = max(1, session.hello()["next_batch"] - 1)
    while True:
        begun = [
            session.begin(msgspec.json.encode({"batch": number, "records": crash_records(producer, number)}))
            for number in range(batch, batch + 3)
        ]
        for pending in begun:
            ack = pending.message()
            with tell:
                print("ack", producer, ack["batch"], ack["first_seq"], ack["last_seq"], flush=True)
        batch += 3


def main() -> None:
    """Run until killed."""
    runtime = Runtime.open(crash_settings(Path(sys.argv[1])))
    runtime.start()
    tell = threading.Lock()
    threads = [threading.Thread(target=produce, args=(runtime, name, tell)) for name in PRODUCERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
