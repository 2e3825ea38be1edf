"""Predictions: what live scoring would say, without a trace."""

from __future__ import annotations

from functools import cache

import numpy as np

from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from tests.anomalyai.streams import SCHEMA, batch_of, purchases, run, trained


@cache
def learnt() -> bytes:
    pipeline = Pipeline(SCHEMA)
    pipeline.swap("m", trained())
    run(pipeline, batch_of(purchases(2_400)))
    return pipeline.dumps()


def probes() -> RecordBatch:
    records = purchases(2_460)[2_400:]
    records[20]["amount"] = 80_000.0
    return batch_of(records)


def test_predict_changes_nothing() -> None:
    pipeline = Pipeline.loads(learnt(), {"m": trained()})
    first = pipeline.predict(probes())
    assert pipeline.dumps() == learnt()
    assert pipeline.predict(probes()) == first


def test_predict_says_what_process_would() -> None:
    pipeline = Pipeline.loads(learnt(), {"m": trained()})
    predictions = pipeline.predict(probes())
    scored = pipeline.process(probes())
    assert [found.score for found in predictions] == scored.score.tolist()
    assert [found.anomaly for found in predictions] == scored.flagged.tolist()
    assert [found.index for found in predictions] == list(range(60))
    reasons = {alert.seq - 1: alert.reasons for alert in scored.alerts}
    assert {found.index: found.reasons for found in predictions if found.anomaly} == reasons


def test_an_anomaly_is_named_and_explained() -> None:
    found = Pipeline.loads(learnt(), {"m": trained()}).predict(probes())
    assert found[20].verdict == "Anomaly detected"
    assert found[20].reasons[0].field == "amount"
    assert found[20].one_in > 1_000
    normal = [prediction for prediction in found if not prediction.anomaly]
    assert len(normal) >= 57
    assert all(prediction.verdict == "Normal" and prediction.reasons == () for prediction in normal)


def test_a_new_feed_predicts_nothing_rare() -> None:
    predictions = Pipeline(Intake().schema).predict(batch_of([], Intake().schema))
    assert predictions == []
    found = Pipeline(SCHEMA).predict(probes())
    assert np.array_equal([prediction.score for prediction in found], np.zeros(60))
    assert not any(prediction.anomaly for prediction in found)
