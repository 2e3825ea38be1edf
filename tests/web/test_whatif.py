"""`anomalyai whatif`: beside what was stored, on a directory that a runtime may have at the same time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream.testing import ManualClock
from tests.stream.feeding import drain, frame, running
from web.cli import cli

RECORDS, PART = 1_200, 200


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory whose feed got its last records an hour after the others."""
    data, clock = tmp_path_factory.mktemp("whatif") / "data", ManualClock()
    with running(data, clock) as runtime:
        runtime.post("f", frame(0, RECORDS - PART), "application/json")
        clock.advance(3_600.0)
        runtime.post("f", frame(RECORDS - PART, PART), "application/json")
        drain(runtime)
        told = whatif(data, "--last", "all", "--json")  # beside the running server
        assert json.loads(told)["comparison"]["records"] == RECORDS
    return data


def whatif(data: Path, *arguments: str) -> str:
    done = CliRunner().invoke(cli, ["whatif", "--data", str(data), "--feed", "f", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_another_budget_over_the_last_part(data: Path) -> None:
    answer = json.loads(whatif(data, "--budget", "1/1000000", "--last", "30m", "--json"))
    found = answer["comparison"]
    assert (answer["exact"], found["records"], found["since_seq"]) == (True, PART, RECORDS - PART + 1)
    assert found["added"] == 0
    assert found["removed"] == len(found["examples"]["removed"])
    assert all(example["champion"] < found["threshold"] for example in found["examples"]["removed"])
    loose = json.loads(whatif(data, "--budget", "1/10", "--last", "30m", "--json"))["comparison"]
    assert (loose["removed"], loose["added"] > 0) == (0, True)
    assert loose["champion"] == found["champion"]
    assert all(one["candidate"] >= loose["threshold"] for one in loose["examples"]["added"])


def test_it_is_told_in_words(data: Path) -> None:
    text = whatif(data, "--budget", "1/20", "--last", "all")
    assert "1,200 records" in text
    assert "anomalies" in text
    assert " added, " in text
    assert "\n+ " in text


def test_what_makes_no_sense_is_refused(data: Path, tmp_path: Path) -> None:
    for arguments, code, said in (
        (["--feed", "f", "--last", "soon"], 2, "such as 7d"),
        (["--feed", "f", "--budget", "lots"], 1, "budget"),
        (["--feed", "nowhere"], 1, "nowhere"),
        (["--feed", "f", "--model", "nothing"], 1, "nothing"),
    ):
        done = CliRunner().invoke(cli, ["whatif", "--data", str(data), *arguments])
        assert done.exit_code == code, done.output
        assert said in done.output
    done = CliRunner().invoke(cli, ["whatif", "--data", str(tmp_path), "--feed", "f"])
    assert done.exit_code == 1
    assert "no database" in done.output
