"""One producer as a process of its own, as a user would run it: every `step`-th frame of the workload.

Started by `web.benchmark.end_to_end`: it makes its frames, says `ready`, waits for a line, sends, and says
how many records were acknowledged.
"""

from __future__ import annotations

import sys

from anomalyai.client import Producer
from web.benchmark import workload

FRAME_RECORDS = 1_000


def send(url: str, feed: str, first_frame: int, frames: int, step: int) -> None:
    """Send `frames` frames of the workload beginning with `first_frame`."""
    made = [
        workload.columns(FRAME_RECORDS, first=FRAME_RECORDS * (first_frame + step * i)) for i in range(frames)
    ]
    with Producer(url, feed, frame_records=FRAME_RECORDS) as producer:
        print("ready", flush=True)
        sys.stdin.readline()
        for frame in made:
            producer.send_columns(frame)
        producer.flush()
        print(producer.totals.accepted, flush=True)


if __name__ == "__main__":
    send(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
