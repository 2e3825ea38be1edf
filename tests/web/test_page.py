"""The page and its static files."""

from __future__ import annotations

import re

import pytest

from tests.serving import ServerProcess
from web import page


def test_everything_the_page_names_is_there_and_cached_for_long(server: ServerProcess) -> None:
    answer = server.request("GET", "/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    links = re.findall(r'(?:href|src)="(/static/[^"]+)"', answer.body.decode())
    assert links
    for link in links:
        if "/vendor/uplot/" in link and not page.has_uplot():
            continue
        assert re.search(r"\?v=[0-9a-f]{12}$", link), link
        file = server.request("GET", link)
        assert file.status == 200, link
        assert "immutable" in file.headers["cache-control"]
        assert f"max-age={page.YEAR_S}" in file.headers["cache-control"]


def test_the_page_has_no_inline_script(server: ServerProcess) -> None:
    html = server.request("GET", "/").body.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"\son[a-z]+=", html)


def test_a_file_without_a_version_is_asked_about_again(server: ServerProcess) -> None:
    first = server.request("GET", "/static/css/base.css")
    assert first.status == 200
    assert first.headers["cache-control"] == "no-cache"
    again = server.request("GET", "/static/css/base.css", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_the_fallback_chart_library_comes_from_the_installed_package(server: ServerProcess) -> None:
    answer = server.request("GET", "/static/vendor/plotly.min.js")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert b"plotly.js v" in answer.body[:400]


def test_modules_are_served_as_javascript(server: ServerProcess) -> None:
    answer = server.request("GET", "/static/js/live/main.js")
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/js/..%2f..%2fapp.py",
        "/static//etc/passwd",
        "/static/js",
        "/static/",
        "/static/nothing.css",
        "/static/a%00b.css",
    ],
)
def test_nothing_outside_the_folder_is_served(server: ServerProcess, path: str) -> None:
    answer = server.request("GET", path)
    assert answer.status in (400, 404)
    assert answer.error["code"] in ("not_found", "bad_request")
