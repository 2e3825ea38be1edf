"""The secret of a data directory: made once, for its owner alone."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stream.errors import SettingsError
from stream.secret import SECRET_BYTES, instance_secret


def test_it_is_made_once_and_stays(tmp_path: Path) -> None:
    first = instance_secret(tmp_path)
    assert len(first) == SECRET_BYTES
    assert instance_secret(tmp_path) == first
    assert instance_secret(tmp_path / "other") != first
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["secret"]


def test_many_who_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: instance_secret(tmp_path), range(64)))) == 1


def test_one_that_others_may_read_is_refused(tmp_path: Path) -> None:
    instance_secret(tmp_path)
    (tmp_path / "secret").chmod(0o640)
    with pytest.raises(SettingsError, match=r"mode 640.*chmod 600"):
        instance_secret(tmp_path)


@pytest.mark.parametrize("kind", ["link", "dangling", "folder", "short", "long"])
def test_what_is_no_secret_is_refused(tmp_path: Path, kind: str) -> None:
    path, elsewhere = tmp_path / "secret", tmp_path / "elsewhere"
    if kind == "folder":
        path.mkdir(mode=0o700)
    elif kind in ("short", "long"):
        path.touch(mode=0o600)
        path.write_bytes(b"x" * (SECRET_BYTES + (1 if kind == "long" else -1)))
    else:
        if kind == "link":
            instance_secret(tmp_path)
            path.rename(elsewhere)
        path.symlink_to(elsewhere)
    with pytest.raises(SettingsError, match="the secret"):
        instance_secret(tmp_path)
