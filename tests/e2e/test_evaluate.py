"""`anomalyai evaluate` on sample files: text, JSON and HTML, with labels and without."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from anomalyai.evaluation import Evaluation
from anomalyai.model_store import ModelStore
from anomalyai.schema import FeedSchema
from anomalyai.training import TrainingOptions
from anomalyai.training.course import train_file
from simulators.fraud import FraudSimulator
from simulators.sample import write_sample
from stream.secret import instance_secret
from web.cli import cli
from web.page import plotly_file
from web.report.document import html_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROWS = 2_500
EVIL = "<img src=x onerror=\"document.title='owned'\">"
SCRIPT = "</script><script>document.title='owned'</script>"
CLI = [sys.executable, "-m", "web.cli"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sample")
    write_sample("fraud", target / "payments.csv", ROWS, seed=3, anomaly_share=0.03, declares=True)
    return target


def run(folder: Path, *arguments: object) -> Result:
    options = ["evaluate", str(folder / "payments.csv"), "--feed", str(folder / "payments.toml")]
    return CliRunner().invoke(cli, [*options, *map(str, arguments)])


def evaluations(line: str) -> list[Evaluation]:
    return msgspec.convert(json.loads(line)["evaluations"], list[Evaluation])


@pytest.fixture(scope="module")
def reported(folder: Path) -> tuple[list[Evaluation], str]:
    """Evaluate two algorithms by the installed command; returns what it found, and its text."""
    path = folder / "report.html"
    done = subprocess.run(
        [*CLI, "evaluate", str(folder / "payments.csv"), "--feed", str(folder / "payments.toml"),
         "--algorithm", "isolation_forest", "--algorithm", "kmeans", "--html", str(path), "--json"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"wrote {path}" in done.stderr
    *lines, last = done.stdout.splitlines()
    return evaluations(last), "\n".join(lines)


def test_the_text_says_what_it_was_measured_on_and_fits_a_terminal(
    reported: tuple[list[Evaluation], str],
) -> None:
    found, text = reported
    assert [each.basis.scorer for each in found] == ["isolation_forest", "kmeans"]
    assert max(len(line) for line in text.splitlines()) <= 100
    assert text.count("Measured on 2,000 records of 2026-01-05") == 2
    assert text.count("average precision") == 2
    for each in found:
        truth = each.ground_truth
        assert truth is not None
        assert [scorer.name for scorer in truth.scorers[1:]] == ["random", "extreme value"]
        own = truth.scorers[0]
        assert own.average_precision is not None
        assert re.search(rf"^{each.basis.scorer} +{own.average_precision.value:.3f} \[", text, re.MULTILINE)
    assert "another seed" in text
    assert "By verdicts: not known" in text


ALL_DRAWN = """
document.querySelectorAll('[data-drawn]').length === document.querySelectorAll('[data-chart]').length
"""


@pytest.fixture
def opened(chromium: Browser) -> Any:
    """Open a file in a browser without a network; nothing may be fetched, and nothing complained about."""
    contexts = []
    problems: list[str] = []

    def make(path: Path, scheme: str = "light") -> Any:
        context = chromium.new_context(color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: request.url.startswith("file:") or problems.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_function(ALL_DRAWN)
        return page

    yield make
    for context in contexts:
        context.close()
    assert problems == []


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_anywhere(
    scheme: str, folder: Path, reported: tuple[list[Evaluation], str], opened: Any
) -> None:
    page = opened(folder / "report.html", scheme)
    assert page.locator("h1").all_inner_texts() == [
        "isolation_forest on payments.csv", "kmeans on payments.csv"
    ]  # fmt: skip
    assert page.locator(".chart svg.main-svg").count() >= 8
    truth = reported[0][0].ground_truth
    assert truth is not None
    assert truth.scorers[0].average_precision is not None
    row = page.locator("tbody tr", has_text="isolation_forest").first
    assert f"{truth.scorers[0].average_precision.value:.3f} [" in row.inner_text()
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(245, 246, 248)" if scheme == "light" else "rgb(14, 16, 20)")
    drawn = page.locator("[data-chart=precision_recall]").first
    assert drawn.locator(".legendtext").all_text_contents() == ["isolation_forest", "random", "extreme value"]


@pytest.mark.browser
def test_nothing_of_the_data_is_taken_for_html(
    reported: tuple[list[Evaluation], str], tmp_path: Path, opened: Any
) -> None:
    found = reported[0][0]
    truth = found.ground_truth
    assert truth is not None
    parts = tuple(msgspec.structs.replace(part, name=SCRIPT) for part in found.by_entity)
    scorers = tuple(msgspec.structs.replace(scorer, name=EVIL + SCRIPT) for scorer in truth.scorers)
    evil = msgspec.structs.replace(
        found,
        entity=EVIL,
        by_entity=parts,
        ground_truth=msgspec.structs.replace(truth, scorers=scorers),
        basis=msgspec.structs.replace(found.basis, scorer=SCRIPT, source=EVIL, how=EVIL),
        notes=(SCRIPT, EVIL),
    )
    path = tmp_path / "evil.html"
    path.write_text(html_report([evil], plotly_file()), encoding="utf-8")
    page = opened(path)
    assert page.title() == f"Evaluation of {SCRIPT} on {EVIL}"
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 3
    assert SCRIPT in page.locator("tbody").last.inner_text()
    assert page.locator(".legendtext").first.text_content() == EVIL + SCRIPT


def unlabelled(folder: Path, tmp_path: Path) -> Path:
    rows = [line.rsplit(",", 1) for line in (folder / "payments.csv").read_text().splitlines()]
    path = tmp_path / "payments.csv"
    path.write_text("".join(f"{row}\n" for row, _ in rows))
    (tmp_path / "payments.toml").write_text((folder / "payments.toml").read_text())
    return path


@pytest.mark.browser
def test_without_labels_the_report_claims_no_accuracy(folder: Path, tmp_path: Path, opened: Any) -> None:
    unlabelled(folder, tmp_path)
    done = run(tmp_path, "--algorithm", "kmeans", "--html", tmp_path / "r.html", "--json")
    assert done.exit_code == 0, done.output
    (found,) = evaluations(done.stdout.splitlines()[-1])
    assert found.ground_truth is None
    assert "By ground truth: not known, no record has such a label." in done.stdout
    assert "nobody can know them without labels" in " ".join(done.stdout.split())
    assert "another seed" in done.stdout
    page = opened(tmp_path / "r.html")
    charts = page.locator("[data-chart]").evaluate_all("found => found.map((chart) => chart.dataset.chart)")
    assert charts == ["histogram", "rate"]
    text = page.locator("main").inner_text()
    assert "Not known: no record has such a label" in text
    assert "unknown" in text


def test_verdicts_are_kept_apart(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    rows = range(700, 760)
    path.write_text("seq,verdict,time\n" + "".join(f"{row},real,2026-01-06T12:00:00Z\n" for row in rows))
    done = run(folder, "--algorithm", "kmeans", "--verdicts", path, "--json")
    assert done.exit_code == 0, done.output
    (found,) = evaluations(done.stdout.splitlines()[-1])
    assert found.verdicts is not None
    assert (found.verdicts.labelled, found.verdicts.anomalies) == (60, 60)
    assert found.verdicts.known_after_s is not None
    assert found.ground_truth is not None
    assert found.ground_truth.labelled == 2_000
    assert "Verdicts cover 60 records" in " ".join(done.stdout.split())


def test_stored_models_are_evaluated_on_later_records_only(folder: Path, tmp_path: Path) -> None:
    early = tmp_path / "early.csv"
    lines = (folder / "payments.csv").read_text().splitlines(keepends=True)
    early.write_text("".join(lines[:1_201]))
    schema = FeedSchema.from_toml(FraudSimulator.feed_toml)
    options = msgspec.convert({"algorithm": "kmeans"}, TrainingOptions)
    course = train_file(early, options, feed="payments", schema=schema)
    data = tmp_path / "data"
    store = ModelStore(data / "models", instance_secret(data))
    name = store.save("payments", course.model, facts=course.facts, start=course.start).id
    done = run(folder, "--model", name, "--algorithm", "dbscan", "--previous", name, "--data", data, "--json")
    assert done.exit_code == 0, done.output
    first, second = evaluations(done.stdout.splitlines()[-1])
    assert first.basis.records == second.basis.records == ROWS - 1_200
    assert second.ground_truth is not None
    assert first.ground_truth is not None
    assert second.ground_truth.scorers[-1].name == "previous version"
    assert second.ground_truth.scorers[-1].roc_auc == first.ground_truth.scorers[0].roc_auc
    refused = CliRunner().invoke(cli, ["evaluate", str(early), "--model", name, "--data", str(data)])
    assert refused.exit_code == 1
    assert "there is nothing to measure on" in refused.output
    assert "--algorithm trains on the first part" in refused.output
    missing = run(folder, "--model", "payments-kmeans-0", "--data", data)
    assert missing.exit_code == 1
    assert "there is no model" in missing.output
