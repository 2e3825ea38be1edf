"""Trained models by id, loaded once and kept while they are in use: the model store with a small memory.

Safe from any thread: one lock guards the memory; a model itself is never changed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from anomalyai.errors import ModelError
from anomalyai.model_store import ModelStore
from anomalyai.training import TrainedModel
from stream.warmup import import_scikit_learn

KEPT = 32


class Models(Mapping[str, TrainedModel]):
    """A mapping from model ids to models; a missing or damaged one is no member."""

    def __init__(self, store: ModelStore) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, TrainedModel] = OrderedDict()

    def load(self, model_id: str, sha256: str | None = None) -> TrainedModel:
        """Return a model, from memory where it was used lately.

        Raises
        ------
        ModelError
            It is missing, damaged, written by other libraries, or not the artefact that `sha256` names.
        """
        if sha256 is not None and (found := self.store.manifest(model_id).sha256) != sha256:
            raise ModelError(
                f"model {model_id!r} has the artefact {found[:12]}, the log names {sha256[:12]}",
                code="model_altered",
                hint="restore the models folder from the same copy as the database",
            )
        with self._lock:
            model = self._kept.get(model_id)
            if model is not None:
                self._kept.move_to_end(model_id)
                return model
        import_scikit_learn()
        model = self.store.load(model_id)
        with self._lock:
            self._kept[model_id] = model
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return model

    def start(self, model_id: str, sha256: str) -> bytes:
        """Return a model's start state, read anew each time.

        Raises
        ------
        ModelError
            It is missing, damaged, or not the one that `sha256` names.
        """
        start = self.store.start(model_id)
        if start is None or self.store.manifest(model_id).start_sha256 != sha256:
            raise ModelError(
                f"model {model_id!r} has another start state than the log names, or none",
                code="model_altered",
                hint="restore the models folder from the same copy as the database",
            )
        return start

    def __getitem__(self, model_id: str) -> TrainedModel:
        try:
            return self.load(model_id)
        except ModelError as error:
            raise KeyError(model_id) from error

    def __contains__(self, model_id: object) -> bool:
        return isinstance(model_id, str) and self.get(model_id) is not None

    def __iter__(self) -> Iterator[str]:
        return (manifest.id for manifest in self.store.list())

    def __len__(self) -> int:
        return len(self.store.list())
