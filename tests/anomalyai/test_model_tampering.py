"""What somebody with access to the models folder may do to it: everything is refused, nothing unpickled."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

from anomalyai.errors import ModelError
from anomalyai.manifest import Manifest
from anomalyai.model_store import ModelStore
from anomalyai.training import TrainingSet, train

SECRET, OTHER_SECRET = b"a" * 32, b"b" * 32


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.path, "gone off")


class Kept(NamedTuple):
    """A model in a store, a second one beside it, and where their files are."""

    store: ModelStore
    folder: Path
    manifest: Manifest
    other: Manifest

    def path(self, kind: str) -> Path:
        """Return a file of the first model."""
        return self.folder / f"{self.manifest.id}.{kind}"

    def rewrite(self, **changes: Any) -> None:
        """Change the manifest as one can who does not have the secret."""
        changed = msgspec.structs.replace(self.manifest, **changes)
        self.path("json").write_bytes(msgspec.json.encode(changed))


def rows(count: int) -> TrainingSet:
    features = np.random.default_rng(0).normal(size=(count, 2))
    return TrainingSet(features=features, columns=("value(a)", "value(b)"), last_seq=count)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    folder = tmp_path / "models"
    store = ModelStore(folder, SECRET)
    first = store.save("pay", train(rows(300)), start=b"a state")
    return Kept(store, folder, first, store.save("pay", train(rows(400)), start=b"another state"))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def plant_bomb(kept: Kept) -> None:
    """Put a pickle in the artefact's place, with a manifest that names its hash."""
    data = pickle.dumps(Bomb(kept.folder / "bang"))
    kept.path("joblib").write_bytes(data)
    kept.rewrite(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def plant_signed_bomb(kept: Kept) -> None:
    """Put one there that another instance has signed."""
    plant_bomb(kept)
    bomb = msgspec.json.decode(kept.path("json").read_bytes(), type=Manifest)
    signed = ModelStore(kept.folder, OTHER_SECRET)._signed(bomb)
    kept.path("json").write_bytes(msgspec.json.encode(signed))


def link(kept: Kept, kind: str) -> None:
    elsewhere = kept.folder.parent / f"elsewhere.{kind}"
    kept.path(kind).rename(elsewhere)
    kept.path(kind).symlink_to(elsewhere)


def pipe(kept: Kept) -> None:
    kept.path("joblib").unlink()
    os.mkfifo(kept.path("joblib"))


def swap_manifests(kept: Kept) -> None:
    (kept.folder / f"{kept.other.id}.json").replace(kept.path("json"))


def swap_artefacts(kept: Kept) -> None:
    (kept.folder / f"{kept.other.id}.joblib").replace(kept.path("joblib"))


def sign_elsewhere(kept: Kept) -> None:
    ModelStore(kept.folder.parent / "foreign", OTHER_SECRET).save("pay", train(rows(300)), start=b"a state")
    for path in (kept.folder.parent / "foreign").iterdir():
        path.replace(kept.folder / path.name)


TAMPERINGS: dict[str, tuple[Callable[[Kept], object], str, str]] = {
    "a flipped byte in the artefact": (lambda k: flip(k.path("joblib")), "model_altered", "not the one"),
    "the artefact is gone": (
        lambda k: k.path("joblib").unlink(),
        "model_incomplete",
        "artefact .* is missing",
    ),
    "a cut artefact": (lambda k: os.truncate(k.path("joblib"), 100), "model_altered", "not the one"),
    "another model's artefact": (swap_artefacts, "model_altered", "not the one"),
    "another model's manifest": (swap_manifests, "model_altered", "is that of"),
    "a manifest that is no JSON": (
        lambda k: k.path("json").write_bytes(b'{"id": 5'),
        "model_altered",
        "unreadable",
    ),
    "a manifest without a signature": (lambda k: k.rewrite(hmac=None), "model_foreign", "not signed"),
    "another feed": (lambda k: k.rewrite(feed="logins"), "model_foreign", "not signed"),
    "other columns": (lambda k: k.rewrite(columns=("value(c)",)), "model_foreign", "not signed"),
    "other figures": (lambda k: k.rewrite(metrics={"average_precision": 1.0}), "model_foreign", "not signed"),
    "a foreign key": (sign_elsewhere, "model_foreign", "not signed"),
    "a pickle bomb": (plant_bomb, "model_foreign", "not signed"),
    "a pickle bomb signed elsewhere": (plant_signed_bomb, "model_foreign", "not signed"),
    "a link to an artefact": (lambda k: link(k, "joblib"), "model_altered", "a link"),
    "a link to a manifest": (lambda k: link(k, "json"), "model_altered", "a link"),
    "a folder for an artefact": (
        lambda k: (k.path("joblib").unlink(), k.path("joblib").mkdir()),
        "model_altered",
        "no plain file",
    ),
    "a pipe for an artefact": (pipe, "model_altered", "no plain file"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_was_tampered_with_is_refused_and_nothing_of_it_runs(kept: Kept, name: str) -> None:
    tamper, code, says = TAMPERINGS[name]
    kept.store.load(kept.manifest.id)
    tamper(kept)
    with pytest.raises(ModelError, match=says) as refused:
        kept.store.load(kept.manifest.id)
    assert refused.value.code == code
    assert not (kept.folder / "bang").exists()


def test_the_bomb_would_have_gone_off(kept: Kept) -> None:
    plant_bomb(kept)
    with pytest.raises(ModelError):  # without a secret, the pickle is read, and holds no estimator
        ModelStore(kept.folder).load(kept.manifest.id)
    assert (kept.folder / "bang").read_text(encoding="utf-8") == "gone off"


@pytest.mark.parametrize("change", ["flip", "link", "remove", "swap"])
def test_an_altered_start_state_is_refused(kept: Kept, change: str) -> None:
    assert kept.store.start(kept.manifest.id) == b"a state"
    path = kept.path("start")
    if change == "flip":
        flip(path)
    elif change == "link":
        link(kept, "start")
    elif change == "remove":
        path.unlink()
    else:
        (kept.folder / f"{kept.other.id}.start").replace(path)
    with pytest.raises(ModelError):
        kept.store.start(kept.manifest.id)


def test_one_refused_model_does_not_hide_the_others(kept: Kept) -> None:
    kept.rewrite(feed="logins")
    assert [manifest.id for manifest in kept.store.list()] == [kept.other.id]
    [refused] = kept.store.refused()
    assert refused.id == kept.manifest.id
    assert "not signed" in refused.error


def test_a_refused_model_is_written_anew_by_the_same_training(kept: Kept) -> None:
    flip(kept.path("joblib"))
    kept.rewrite(hmac=None)
    again = kept.store.save("pay", train(rows(300)), start=b"a state")
    assert again.id == kept.manifest.id
    assert kept.store.load(again.id).columns == kept.manifest.columns
    assert kept.store.start(again.id) == b"a state"


def test_the_same_model_with_another_start_is_another_version(kept: Kept) -> None:
    other = kept.store.save("pay", train(rows(300)), start=b"a third state")
    assert other.id != kept.manifest.id
    assert other.sha256 == kept.manifest.sha256


def test_a_link_at_the_temporary_name_is_not_written_through(kept: Kept) -> None:
    victim = kept.folder.parent / "victim"
    victim.write_text("mine", encoding="utf-8")
    model = train(rows(350))
    names = {f"{ModelStore(kept.folder.parent / 'probe', SECRET).save('pay', model).id}.json.tmp"}
    for name in names:
        (kept.folder / name).symlink_to(victim)
    saved = kept.store.save("pay", model)
    assert victim.read_text(encoding="utf-8") == "mine"
    assert kept.store.load(saved.id).columns == model.columns
