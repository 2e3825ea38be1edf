"""The shape of the repository: sizes, docstrings, and what may not be committed."""

import ast
import doctest
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("anomalyai", "stream", "web", "simulators")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

TEXT_SUFFIXES = (".py", ".toml", ".lock", ".json", ".js", ".css", ".html", ".md", ".ini", ".mako", ".sh", "")


def tracked() -> list[str]:
    """List the files of the repository; new ones count before they are committed."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(name for name in names if (ROOT / name).is_file())


FILES = tracked()
PYTHON = [name for name in FILES if name.endswith(".py")]
MODULES = [name for name in PYTHON if name.startswith(tuple(f"{package}/" for package in PACKAGES))]
TEXTS = [name for name in FILES if Path(name).suffix in TEXT_SUFFIXES]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def functions(name: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(read(name))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def matches(pattern: str, names: list[str]) -> list[str]:
    found = re.compile(pattern)
    return [
        f"{name}:{number}: {line.strip()[:80]}"
        for name in names
        for number, line in enumerate(read(name).splitlines(), 1)
        if found.search(line)
    ]


def test_the_repository_is_seen() -> None:
    assert {f"{package}/__init__.py" for package in PACKAGES} <= set(MODULES)
    assert {"pyproject.toml", "Makefile", "run.lock", "test.lock"} <= set(TEXTS)


def test_files_stay_short() -> None:
    assert [name for name in PYTHON if len(read(name).splitlines()) > MAX_FILE_LINES] == []


def test_functions_stay_short() -> None:
    names = [name for name in PYTHON if not name.startswith("tests/")]
    long = [
        f"{name}:{node.lineno}: {node.name} has {length(node)} lines"
        for name in names
        for node in functions(name)
        if length(node) > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_every_module_has_a_docstring() -> None:
    assert [name for name in PYTHON if not ast.get_docstring(ast.parse(read(name)))] == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {parent for name in PYTHON for parent in Path(name).parents if parent != Path()}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()] == []


def test_packages_tell_that_they_are_typed() -> None:
    assert [package for package in PACKAGES if f"{package}/py.typed" not in FILES] == []


def test_no_built_script_is_committed() -> None:
    assert [name for name in FILES if name.endswith((".min.js", ".min.css", ".whl", ".pyc"))] == []


def test_nothing_is_left_to_do() -> None:
    assert matches(r"\b(TOD[O]|FIXM[E]|XX[X])\b", TEXTS) == []


def test_no_path_of_one_machine_is_named() -> None:
    assert matches(r"(?<![\w.])/(work|home|root|Users)[/]", TEXTS) == []


def test_no_registry_is_named() -> None:
    assert matches(r"pypi[.]org|pythonhosted[.]|registry[.]npmjs|index-ur[l]", TEXTS) == []
    assert matches("://", ["run.lock", "test.lock", "web/frontend/package-lock.json"]) == []


@pytest.mark.parametrize("name", [name for name in MODULES if ">>> " in read(name)])
def test_examples_in_docstrings_work(name: str) -> None:
    module = importlib.import_module(name.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0
