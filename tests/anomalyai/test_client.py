"""The producer against a server that breaks connections, the subscriber, and one-shot requests."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from anomalyai.client import (
    ConnectionLost,
    FrameTooLarge,
    Interrupted,
    Producer,
    ProtocolError,
    Refused,
    Subscriber,
    Superseded,
    Unreachable,
    alerts,
    declare,
    feed_status,
    post,
)
from tests.simulators.ingest_server import AFTER, BEFORE, IngestServer


@pytest.fixture
def server() -> Iterator[IngestServer]:
    with IngestServer() as running:
        yield running


def numbered(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"n": n, "word": f"w{n % 7}"} for n in range(start, start + count)]


def send_all(producer: Producer, records: list[dict[str, Any]]) -> None:
    producer.send(records)
    assert producer.flush(timeout_s=20)


def send_to_a_forgetful(server: IngestServer, producer: Producer) -> None:
    send_all(producer, numbered(30))
    server.answers.clear()
    server.cut_all()
    send_all(producer, numbered(10))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_records_arrive_in_order_and_are_counted(server: IngestServer) -> None:
    with Producer(server.url, "card", frame_records=100) as producer:
        for start in range(0, 1_050, 150):
            producer.send(numbered(150, start))
    assert server.records["card"] == numbered(1_050)
    totals = producer.totals
    assert (totals.sent, totals.accepted, totals.rejected, totals.shed) == (1_050, 1_050, 0, 0)
    assert (totals.first_seq, totals.last_seq, totals.unacknowledged) == (1, 1_050, 0)
    assert [len(frame["columns"]["n"]) for frame in server.frames] == [100, 50] * 7
    assert [frame["batch"] for frame in server.frames] == list(range(1, 15))


def test_columns_of_any_sequence_are_cut_into_frames(server: IngestServer) -> None:
    import numpy as np

    with Producer(server.url, "card") as producer:
        producer.send_columns(
            {
                "a": cast("Any", np.arange(2_500) / 2),
                "b": [f"x{i}" for i in range(2_500)],
                "c": (None,) * 2_500,
            }
        )
    assert [len(frame["columns"]["a"]) for frame in server.frames] == [1_000, 1_000, 500]
    assert server.records["card"][2_499] == {"a": 1_249.5, "b": "x2499"}


def test_columns_of_different_lengths_are_refused(server: IngestServer) -> None:
    with Producer(server.url, "card") as producer, pytest.raises(ValueError, match="'a': 2, 'b': 1"):
        producer.send_columns({"a": [1, 2], "b": [3]})
    assert server.frames == []


def test_frames_in_flight_never_exceed_the_credit(server: IngestServer) -> None:
    server.go.clear()
    stop = threading.Event()
    sent: list[int] = []

    def send() -> None:
        with Producer(server.url, "card", frame_records=10, stop=stop) as producer:
            for start in range(0, 200, 10):
                producer.send(numbered(10, start))
                sent.append(start)

    thread = threading.Thread(target=send)
    thread.start()
    while server.most_in_flight < 4 or len(sent) < 4:
        assert thread.is_alive()
    assert len(sent) == 4
    server.go.set()
    thread.join(10)
    assert not thread.is_alive()
    assert server.records["card"] == numbered(200)
    assert server.most_in_flight == 4


@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_named_producer_resumes_after_every_break(server: IngestServer, when: str) -> None:
    server.breaks = dict.fromkeys((1, 2, 5, 6, 7, 12, 30, 31), when)
    with Producer(server.url, "card", producer="till-7", frame_records=10) as producer:
        producer.send(numbered(300))
        assert producer.flush(timeout_s=20)
        assert producer.totals.accepted == 300
    assert server.records["card"] == numbered(300)
    assert producer.totals.reconnects == 8 == server.hellos - 1
    assert (producer.totals.first_seq, producer.totals.last_seq) == (1, 300)


def test_a_name_goes_on_where_its_last_run_ended(server: IngestServer) -> None:
    for start in (0, 50):
        with Producer(server.url, "card", producer="till-7", frame_records=10) as producer:
            producer.send(numbered(50, start))
    assert server.records["card"] == numbered(100)
    assert [frame["batch"] for frame in server.frames] == list(range(1, 11))


def test_an_unnamed_producer_says_what_it_lost(server: IngestServer) -> None:
    server.breaks = {3: AFTER}
    producer = Producer(server.url, "card", frame_records=10)
    with pytest.raises(ConnectionLost) as lost, producer:
        producer.send(numbered(100))
    assert 10 <= lost.value.unacknowledged <= 50
    assert lost.value.unacknowledged == producer.totals.unacknowledged
    assert "producer=NAME" in str(lost.value)


def test_an_unnamed_producer_with_nothing_in_flight_reconnects(server: IngestServer) -> None:
    with Producer(server.url, "card") as producer:
        producer.send(numbered(10))
        assert producer.flush(timeout_s=10)
        server.cut_all()
        assert producer._connection().wait_closed(10)
        producer.send(numbered(10, 10))
    assert server.records["card"] == numbered(20)
    assert producer.totals.reconnects == 1


def test_a_server_that_goes_away_and_comes_back_is_waited_for() -> None:
    with IngestServer() as first:
        producer = Producer(first.url, "card", producer="a", frame_records=10)
        producer.__enter__()
        producer.send(numbered(20))
        assert producer.flush(timeout_s=10)
    with IngestServer(port=first.port) as second:
        second.records, second.answers = first.records, first.answers
        producer.send(numbered(20, 20))
        producer.__exit__(None, None, None)
        assert second.records["card"] == numbered(40)
    assert producer.totals.reconnects == 1


def test_patience_is_bounded() -> None:
    with IngestServer() as server:
        producer = Producer(server.url, "card", producer="a", patience_s=0.3)
        producer.__enter__()
    with pytest.raises(Unreachable, match="anomalyai serve"):
        send_all(producer, numbered(1))
    assert producer.totals.unacknowledged == 1


def test_a_replaced_log_is_noticed(server: IngestServer) -> None:
    producer = Producer(server.url, "card", producer="a", frame_records=10)
    with pytest.raises(ProtocolError, match=r"expects batch 1 of this producer, .* are 4 to 4"), producer:
        send_to_a_forgetful(server, producer)


@pytest.mark.parametrize(
    ("code", "error"), [(4409, Superseded), (1009, FrameTooLarge), (1008, ProtocolError)]
)
def test_close_codes_that_reconnecting_cannot_mend(
    server: IngestServer, code: int, error: type[Exception]
) -> None:
    server.close_codes = {2: code}
    producer = Producer(server.url, "card", producer="a", frame_records=5)
    with pytest.raises(error), producer:
        producer.send(numbered(50))
    assert server.hellos == 1
    assert producer.totals.accepted == 5


def test_rejections_are_counted_kept_and_called_back(server: IngestServer) -> None:
    server.refuse_fields = {"bad"}
    records = [{"n": n, "bad": 1} if n % 10 == 3 else {"n": n} for n in range(95)]
    heard: list[int] = []
    with Producer(
        server.url, "card", frame_records=20, on_rejection=lambda item: heard.append(item.index)
    ) as producer:
        producer.send(records)
    assert heard == list(range(3, 95, 10)) == [item.index for item in producer.rejections]
    assert (producer.totals.accepted, producer.totals.rejected) == (85, 10)
    assert producer.rejections[0].field == "bad"


def test_an_unreadable_frame_rejects_its_records_and_the_rest_goes_on(server: IngestServer) -> None:
    server.unreadable = {2}
    with Producer(server.url, "card", producer="a", frame_records=10) as producer:
        producer.send(numbered(40))
    assert server.records["card"] == numbered(10) + numbered(20, 20)
    assert (producer.totals.accepted, producer.totals.rejected) == (30, 10)
    assert producer.rejections[0].index == 10
    assert "10 records: unreadable" in producer.rejections[0].error


def test_frames_stay_under_the_servers_limit() -> None:
    records = [{"text": "x" * 300, "n": n} for n in range(200)]
    with IngestServer(max_frame_bytes=4_096) as server:
        with Producer(server.url, "card") as producer:
            producer.send(records)
            assert len(server.frames) > 1
            with pytest.raises(FrameTooLarge, match="record 200 takes 5"):
                producer.send([{"text": "x" * 5_000}])
        assert server.records["card"] == records
        assert len(server.frames) == 16


def test_records_with_unlike_fields_go_as_records(server: IngestServer) -> None:
    unlike = [{f"field{n}": n} for n in range(50)]
    with Producer(server.url, "card") as producer:
        producer.send(unlike)
        producer.send([{}, {}])
        producer.send([{"a": 1}, {"a": 2, "b": None}, {"b": [1, {"c": "d"}]}])
    assert server.records["card"] == [*unlike, {}, {}, {"a": 1}, {"a": 2}, {"b": [1, {"c": "d"}]}]
    assert ["records" in frame for frame in server.frames] == [True, True, False]


def test_raw_records_arrive_as_they_are(server: IngestServer) -> None:
    records = [b'{"card":3508169504374335123,"amount":1.0}', b'{"amount":1e2}', b'"text"']
    with Producer(server.url, "card", producer="a", frame_records=2) as producer:
        producer.send_raw(records)
    assert [frame["records"] for frame in server.frames] == [
        [{"card": 3508169504374335123, "amount": 1.0}, {"amount": 100.0}],
        ["text"],
    ]
    assert producer.totals.sent == 3


def test_closing_does_not_wait_for_acks(server: IngestServer) -> None:
    server.go.clear()
    with Producer(server.url, "card", producer="a") as producer:
        producer.send(numbered(5))
        producer.close()
    assert producer.totals.unacknowledged == 5
    with pytest.raises(ProtocolError, match="not open"):
        producer.send(numbered(1))


def test_something_else_than_records_is_named(server: IngestServer) -> None:
    with Producer(server.url, "card") as producer, pytest.raises(TypeError, match="record 1 must be a dict"):
        producer.send([{"a": 1}, "b"])  # type: ignore[list-item]


def test_stop_ends_waiting_for_credit_and_flush_still_works(server: IngestServer) -> None:
    server.go.clear()
    stop = threading.Event()
    with Producer(server.url, "card", producer="a", frame_records=10, stop=stop) as producer:
        producer.send(numbered(40))
        stop.set()
        with pytest.raises(Interrupted):
            producer.send(numbered(10, 40))
        assert not producer.flush(timeout_s=0.3)
        assert producer.totals.unacknowledged == 50
        server.go.set()
        assert producer.flush(timeout_s=10)
    assert server.records["card"] == numbered(50)


def test_nothing_listening_is_said_in_one_sentence() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable) as error, Producer(url, "card"):
        pass
    assert str(error.value).startswith(f"no server answers at {url} (")
    assert "anomalyai serve" in str(error.value)
    with pytest.raises(Unreachable, match="no server answers"):
        feed_status(url, "card")
    with pytest.raises(Unreachable, match="no server answers"):
        list(Subscriber(url, "card"))


def test_an_address_without_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match=r"such as http://127\.0\.0\.1:8000, got 'localhost:8000'"):
        Producer("localhost:8000", "card")


def test_the_subscriber_reconnects_where_it_was(server: IngestServer) -> None:
    def alert(seq: int) -> dict[str, Any]:
        return {"type": "alert", "alert": {"id": f"card-{seq}", "seq": seq}}

    server.live = [
        [alert(3), {"type": "caught_up", "seq": 5}, {"type": "points", "points": []}, alert(8)],
        [alert(11), {"type": "caught_up", "seq": 14}],
        [alert(20)],
    ]
    seen = []
    for message in Subscriber(server.url, "card", after=2):
        seen.append(message)
        if message["type"] == "alert" and message["alert"]["seq"] == 20:
            break
    assert [message["type"] for message in seen] == [
        "alert",
        "caught_up",
        "points",
        "alert",
        "alert",
        "caught_up",
        "alert",
    ]
    assert server.live_queries == ["after=2", "after=8", "after=14"]


def test_the_subscriber_ends_when_stopped(server: IngestServer) -> None:
    stop = threading.Event()
    server.live = [[{"type": "alert", "alert": {"seq": 1}}], []]
    server.live.pop()
    subscriber = Subscriber(server.url, "card", stop=stop)
    seen = []
    for alert in subscriber.alerts():
        seen.append(alert)
        stop.set()
    assert seen == [{"seq": 1}]


def test_post_returns_the_answer_also_when_all_is_rejected(server: IngestServer) -> None:
    server.refuse_fields = {"bad"}
    assert post(server.url, "card", numbered(3))["last_seq"] == 3
    answer = post(server.url, "card", [{"bad": 1}])
    assert (answer["accepted"], answer["last_seq"]) == (0, None)
    assert answer["rejected"] == [{"index": 0, "field": "bad", "error": "not allowed here"}]


def test_alerts_are_read_page_by_page(server: IngestServer) -> None:
    server.alerts = [3, 9, 12, 40, 41]
    assert [alert["seq"] for alert in alerts(server.url, "card", after=3, page=2)] == [9, 12, 40, 41]


def test_status_and_declaration(server: IngestServer) -> None:
    assert feed_status(server.url, "card") is None
    assert declare(server.url, "card", "[feed]\nid = 'n'\n") == {"feed": "card"}
    assert server.declared == {"card": "[feed]\nid = 'n'\n"}
    post(server.url, "card", numbered(2))
    status = feed_status(server.url, "card")
    assert status is not None
    assert status["last_seq"] == 2


def test_the_servers_error_body_is_carried(server: IngestServer) -> None:
    from anomalyai.client import rest

    with pytest.raises(Refused, match=r"404 unknown_feed: no feed none \(post to it\)") as error:
        rest.call(server.url, "/feeds/none")
    assert (error.value.status, error.value.code, error.value.hint) == (404, "unknown_feed", "post to it")


def test_importing_the_client_does_not_pay_for_the_core() -> None:
    code = "import sys, anomalyai.client; print({m.split('.')[0] for m in sys.modules} & set(sys.argv[1:]))"
    heavy = ["numpy", "pandas", "sklearn", "river", "numba", "flask"]
    run = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
