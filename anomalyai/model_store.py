"""Trained models on disk: a joblib artefact and a manifest each, named by content.

A model's id is its feed, its algorithm and the start of its artefact's SHA-256, so equal training gives an
equal id and nothing is ever overwritten by something else. Loading refuses an artefact that is missing or
altered, or that another minor version of the libraries wrote, and says which.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np

from anomalyai.detectors.isolation_forest import IsolationForestModel
from anomalyai.detectors.registry import DETECTORS
from anomalyai.errors import ModelError, shorten
from anomalyai.manifest import Manifest
from anomalyai.training import ALGORITHMS, TrainedModel

_SAFE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,120}\Z")


class ModelStore:
    """The models of one data directory. Single-threaded; files appear whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, feed: str, model: TrainedModel) -> Manifest:
        """Keep a model; returns its manifest. Saving the same model again changes nothing."""
        buffer = io.BytesIO()
        joblib.dump(_artefact(model.detector), buffer, compress=3)
        data = buffer.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        manifest = Manifest(
            id=f"{feed}-{model.algorithm}-{digest[:12]}",
            feed=feed,
            algorithm=model.algorithm,
            columns=model.columns,
            last_seq=model.last_seq,
            sha256=digest,
            size_bytes=len(data),
            libraries=_libraries(),
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        _write(self._folder / f"{manifest.id}.joblib", data)
        _write(self._folder / f"{manifest.id}.json", msgspec.json.format(msgspec.json.encode(manifest)))
        return manifest

    def manifest(self, model_id: str) -> Manifest:
        """Read a manifest.

        Raises
        ------
        ModelError
            There is no such model, or its manifest cannot be read.
        """
        if not _SAFE_ID.match(model_id):
            raise ModelError(
                f"expected a model id of a-z, 0-9, '-' and '_', got {model_id[:80]!r}", code="model_id"
            )
        path = self._folder / f"{model_id}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Manifest)
        except FileNotFoundError as error:
            raise ModelError(f"there is no model {model_id!r}", code="model_missing") from error
        except msgspec.DecodeError as error:
            raise ModelError(
                f"the manifest of model {model_id!r} is unreadable: {error}", code="model_altered"
            ) from error

    def load(self, model_id: str) -> TrainedModel:
        """Load a model after checking its hash and the libraries that wrote it.

        Raises
        ------
        ModelError
            Missing, altered, of an unknown algorithm, or written by another minor version of scikit-learn,
            numpy or joblib.
        """
        manifest = self.manifest(model_id)
        if manifest.algorithm not in ALGORITHMS:
            raise ModelError(
                f"model {model_id!r} is of the algorithm {shorten(manifest.algorithm)}, expected one of "
                f"{', '.join(ALGORITHMS)}",
                code="model_algorithm",
            )
        path = self._folder / f"{model_id}.joblib"
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise ModelError(
                f"the artefact of model {model_id!r} is missing", code="model_missing"
            ) from error
        if hashlib.sha256(data).hexdigest() != manifest.sha256:
            raise ModelError(
                f"the artefact of model {model_id!r} is not the one its manifest names", code="model_altered"
            )
        here = _libraries()
        for name, release in manifest.libraries.items():
            if _minor(release) != _minor(here.get(name, "none")):
                raise ModelError(
                    f"model {model_id!r} was written by {name} {release}, here is {here.get(name, 'none')}",
                    code="model_libraries",
                    hint="train it again with this version",
                )
        detector = _detector(manifest.algorithm, joblib.load(io.BytesIO(data)))
        return TrainedModel(detector, manifest.columns, manifest.last_seq)

    def list(self, feed: str | None = None) -> list[Manifest]:
        """Return the manifests, by id; of one feed where it is given."""
        manifests = [self.manifest(path.stem) for path in sorted(self._folder.glob("*.json"))]
        return [manifest for manifest in manifests if feed is None or manifest.feed == feed]


def _artefact(detector: Any) -> Any:
    """Return what is kept of a trained detector: scikit-learn's estimator, and what is ours beside it."""
    if isinstance(detector, IsolationForestModel):
        return detector.estimator
    return {"estimator": detector.estimator, "state": detector.dumps()}


def _detector(algorithm: str, artefact: Any) -> Any:
    if algorithm == IsolationForestModel.kind:
        return IsolationForestModel.from_estimator(artefact)
    if not isinstance(artefact, dict):
        raise ModelError(
            f"the artefact of a {algorithm} holds a {type(artefact).__name__}", code="model_altered"
        )
    detector: Any = DETECTORS[algorithm].loads(artefact["state"])
    detector.estimator = artefact["estimator"]
    return detector


def _libraries() -> dict[str, str]:
    return {"scikit-learn": version("scikit-learn"), "numpy": np.__version__, "joblib": joblib.__version__}


def _minor(release: str) -> tuple[str, ...]:
    return tuple(release.split(".")[:2])


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(path.suffix + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too, must outlive a power cut: a log entry will refer to it
    finally:
        os.close(folder)
