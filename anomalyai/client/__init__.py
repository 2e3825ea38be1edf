"""Client of a running server: send records, watch alerts, ask for a feed's state.

Imports nothing else of the package, so that a producer pays neither for numpy nor for scikit-learn.

>>> from anomalyai.client import Producer
>>> with Producer("http://127.0.0.1:8000", "card", producer="till-7") as producer:  # doctest: +SKIP
...     producer.send([{"time": "2026-01-05T08:00:00Z", "card": "4000", "amount": 12.5}])
"""

from anomalyai.client.errors import (
    ClientError,
    ConnectionLost,
    FrameTooLarge,
    Interrupted,
    ProtocolError,
    Refused,
    Superseded,
    Unreachable,
)
from anomalyai.client.producer import Producer, RejectedRecord, Totals
from anomalyai.client.rest import alerts, declare, feed_status, post
from anomalyai.client.subscriber import Subscriber

__all__ = [
    "ClientError",
    "ConnectionLost",
    "FrameTooLarge",
    "Interrupted",
    "Producer",
    "ProtocolError",
    "Refused",
    "RejectedRecord",
    "Subscriber",
    "Superseded",
    "Totals",
    "Unreachable",
    "alerts",
    "declare",
    "feed_status",
    "post",
]
