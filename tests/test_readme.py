"""The README is true: it names every route, setting and option, and its examples run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import ValidationError

from stream.runtime import Runtime
from stream.settings import Setting, load, table
from tests.serving import ServerProcess
from tests.web.contract.promise import require
from web.app import create_app
from web.cli import cli

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8000"
NO_EXAMPLE = re.compile(r"anomalyai (serve|demo)\b")


def blocks(language: str) -> list[str]:
    """Return the README's fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("row", table(), ids=lambda row: row.name)
def test_names_every_setting_with_its_variable_and_default(row: Setting) -> None:
    line = next((line for line in TEXT.splitlines() if line.startswith(f"| `{row.name}` |")), None)
    assert line is not None, f"README's settings table lacks {row.name}"
    assert f"`{row.variable}`" in line
    assert row.help in line
    assert row.default == "" or f"`{row.default}`" in line


def commands() -> list[tuple[str, str]]:
    """Return (command, option) for every option of every command."""
    context = click.Context(cli)
    found = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        found += [(name, option) for param in command.params for option in param.opts]
    return found


@pytest.mark.parametrize(("command", "option"), commands())
def test_names_every_command_and_option(command: str, option: str) -> None:
    line = next((line for line in TEXT.splitlines() if line.startswith(f"| `anomalyai {command}")), None)
    assert line is not None, f"README's command table lacks {command}"
    shown = option if option.startswith("--") else ("{fraud,network}" if option == "scenario" else "FILE")
    assert shown in line, f"README's row of {command} lacks {option}"


def test_names_every_route(tmp_path: Path) -> None:
    """A route that README does not name is a route nobody will find."""
    runtime = Runtime.open(load(environ={}, overrides={"data": str(tmp_path)}))
    try:
        rules = {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(rule)) for rule in routes(runtime)}
        rules = {re.sub(r"{(alert|incident|mute|run)_id}", "{id}", rule) for rule in rules}
    finally:
        runtime.stop(10.0)
    shown = {rule for rule in rules if not rule.startswith("/static/")}
    assert len(shown) > 8
    missing = sorted(rule for rule in shown if f"{rule}`" not in TEXT and f"{rule}?" not in TEXT)
    assert not missing, f"README lacks {missing}"


def routes(runtime: Runtime) -> list[object]:
    """Return the URL rules of the application."""
    return list(create_app(runtime, load(environ={})).url_map.iter_rules())


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code: str, server: ServerProcess, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code.replace(ADDRESS, server.url)],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip(), "the example prints nothing"


@pytest.mark.timeout(300)
def test_shell_examples_run_in_order(server: ServerProcess, tmp_path: Path) -> None:
    """Every line of the `sh` blocks, in one empty folder, against a running server."""
    binaries = Path(sys.executable).parent
    lines = [line for block in blocks("sh") for line in block.splitlines() if not NO_EXAMPLE.match(line)]
    assert len(lines) > 10
    for line in lines:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line.replace(ADDRESS, server.url)],
            cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
            env={"PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert not done.stdout.startswith('{"error"'), f"{line}\n{done.stdout}"


def test_answers_shown_have_the_shape_of_an_answer(server: ServerProcess) -> None:
    """Every `json` block is what the document says of some answer, with no key too many."""
    document = server.request("GET", "/openapi.json").json
    answers = [
        content["application/json"]["schema"]
        for methods in document["paths"].values()
        for one in methods.values()
        for response in one["responses"].values()
        if "$ref" in (content := response.get("content", {})).get("application/json", {}).get("schema", {})
    ]
    shown = blocks("json")
    assert shown
    for text in shown:
        assert any(fits(document, schema, json.loads(text)) for schema in answers), text


def fits(document: dict[str, Any], schema: dict[str, Any], value: Any) -> bool:
    """Tell whether a value is as a schema of the document says."""
    try:
        require(document, schema, value)
    except ValidationError:
        return False
    return True


def test_pictures_are_there() -> None:
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", TEXT):
        assert (README.parent / picture).is_file(), f"README shows {picture}, which is not there"
