"""A log is put through a shard: twice, and in micro-batches of any size, with equal bytes in the end."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from anomalyai.control import BudgetChange, Labels, ModelSwap, SchemaChange, Verdict
from anomalyai.intake import Intake
from anomalyai.model_store import ModelStore
from anomalyai.training import TrainingSet, train
from stream.models import Models
from stream.shard import Shard
from stream.testing import ManualClock, MemoryLog
from tests.stream.feeding import records

FRAME_RECORDS = 130
FRAMES = 24
WHOLE = 10_000


class Replay(msgspec.Struct, frozen=True):
    """What a log came to: scores, alerts as they are sent, and the state at the end."""

    scores: bytes
    alerts: list[bytes]
    state: bytes


def replayed(log: MemoryLog, models: Models, slice_records: int) -> Replay:
    shard, scores, alerts = Shard(log.feed, models), list[bytes](), list[bytes]()
    for stored in log.read(log.feed, after=0):
        for scored in shard.take(stored.decode(shard.pipeline.schema), slice_records):
            scores.append(scored.score.tobytes())
            alerts += [msgspec.json.encode(alert) for alert in scored.alerts]
    assert shard.refused_model is None
    return Replay(b"".join(scores), alerts, shard.pipeline.dumps())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models(ModelStore(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def log(models: Models) -> MemoryLog:
    """Return a log with records and every kind of control entry between them."""
    log, intake = MemoryLog("f", ManualClock()), Intake()
    for i in range(FRAMES):
        sent = records(i * FRAME_RECORDS, FRAME_RECORDS)
        for item in intake.admit(msgspec.json.encode(sent)).items:
            log.append(item)
        if i == 8:
            shard = Shard("f", models)
            for stored in log.read("f", after=0):
                for _ in shard.take(stored.decode(shard.pipeline.schema), WHOLE):
                    pass
            columns = shard.pipeline._scorer.column_names
            rows = np.random.default_rng(0).normal(size=(300, len(columns)))
            model = train(TrainingSet(features=rows, columns=columns, last_seq=300))
            manifest = models.store.save("f", model)
            log.append(ModelSwap(manifest.id, manifest.sha256, manifest.algorithm))
        if i == 12:
            log.append(BudgetChange("1/200"))
        if i in (14, 16):
            odd = 97 * 10 - 1
            verdict = "real" if i == 14 else "false_alarm"
            log.append(Verdict(odd + 1, verdict, records(odd, 1)[0]))
        if i == 18:
            log.append(Labels((5, 6), (0, 1), tuple(records(4, 2))))
    return log


def test_the_log_holds_what_it_should(log: MemoryLog, models: Models) -> None:
    kinds = {stored.kind for stored in log.read("f", after=0)}
    tags = {kind.__struct_config__.tag for kind in (SchemaChange, ModelSwap, BudgetChange, Verdict, Labels)}
    assert kinds == {"records", *tags}
    assert len(replayed(log, models, WHOLE).alerts) > 5


@pytest.mark.parametrize("slice_records", [1, 7, 1000, WHOLE])
def test_a_replay_gives_the_same_bytes_in_micro_batches_of_any_size(
    slice_records: int, log: MemoryLog, models: Models
) -> None:
    assert replayed(log, models, slice_records) == replayed(log, models, WHOLE)
