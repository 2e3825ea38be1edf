"""Text that would be markup, in every place that it can come from, on every page: nothing of it ever runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.browser import Viewer
from tests.e2e.payment import gross, ordinary
from tests.serving import ServerProcess
from tests.web.test_incident import later

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FEED = "pay"
SEQ = 901
HOSTILE = (
    '<img src=x onerror="window.ran = 1">',
    "</script><script>window.ran = 2</script>",
    '"><svg onload="window.ran = 3">',
    "javascript:window.ran=4",
    "${window.ran=5}{{window.ran=6}}",
    "<iframe srcdoc='<script>parent.ran=7</script>'>",
)

LOOKED_FOR = f"text={quote(HOSTILE[0])}&entity={quote(HOSTILE[1])}"

PLACES = {
    "live": (f"#feed={FEED}&alert={FEED}-{SEQ}", "#panel .reasons"),
    "anomalies": (f"anomalies#feed={FEED}&text=onerror", "#incidents tr"),
    "anomalies, looked for": (f"anomalies#feed={FEED}&{LOOKED_FOR}", "#none"),
    "one anomaly": (f"anomalies/{FEED}-{SEQ}", "#part-rows tr"),
    "none of that name": (f"anomalies/{quote(HOSTILE[0], safe='')}", "#state"),
    "data": (f"data#feed={FEED}", "#connection[data-state=live]"),
    "models": (f"models#feed={FEED}", "#jobs, #no-jobs"),
    "simulate": ("simulate", "#runs li"),
    "settings": (f"settings#feed={FEED}", "#mutes li"),
    "no such feed": (f"settings#feed={quote(HOSTILE[0])}", "#health dt"),
}


@pytest.fixture(scope="module")
def hostile_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Run a server whose feed, fields, values, notes, mutes and file names are all markup."""
    server = ServerProcess(tmp_path_factory.mktemp("hostile") / "data").start()
    try:
        image, script, svg, link, braces, frame = HOSTILE
        declared = {"name": script, "entities": ["card"], "time": "ts", "numbers": ["amount", image]}
        assert server.request("PUT", f"/feeds/{FEED}", json.dumps({"feed": declared})).status == 201
        usual = [{**one, image: 1.0 + i % 3, "memo": "fine"} for i, one in enumerate(ordinary(SEQ - 1))]
        assert server.post(FEED, usual).json["accepted"] == SEQ - 1
        odd = gross(SEQ, memo=svg, extra={frame: [script, link]}) | {"card": image, image: 9e6, braces: link}
        assert server.post(FEED, odd).json["accepted"] == 1
        note = json.dumps({"verdict": "real", "note": image})
        while server.request("POST", f"/alerts/{FEED}-{SEQ}/verdict", note).status == 404:
            pass  # it is not scored yet
        mute = {"entities": {script: image}, "field": svg, "until": later(hours=1), "note": frame}
        assert server.request("POST", f"/feeds/{FEED}/mutes", json.dumps(mute)).status == 201
        run = server.request("POST", f"/replays?feed=played&file={quote(image)}", b'{"a": 1}\n')
        assert run.status == 201, run.body
        yield server
    finally:
        server.kill()


@pytest.mark.parametrize("place", PLACES)
def test_nothing_of_it_runs(hostile_server: ServerProcess, viewer: Viewer, place: str) -> None:
    viewer.expect_problem("404|400")
    address, ready = PLACES[place]
    page = viewer.open(hostile_server, address)
    page.locator(ready).first.wait_for(state="attached")
    page.wait_for_timeout(300)  # what would run has had its time: an image that is not there fails at once
    assert page.evaluate("window.ran") is None
    assert page.locator("img, iframe, main svg[onload], main script").count() == 0
    inline = page.evaluate(
        "[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
        ".filter((name) => name.startsWith('on'))"
    )
    assert inline == []


def test_a_file_may_be_called_anything(hostile_server: ServerProcess, viewer: Viewer, tmp_path: Path) -> None:
    name = "<img src=x onerror=window.ran=8>.csv"
    file = tmp_path / name
    file.write_text(f"amount,{HOSTILE[0].replace(chr(34), '')},card\n5,2,{HOSTILE[5]}\n6,1,b\n")
    page = viewer.open(hostile_server, f"data#feed={FEED}")
    page.locator("input[type=file]").set_input_files(file)
    expect(page.locator("#file-name")).to_have_text(name)
    expect(page.locator("#preview-rows")).to_contain_text("srcdoc")
    assert page.evaluate("window.ran") is None
    assert page.locator("main img, main iframe").count() == 0


def test_every_page_forbids_scripts_of_its_own(hostile_server: ServerProcess) -> None:
    for address in ("", "anomalies", f"anomalies/{FEED}-1", "data", "models", "simulate", "settings", "docs"):
        answer = hostile_server.request("GET", f"/{address}", headers={"Accept": "text/html"})
        assert answer.status == 200, address
        rules = dict(
            rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";")
        )
        assert rules["default-src"] in ("'none'", "'self'"), address
        assert rules.get("script-src", rules["default-src"]) == "'self'", address
        text = answer.body.decode()
        scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", text, re.S)
        assert all("src=" in tag and not inside.strip() for tag, inside in scripts), address
        assert not re.search(r"\son\w+=", text), address
