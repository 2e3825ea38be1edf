"""`GET /models/{id}/report`: the page and its JSON, from a real server, of a model with malicious names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from anomalyai.evaluation import Evaluation
from anomalyai.model_store import ModelStore
from anomalyai.schema import FeedSchema
from anomalyai.training import TrainedModel, TrainingOptions
from anomalyai.training.course import train_file
from stream.secret import instance_secret
from tests.e2e.browser import Viewer
from tests.serving import ServerProcess

ROWS = 1_500
EVIL = "<img src=x onerror=\"document.title='owned'\">"
SCRIPT = "</script><script>document.title='owned'</script>"


def write_records(path: Path) -> None:
    rng = np.random.default_rng(0)
    row = np.arange(ROWS)
    label = ((row % 25 == 7) & (row > 1_100)).astype(int)  # none where it is fitted
    names = [SCRIPT, EVIL, *(f"c{n}" for n in range(20))]
    amounts = (rng.normal(size=ROWS) + 6.0 * label).tolist()
    records = []
    for i in range(ROWS):
        record = {"time": 1.7e9 + 60.0 * i, "amount": amounts[i], "label": int(label[i])}
        records.append(record | {EVIL: names[i % 3 if i % 2 else i % 22]})
    path.write_bytes(b"\n".join(msgspec.json.encode(record) for record in records))


class Served:
    """A server with two models: one that was evaluated when it was trained, one that was not."""

    def __init__(self, folder: Path) -> None:
        write_records(folder / "records.ndjson")
        schema = FeedSchema.from_mapping({"feed": {"time": "time", "label": "label", "entities": [EVIL]}})
        options = msgspec.convert({"algorithm": "kmeans"}, TrainingOptions)
        course = train_file(folder / "records.ndjson", options, feed="pay", schema=schema)
        data = folder / "data"
        store = ModelStore(data / "models", instance_secret(data))
        self.evaluated = store.save("pay", course.model, facts=course.facts, start=course.start).id
        plain = TrainedModel(course.model.detector, course.model.columns, 7, course.model.preparation)
        self.plain = store.save("other", plain).id
        self.server = ServerProcess(data).start()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("report"))
    yield made
    made.server.stop()


def test_the_json_is_the_evaluation_of_the_last_fifth(served: Served) -> None:
    path = f"/models/{served.evaluated}/report"
    answer = served.server.request("GET", path, headers={"Accept": "application/json"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    found = msgspec.json.decode(answer.body, type=Evaluation)
    assert found.basis.scorer == served.evaluated
    assert found.basis.records == ROWS // 5
    assert "fitted on the clean records of the first four fifths" in found.basis.how
    truth = found.ground_truth
    assert truth is not None
    assert [scorer.name for scorer in truth.scorers[1:]] == ["random", "extreme value"]
    assert truth.scorers[0].average_precision is not None
    assert truth.scorers[0].average_precision.value > 0.8
    assert {part.name for part in found.by_entity} >= {EVIL, SCRIPT}
    shown = served.server.request("GET", f"/models/{served.evaluated}").json["metrics"]
    assert "report" not in shown
    assert shown["model"]["average_precision"] > 0.8


def test_what_there_is_no_report_of_is_said(served: Served) -> None:
    missing = served.server.request("GET", "/models/pay-kmeans-0/report")
    assert (missing.status, missing.error["code"]) == (404, "unknown_model")
    plain = served.server.request("GET", f"/models/{served.plain}/report")
    assert (plain.status, plain.error["code"]) == (404, "no_report")
    assert served.server.request("GET", f"/models/{served.evaluated}/report?x=1").status == 400


def test_the_page_allows_no_script_but_the_servers(served: Served) -> None:
    path = f"/models/{served.evaluated}/report"
    answer = served.server.request("GET", path, headers={"Accept": "text/html"})
    assert answer.headers["content-type"].startswith("text/html")
    rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'self'"
    assert "script-src" not in rules
    assert b'onerror="' not in answer.body
    assert answer.body.count(b"<script") == 4  # early.js, the points, Plotly, report.js


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_the_figures_and_takes_nothing_of_the_data_for_html(
    scheme: str, served: Served, new_viewer: object
) -> None:
    assert callable(new_viewer)
    viewer: Viewer = new_viewer(color_scheme=scheme)
    page = viewer.open(served.server, f"models/{served.evaluated}/report")
    page.locator("[data-chart=rate][data-drawn]").wait_for()
    assert page.locator("h1").inner_text() == f"{served.evaluated} on records held out"
    page.wait_for_function("document.querySelectorAll('[data-drawn]').length === 4")
    assert page.title().startswith("Evaluation of")
    assert page.locator("img").count() == 0
    text = page.locator("main").inner_text()
    assert SCRIPT in text
    assert EVIL in text
    assert "random" in text
