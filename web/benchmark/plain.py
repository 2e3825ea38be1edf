"""The plain way, to compare with: a Flask route that scores one record a request with River and scikit-learn.

River's half-space trees learn as they score; the forest (100 trees) was fitted on earlier records. The app
runs in a process of its own under Flask's threaded server, and its client keeps one connection open.
"""

from __future__ import annotations

import http.client
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
from flask import Flask, request

from web.benchmark import workload

FITTED_RECORDS = 2_000
FOREST_TREES = 100
WARM_REQUESTS = 20


def create_app() -> Flask:
    """Return the app, its models fitted."""
    import numpy as np
    from river import anomaly, compose, preprocessing
    from sklearn.ensemble import IsolationForest

    names = [f"x{place}" for place in range(workload.NUMBERS)]
    rows = workload.rows(FITTED_RECORDS, seed=1)
    forest = IsolationForest(n_estimators=FOREST_TREES, random_state=0)
    forest.fit(np.array([[row[name] for name in names] for row in rows]))
    trees = anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=0)
    model = compose.Pipeline(preprocessing.MinMaxScaler(), trees)
    for row in rows[:300]:
        model.learn_one(row)
    app = Flask("plain")

    @app.post("/score")
    def score() -> dict[str, float]:
        record = request.get_json()
        numbers = {name: record[name] for name in names}
        half_space = model.score_one(numbers)
        model.learn_one(numbers)
        isolation = -forest.score_samples(np.array([[numbers[name] for name in names]]))[0]
        return {"half_space_trees": float(half_space), "isolation_forest": float(isolation)}

    return app


def bodies(count: int) -> list[bytes]:
    """Return records of the workload as JSON objects."""
    made = workload.columns(count, seed=2)
    return [
        msgspec.json.encode(dict(zip(made, values, strict=True)))
        for values in zip(*made.values(), strict=True)
    ]


def request_rate(url: str, duration_s: float) -> float:
    """Return how many records a second the app at `url` scores, one request after the other."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
    made = bodies(1_000)

    def one(number: int) -> Any:
        connection.request("POST", "/score", made[number % len(made)], {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise RuntimeError(f"the plain app answered {response.status}: {answer[:200]!r}")
        return msgspec.json.decode(answer)

    try:
        for number in range(WARM_REQUESTS):
            one(number)
        started, number = time.perf_counter(), 0
        while time.perf_counter() - started < duration_s:
            one(number)
            number += 1
        return number / (time.perf_counter() - started)
    finally:
        connection.close()


def serve() -> None:
    """Run the app on a free port and say where."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    class KeepAlive(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Write no line a request: that would be measured too."""

    server = make_server("127.0.0.1", 0, create_app(), threaded=True, request_handler=KeepAlive)
    print(f"Listening on http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve()
