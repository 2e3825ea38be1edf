"""The tampering table once more, through the routes: refused with the one error body, and nothing runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalyai.model_store import ModelStore
from anomalyai.training import train
from stream.secret import instance_secret
from tests.anomalyai.test_model_tampering import TAMPERINGS, Kept, rows
from tests.serving import ServerProcess


@pytest.fixture
def kept(server: ServerProcess) -> Kept:
    """Keep two models in the server's own store, whole again whatever became of them."""
    folder = server.data / "models"
    store = ModelStore(folder, instance_secret(server.data))
    first = store.save("pay", train(rows(300)), start=b"a state")
    return Kept(store, folder, first, store.save("pay", train(rows(400)), start=b"another"))


@pytest.mark.parametrize("name", TAMPERINGS)
def test_no_route_takes_what_was_tampered_with(server: ServerProcess, kept: Kept, name: str) -> None:
    tamper, code, _ = TAMPERINGS[name]
    tamper(kept)
    address = f"/models/{kept.manifest.id}"
    answer = server.request("POST", f"{address}/promote")
    assert (answer.status, answer.error["code"]) == (409, code), answer
    answer = server.request("POST", f"/predict?feed=pay&model={kept.manifest.id}", b'[{"a": 1}]')
    assert (answer.status, answer.error["code"]) == (409, code), answer
    assert server.request("GET", address).status in (200, 409)
    listed = server.request("GET", "/models?feed=pay").json
    assert name.startswith("another model's") or kept.other.id in [model["id"] for model in listed["models"]]
    assert not (kept.folder / "bang").exists()
    assert server.request("GET", "/feeds/pay").status == 404
    _remove(kept)


@pytest.mark.parametrize(
    "name", ["..%2fsecret", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "a%00b", "secret", "..", "x" * 500]
)
@pytest.mark.parametrize("path", ["/models/{}", "/models/{}/promote", "/predict?feed=f&model={}"])
def test_an_id_that_is_a_path_leads_nowhere(server: ServerProcess, name: str, path: str) -> None:
    method = "GET" if path == "/models/{}" else "POST"
    answer = server.request(method, path.format(name), b'[{"a": 1}]' if "predict" in path else None)
    assert answer.status == 404, answer
    assert answer.error["code"] in ("unknown_model", "unknown_feed", "not_found")


def _remove(kept: Kept) -> None:
    """Let nothing that is no plain file be in the way of the next one."""
    path: Path
    for path in kept.folder.glob("pay-*"):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
