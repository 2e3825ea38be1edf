"""Models on disk: kept exactly, refused when missing, altered or foreign."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from anomalyai.errors import ModelError
from anomalyai.model_store import ModelStore
from anomalyai.training import TrainingSet, train

COLUMNS = ("value(a)", "value(b)")


def training_set(rows: int = 400) -> TrainingSet:
    rng = np.random.default_rng(0)
    return TrainingSet(features=rng.normal(size=(rows, 2)), columns=COLUMNS, last_seq=rows, seed=3)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def test_a_model_comes_back_as_it_was(store: ModelStore) -> None:
    model = train(training_set())
    manifest = store.save("pay", model)
    assert store.save("pay", train(training_set())).id == manifest.id
    again = store.load(manifest.id)
    probes = np.random.default_rng(1).normal(size=(500, 2)) * 3
    assert np.array_equal(again.score_batch(probes), model.score_batch(probes))
    assert again.columns == COLUMNS
    assert [found.id for found in store.list("pay")] == [manifest.id]
    assert store.list("other") == []


def test_an_altered_artefact_is_refused(store: ModelStore, tmp_path: Path) -> None:
    manifest = store.save("pay", train(training_set()))
    path = tmp_path / "models" / f"{manifest.id}.joblib"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match="not the one"):
        store.load(manifest.id)


def test_other_libraries_are_refused(store: ModelStore, tmp_path: Path) -> None:
    manifest = store.save("pay", train(training_set()))
    older = msgspec.structs.replace(manifest, libraries={**manifest.libraries, "scikit-learn": "0.24.1"})
    (tmp_path / "models" / f"{manifest.id}.json").write_bytes(msgspec.json.encode(older))
    with pytest.raises(ModelError, match=r"scikit-learn 0\.24\.1"):
        store.load(manifest.id)


def test_a_missing_artefact_is_refused(store: ModelStore, tmp_path: Path) -> None:
    manifest = store.save("pay", train(training_set()))
    (tmp_path / "models" / f"{manifest.id}.joblib").unlink()
    with pytest.raises(ModelError, match="missing"):
        store.load(manifest.id)


@pytest.mark.parametrize("model_id", ["../pay", "..", "a/b", "a\\b", "", "A", "x" * 300, "pay\n", "pay.json"])
def test_bad_ids_never_reach_the_disk(store: ModelStore, tmp_path: Path, model_id: str) -> None:
    manifest = store.save("pay", train(training_set()))
    (tmp_path / "pay.json").write_bytes((tmp_path / "models" / f"{manifest.id}.json").read_bytes())
    with pytest.raises(ModelError, match="expected a model id") as refused:
        store.load(model_id)
    assert refused.value.code == "model_id"


def test_an_unknown_id_is_refused(store: ModelStore) -> None:
    with pytest.raises(ModelError, match="no model 'no-such-model'") as refused:
        store.load("no-such-model")
    assert refused.value.code == "model_missing"


def test_an_altered_manifest_is_refused(store: ModelStore, tmp_path: Path) -> None:
    manifest = store.save("pay", train(training_set()))
    (tmp_path / "models" / f"{manifest.id}.json").write_bytes(b'{"id": 5')
    with pytest.raises(ModelError, match="manifest"):
        store.load(manifest.id)


def test_models_of_several_feeds_are_kept_apart(store: ModelStore) -> None:
    first = store.save("pay", train(training_set()))
    second = store.save("pay-2", train(training_set(500)))
    assert [found.id for found in store.list()] == sorted([first.id, second.id])
    assert [found.id for found in store.list("pay")] == [first.id]
    assert first.libraries.keys() == {"scikit-learn", "numpy", "joblib"}


def test_a_half_written_file_is_no_model(store: ModelStore, tmp_path: Path) -> None:
    manifest = store.save("pay", train(training_set()))
    (tmp_path / "models" / "pay-isolation_forest-0123.json.tmp").write_bytes(b"{")
    assert [found.id for found in store.list()] == [manifest.id]
    assert not list((tmp_path / "models").glob(f"{manifest.id}*.tmp"))
