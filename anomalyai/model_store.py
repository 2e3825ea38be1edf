"""Trained models on disk: artefact, start state and signed manifest, named by content.

A model's id is its feed, its algorithm and the start of a SHA-256 over what it consists of, so equal training
gives an equal id and nothing is ever overwritten by something else. The manifest names the SHA-256 of every
file and is itself signed (HMAC-SHA-256, RFC 2104) with the secret of the data directory, so that nothing that
was altered or comes from elsewhere is ever unpickled. Loading refuses what is missing, altered, foreign, no
regular file, or written by another minor version of the libraries, and says which.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np

from anomalyai.errors import ModelError, shorten
from anomalyai.manifest import Manifest, TrainingFacts
from anomalyai.model_file import read_file, write_file
from anomalyai.training import ALGORITHMS, TrainedModel
from anomalyai.training.artefact import packed, unpacked

MAX_MANIFEST_BYTES = 8 << 20
MAX_FILE_BYTES = 2 << 30

_SAFE_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,120}\Z")
_TRAIN_AGAIN = "models are taken only as this data directory made them: train it again here"


class RefusedModel(msgspec.Struct, frozen=True):
    """A model of the store that cannot be used, and why."""

    id: str
    error: str


class ModelStore:
    """The models of one data directory. Single-threaded; files appear whole or not at all.

    Parameters
    ----------
    folder
        Where the files are; it is made when the first model is kept.
    secret
        What manifests are signed with. None signs and checks nothing: for a library's user who keeps models
        in a place of their own, never for a folder that others can write to.
    """

    def __init__(self, folder: Path, secret: bytes | None = None) -> None:
        self._folder = folder
        self._secret = secret

    def save(
        self,
        feed: str,
        model: TrainedModel,
        *,
        facts: TrainingFacts | None = None,
        start: bytes | None = None,
        created_s: float | None = None,
        created_by: str = "first",
    ) -> Manifest:
        """Keep a model; returns its manifest. Saving the same model again changes nothing.

        `start` is the state that its training data left (`Pipeline.dumps`), `facts` what the training says of
        itself, `created_s` epoch seconds.
        """
        buffer = io.BytesIO()
        joblib.dump(packed(model), buffer, compress=3)
        data = buffer.getvalue()
        sha256 = hashlib.sha256(data).hexdigest()
        start_sha256 = None if start is None else hashlib.sha256(start).hexdigest()
        name = (
            sha256 if start_sha256 is None else hashlib.sha256(f"{sha256}{start_sha256}".encode()).hexdigest()
        )
        model_id = f"{feed}-{model.algorithm}-{name[:12]}"
        kept = self._kept(model_id)
        if kept is not None and kept.sha256 == sha256 and kept.start_sha256 == start_sha256:
            return kept
        manifest = self._signed(
            Manifest(
                id=model_id,
                feed=feed,
                algorithm=model.algorithm,
                columns=model.columns,
                last_seq=model.last_seq,
                sha256=sha256,
                size_bytes=len(data),
                libraries=_libraries(),
                start_sha256=start_sha256,
                created_s=created_s,
                created_by=created_by,
                **msgspec.structs.asdict(facts or TrainingFacts()),
            )
        )
        self._folder.mkdir(parents=True, exist_ok=True)
        write_file(self._path(model_id, "joblib"), data)
        if start is not None:
            write_file(self._path(model_id, "start"), start)
        write_file(self._path(model_id, "json"), msgspec.json.format(msgspec.json.encode(manifest)))
        return manifest

    def manifest(self, model_id: str) -> Manifest:
        """Read and check a manifest.

        Raises
        ------
        ModelError
            There is no such model, or its manifest cannot be read, is another model's, or is not signed with
            this store's secret.
        """
        if not _SAFE_ID.match(model_id):
            raise ModelError(
                f"expected a model id of a-z, 0-9, '-' and '_', got {model_id[:80]!r}", code="model_id"
            )
        try:
            data = read_file(self._path(model_id, "json"), MAX_MANIFEST_BYTES)
        except FileNotFoundError as error:
            raise ModelError(f"there is no model {model_id!r}", code="model_missing") from error
        try:
            document = msgspec.json.decode(data, type=dict[str, Any])
            manifest = msgspec.convert(document, Manifest)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ModelError(
                f"the manifest of model {model_id!r} is unreadable: {error}",
                code="model_altered",
                hint=_TRAIN_AGAIN,
            ) from error
        if manifest.id != model_id:
            raise ModelError(
                f"the manifest of model {model_id!r} is that of {shorten(manifest.id)}",
                code="model_altered",
                hint=_TRAIN_AGAIN,
            )
        self._check_signature(model_id, document)
        return manifest

    def load(self, model_id: str) -> TrainedModel:
        """Load a model after checking its signature, its hash and the libraries that wrote it.

        Raises
        ------
        ModelError
            Missing, altered, foreign, of an unknown algorithm, or written by another minor version of
            scikit-learn, numpy or joblib.
        """
        manifest = self.manifest(model_id)
        if manifest.algorithm not in ALGORITHMS:
            raise ModelError(
                f"model {model_id!r} is of the algorithm {shorten(manifest.algorithm)}, expected one of "
                f"{', '.join(ALGORITHMS)}",
                code="model_algorithm",
            )
        here = _libraries()
        for name, release in manifest.libraries.items():
            if _minor(release) != _minor(here.get(name, "none")):
                raise ModelError(
                    f"model {model_id!r} was written by {name} {release}, here is {here.get(name, 'none')}",
                    code="model_libraries",
                    hint="train it again with this version",
                )
        data = self._checked_file(model_id, "joblib", "artefact", manifest.sha256)
        artefact = joblib.load(io.BytesIO(data))
        return unpacked(manifest.algorithm, artefact, manifest.columns, manifest.last_seq)

    def start(self, model_id: str) -> bytes | None:
        """Return the state that a model's training data left, None where none was kept.

        Raises
        ------
        ModelError
            It is missing, altered or foreign.
        """
        manifest = self.manifest(model_id)
        if manifest.start_sha256 is None:
            return None
        return self._checked_file(model_id, "start", "start state", manifest.start_sha256)

    def check(self, model_id: str) -> Manifest:
        """Check a model's files without loading it; returns its manifest.

        Raises as `load` and `start` do.
        """
        manifest = self.manifest(model_id)
        self._checked_file(model_id, "joblib", "artefact", manifest.sha256)
        self.start(model_id)
        return manifest

    def list(self, feed: str | None = None) -> list[Manifest]:
        """Return the manifests of models that can be used, by id; of one feed where it is given."""
        manifests = [found for found in self._each() if isinstance(found, Manifest)]
        return [manifest for manifest in manifests if feed is None or manifest.feed == feed]

    def refused(self, feed: str | None = None) -> Sequence[RefusedModel]:
        """Return the models that a look at the folder shows to be of no use, by id; a feed's by their names.

        Artefacts are not read for it, only looked for.
        """
        refused = [found for found in self._each() if isinstance(found, RefusedModel)]
        return [found for found in refused if feed is None or _is_of(found.id, feed)]

    def _each(self) -> Iterator[Manifest | RefusedModel]:
        for path in sorted(self._folder.glob("*.json")):
            try:
                manifest = self.manifest(path.stem)
                self._look(manifest)
                yield manifest
            except ModelError as error:
                yield RefusedModel(path.stem[:120], str(error))

    def _look(self, manifest: Manifest) -> None:
        """Check that a model's files are there, and of the right kind and size."""
        wanted: dict[str, int | None] = {"joblib": manifest.size_bytes}
        if manifest.start_sha256 is not None:
            wanted["start"] = None
        for kind, size_bytes in wanted.items():
            try:
                found = os.lstat(self._path(manifest.id, kind))
            except FileNotFoundError as error:
                raise ModelError(
                    f"{manifest.id}.{kind} is missing", code="model_incomplete", hint=_TRAIN_AGAIN
                ) from error
            if not stat.S_ISREG(found.st_mode) or size_bytes not in (None, found.st_size):
                raise ModelError(f"{manifest.id}.{kind} was altered", code="model_altered", hint=_TRAIN_AGAIN)

    def _kept(self, model_id: str) -> Manifest | None:
        try:
            return self.check(model_id)
        except ModelError:
            return None  # there is none, or none that may stay

    def _path(self, model_id: str, kind: str) -> Path:
        return self._folder / f"{model_id}.{kind}"

    def _checked_file(self, model_id: str, kind: str, what: str, sha256: str) -> bytes:
        try:
            data = read_file(self._path(model_id, kind), MAX_FILE_BYTES)
        except FileNotFoundError as error:
            raise ModelError(
                f"the {what} of model {model_id!r} is missing", code="model_incomplete", hint=_TRAIN_AGAIN
            ) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ModelError(
                f"the {what} of model {model_id!r} is not the one its manifest names",
                code="model_altered",
                hint=_TRAIN_AGAIN,
            )
        return data

    def _signed(self, manifest: Manifest) -> Manifest:
        document = msgspec.json.decode(msgspec.json.encode(manifest), type=dict[str, Any])
        if self._secret is not None:
            document["hmac"] = _signature(document, self._secret)
        return msgspec.convert(document, Manifest)

    def _check_signature(self, model_id: str, document: dict[str, Any]) -> None:
        if self._secret is None:
            return
        if not hmac.compare_digest(
            str(document.get("hmac")).encode(), _signature(document, self._secret).encode()
        ):
            raise ModelError(
                f"the manifest of model {model_id!r} is not signed with this data directory's secret: "
                "it was altered, or the model comes from elsewhere",
                code="model_foreign",
                hint=_TRAIN_AGAIN,
            )


def _signature(document: Mapping[str, Any], secret: bytes) -> str:
    """Return the HMAC of all that a manifest says, also of what only a later version knows."""
    unsigned = {name: value for name, value in document.items() if name != "hmac"}
    return hmac.new(secret, msgspec.json.encode(unsigned, order="deterministic"), hashlib.sha256).hexdigest()


def _is_of(model_id: str, feed: str) -> bool:
    """Whether a refused model's name says that it is a feed's."""
    return re.fullmatch(rf"{re.escape(feed)}-({'|'.join(ALGORITHMS)})-[0-9a-f]{{12}}", model_id) is not None


def _libraries() -> dict[str, str]:
    return {"scikit-learn": version("scikit-learn"), "numpy": np.__version__, "joblib": joblib.__version__}


def _minor(release: str) -> tuple[str, ...]:
    return tuple(release.split(".")[:2])
