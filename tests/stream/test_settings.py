"""Settings: precedence, refusals that name the key, and a table that is complete."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from stream.errors import SettingsError
from stream.settings import Settings, load, table


def test_sources_override_each_other_in_order(tmp_path: Path) -> None:
    file = tmp_path / "anomalyai.toml"
    file.write_text('data = "from-file"\n[server]\nport = 1\nhost = "file"\nmax_sockets = 7\n')
    settings = load(
        file,
        environ={"ANOMALYAI_SERVER__PORT": "2", "ANOMALYAI_SERVER__HOST": "env", "HOME": "/"},
        overrides={"server.port": 3, "server.host": None},
    )
    assert settings.data == "from-file"
    assert (settings.server.max_sockets, settings.server.host, settings.server.port) == (7, "env", 3)
    assert settings.engine == Settings().engine


def test_the_environment_may_name_the_file_and_hold_lists(tmp_path: Path) -> None:
    file = tmp_path / "named.toml"
    file.write_text("[engine]\nmax_batch_records = 5\n")
    settings = load(
        environ={"ANOMALYAI_CONFIG": str(file), "ANOMALYAI_SERVER__ALLOWED_HOSTS": "a.example, b.example"}
    )
    assert settings.engine.max_batch_records == 5
    assert settings.server.allowed_hosts == ("a.example", "b.example")


@pytest.mark.parametrize(
    ("variable", "value", "field", "text"),
    [
        ("ANOMALYAI_SERVER__PORRT", "1", "ANOMALYAI_SERVER__PORRT", "not a setting"),
        ("ANOMALYAI_SERVER_PORT", "1", "ANOMALYAI_SERVER_PORT", "ANOMALYAI_SERVER__PORT"),
        ("ANOMALYAI_SERVER__PORT", "many", "server.port", "many"),
        ("ANOMALYAI_SERVER__PORT", "70000", "server.port", "65535"),
        ("ANOMALYAI_LOG__DURABILITY", "sometimes", "log.durability", "sometimes"),
        ("ANOMALYAI_FEED__BUDGET", "plenty", "feed.budget", "plenty"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(variable: str, value: str, field: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={variable: value})
    assert caught.value.field == field
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("[server]\nporrt = 1\n", "porrt"),
        ("[sever]\nport = 1\n", "sever"),
        ("port = = 1", "not TOML"),
        ("server = 3", "server"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str, text: str) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(content)
    with pytest.raises(SettingsError, match=text):
        load(file, environ={})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml", environ={})


def test_every_setting_stands_in_the_table_with_help_and_its_default_loads_from_the_environment() -> None:
    rows = table()
    flat = {
        f"{section}.{name}" if isinstance(values, dict) else section
        for section, values in msgspec.to_builtins(Settings()).items()
        for name in (values if isinstance(values, dict) else [section])
    }
    assert {row.name for row in rows} == flat
    assert all(row.help.endswith(".") for row in rows)
    assert load(environ={row.variable: row.default for row in rows}) == Settings()


def test_variables_of_the_build_and_the_tests_are_no_settings() -> None:
    other = {
        "ANOMALYAI_REQUIRE_ASSETS": "1",
        "ANOMALYAI_STREAMS": "/somewhere",
        "ANOMALYAI_SCREENSHOTS": "/there",
    }
    assert load(environ=other) == load(environ={})
