"""Pacing and sending: rates are kept, debts are bounded, a signal ends a run in good order."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import click
import pytest

from simulators.fraud import FraudSimulator
from simulators.sending import MAX_DEBT_S, Pace, Portion, portions, require_target, send, stop_on_signals
from tests.simulators.ingest_server import IngestServer


@pytest.fixture
def server() -> Iterator[IngestServer]:
    with IngestServer() as running:
        yield running


class Now:
    """A clock that stands still unless told."""

    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


class Waits(threading.Event):
    """An event that is never set; waiting for it moves a clock on."""

    def __init__(self, now: Now) -> None:
        super().__init__()
        self.now = now

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.now.s += timeout
        return False


def test_portions_are_small_at_low_rates_and_frames_at_high_ones() -> None:
    for rate, size in ((1.0, 1), (50.0, 2), (1_000.0, 50), (50_000.0, 1_000), (None, 1_000)):
        cut = list(portions(FraudSimulator(0), 5 * size, rate))
        assert [portion.count for portion in cut] == [size] * 5
        expected = [0.0] * 5 if rate is None else [size * i / rate for i in range(5)]
        assert [portion.due_s for portion in cut] == pytest.approx(expected)
        assert cut[-1].done == 5 * size


def test_the_pace_waits_until_each_portion_is_due() -> None:
    now = Now()
    pace = Pace(Waits(now), now)
    seen = []
    for due_s in (0.0, 0.5, 0.6, 2.0):
        assert pace.wait(due_s)
        seen.append(now.s - 100)
    assert seen == pytest.approx([0.0, 0.5, 0.6, 2.0])


def test_a_short_delay_is_caught_up_a_long_one_is_not() -> None:
    now = Now()
    pace = Pace(Waits(now), now)
    now.s += 0.8
    assert pace.wait(0.1)
    assert pace.wait(1.0)
    assert now.s == pytest.approx(101.0)
    now.s += 60
    assert pace.wait(1.1)
    assert now.s == pytest.approx(161.0)
    assert pace.wait(1.1 + MAX_DEBT_S + 0.25)
    assert now.s == pytest.approx(161.25)


def test_a_set_stop_ends_waiting() -> None:
    stop = threading.Event()
    stop.set()
    began_s = time.monotonic()
    assert not Pace(stop).wait(30)
    assert not Pace(stop).wait(0)
    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize(("rate", "records"), [(40.0, 60), (4_000.0, 6_000)])
def test_a_rate_is_kept(server: IngestServer, rate: float, records: int) -> None:
    source = portions(FraudSimulator(3), records, rate)
    began_s = time.monotonic()
    summary = send(server.url, "card", source, stop=threading.Event(), label="simulate")
    taken_s = time.monotonic() - began_s
    assert summary.sent == summary.accepted == records == len(server.records["card"])
    assert records / taken_s == pytest.approx(rate, rel=0.2)
    assert [r["transaction_id"] for r in server.records["card"]] == [
        f"t{n:09d}" for n in range(1, records + 1)
    ]


def test_the_summary_counts_rejected_unreadable_and_alerts(server: IngestServer) -> None:
    server.refuse_fields = {"bad"}
    server.alerts = [1, 2]
    server.records["card"] = []

    def source() -> Iterator[Portion]:
        yield Portion(0.0, 3, {"n": [1, 2, 3], "bad": [None, 1, None]})
        yield Portion(0.0, 2, raw=[b'{"n":4}', b"17"], unreadable=3)
        server.alerts += [5, 6, 7]
        server.lags = [9, 9, 1]

    summary = send(server.url, "card", source(), stop=threading.Event(), label="replay")
    assert (summary.sent, summary.accepted, summary.rejected, summary.alerts) == (8, 3, 5, 3)
    assert server.records["card"] == [{"n": 1}, {"n": 3}, {"n": 4}]
    assert server.lags == []


def test_what_is_not_scored_in_time_is_said(
    server: IngestServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("simulators.sending.SCORED_WITHIN_S", 0.1)
    server.lags = [0, *[7] * 100]
    server.records["card"] = []
    summary = send(server.url, "card", [Portion(0.0, 1, {"n": [1]})], stop=threading.Event(), label="replay")
    assert summary.accepted == 1
    assert "7 records are not scored yet" in capsys.readouterr().err


def test_the_first_reasons_of_rejection_are_said(
    server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.refuse_fields = {"bad"}
    summary = send(
        server.url, "card", [Portion(0.0, 9, {"bad": [1] * 9})], stop=threading.Event(), label="replay"
    )
    assert summary.rejected == 9
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "record 0 (from 0) was rejected: field 'bad' not allowed here"
    assert len(lines) == 6
    assert "more records were rejected" in lines[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_endless_run_in_good_order(server: IngestServer, number: signal.Signals) -> None:
    timer = threading.Timer(0.5, os.kill, (os.getpid(), number))
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        timer.start()
        summary = send(
            server.url, "card", portions(FraudSimulator(0), None, 200.0), stop=stop, label="simulate"
        )
    assert stop.is_set()
    assert signal.getsignal(number) == before
    assert summary.sent == summary.accepted == len(server.records["card"])
    assert 40 <= summary.sent <= 200


def test_a_signal_ends_waiting_for_a_server_that_does_not_answer(server: IngestServer) -> None:
    server.go.clear()
    began_s = time.monotonic()
    with stop_on_signals() as stop:
        threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGTERM)).start()
        summary = send(
            server.url, "card", portions(FraudSimulator(0), None, None), stop=stop, label="simulate"
        )
    assert time.monotonic() - began_s < 8
    assert summary.accepted == 0
    assert summary.sent >= 4_000


def test_a_run_that_is_stopped_with_its_server_is_still_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()
    with IngestServer() as server:
        url = server.url

        def source() -> Iterator[Portion]:
            yield Portion(0.0, 2, {"n": [1, 2]})
            while not server.records.get("card"):
                pass
            stop.set()
            server.__exit__()
            yield Portion(0.0, 2, {"n": [3, 4]})

        summary = send(url, "card", source(), stop=stop, label="simulate")
    assert (summary.sent, summary.alerts) == (2, None)
    assert "alerts are not counted: no server answers" in capsys.readouterr().err


def test_a_second_signal_does_what_it_did_before() -> None:
    # a shell starts its background jobs with SIGINT ignored, which is then what it did before
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _stop_twice()
    finally:
        signal.signal(signal.SIGINT, before)


def _stop_twice() -> None:
    with stop_on_signals() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.wait(5)
        with pytest.raises(KeyboardInterrupt):
            _interrupt()


def _interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(5)


@pytest.mark.parametrize(
    ("url", "feed", "hint"),
    [("127.0.0.1:8000", "card", "--to"), ("ftp://x", "card", "--to"), ("http://x", "Card!", "--name")],
)
def test_a_target_that_cannot_be_is_wrong_usage(url: str, feed: str, hint: str) -> None:
    with pytest.raises(click.BadParameter) as error:
        require_target(url, feed)
    assert error.value.param_hint == hint
    require_target("https://example.org/base", "a" * 64)


def test_progress_says_rate_and_share(capsys: pytest.CaptureFixture[str]) -> None:
    from simulators.progress import Progress

    shown: Any
    with Progress("replay", 200, every_s=0.0) as shown:
        shown.show(50, 1_234)
    assert capsys.readouterr().err.startswith("replay: 1,234 records, ")
    with Progress("simulate", None, every_s=0.0) as shown:
        shown.show(50, 10)
    assert "%" not in capsys.readouterr().err
