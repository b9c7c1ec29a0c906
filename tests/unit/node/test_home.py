"""The home folder: one owner at a time, nothing readable by others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from node.home import Home, write_private
from schemas.errors import ConflictError, SettingsError


def test_a_home_without_settings_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="home_missing"):
        Home(tmp_path).require()


def test_folders_are_made_for_the_owner_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.create()
    home.create()
    assert all(
        folder.stat().st_mode & 0o077 == 0
        for folder in (home.path, home.keys, home.log, home.run, home.evidence)
    )


def test_two_owners_at_once_are_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert not home.is_locked()
    with home.lock():
        assert home.is_locked()
        assert int(home.lock_file.read_text()) == os.getpid()
        with pytest.raises(ConflictError, match="home_locked"), home.lock():
            raise AssertionError
    assert not home.is_locked()
    with home.lock():
        pass


def test_a_killed_owner_leaves_no_lock_behind(tmp_path: Path) -> None:
    code = (
        "import os,sys; from pathlib import Path; from node.home import Home\n"
        "lock = Home(Path(sys.argv[1])).lock(); lock.__enter__(); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).parents[3]
    killed = subprocess.run(
        [sys.executable, "-c", code, tmp_path], cwd=root, check=False, timeout=120
    )
    assert killed.returncode == -9
    with Home(tmp_path).lock():
        pass


def test_private_files_are_whole_and_closed_to_others(tmp_path: Path) -> None:
    file = tmp_path / "token"
    write_private(file, b"one")
    write_private(file, b"two")
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
