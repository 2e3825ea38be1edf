"""Evaluations as HTML: one file that opens anywhere without a network, and the same as a page of the server.

Every text goes through the template's escaping, and what is drawn is a block of JSON that no browser takes
for a script. The file carries Plotly and its own policy: only its two scripts, by their hashes, may run, and
nothing may be fetched.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec
from jinja2 import Environment, FileSystemLoader, Template
from markupsafe import Markup

from anomalyai.errors import StateError
from anomalyai.evaluation import Evaluation
from web.report.view import drawing, view

WEB = Path(__file__).parent.parent
STATIC = WEB / "static"
STYLES = ("css/palette.css", "css/report.css")
SCRIPT = "js/models/report.js"


def html_report(evaluations: Sequence[Evaluation], plotly: Path | None) -> str:
    """Return evaluations as one HTML file; `plotly` is plotly's browser file (`web.page.plotly_file`)."""
    if plotly is None:
        raise StateError(
            "expected the plotly package with its browser file, found none", hint="Install plotly"
        )
    scripts = [plotly.read_text(encoding="utf-8"), (STATIC / SCRIPT).read_text(encoding="utf-8")]
    for script in scripts:
        if "</script" in script.lower():
            raise StateError("expected a script that can stand in HTML, got one that ends the element early")
    return _template().render(
        views=[view(evaluation) for evaluation in evaluations],
        drawings=_json([drawing(evaluation) for evaluation in evaluations]),
        style=Markup("\n".join((STATIC / name).read_text(encoding="utf-8") for name in STYLES)),
        scripts=[Markup(script) for script in scripts],
        policy="default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src "
        + " ".join(f"'sha256-{_digest(script)}'" for script in scripts),
    )


def html_page(evaluation: Evaluation) -> str:
    """Return an evaluation as a page of the server, which has styles and scripts under `/static/`."""
    return _template().render(
        views=[view(evaluation)], drawings=_json([drawing(evaluation)]), style=None, scripts=None, policy=None
    )


@cache
def _template() -> Template:
    environment = Environment(loader=FileSystemLoader(WEB / "templates"), autoescape=True)
    return environment.get_template("report.html")


def _json(value: object) -> Markup:
    """Return JSON that can stand in a `<script>` block: nothing in it can end the block or begin another."""
    text = msgspec.json.encode(value).decode()
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
