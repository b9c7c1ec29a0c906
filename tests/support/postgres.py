"""A temporary PostgreSQL cluster of the machine's own programs, for tests only.

initdb refuses to run as root; there the cluster belongs to the user `postgres`. It listens on a
loopback port, keeps its data under the temporary folder and does not sync (nothing to keep).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from testnet.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEADLINE = 180


def server_programs() -> Path | None:
    """The folder with initdb and pg_ctl of the newest server here, or None."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def require_server() -> Path:
    """The server's programs; skips with a reason where there are none, fails where CI is set."""
    programs = server_programs()
    if programs is None:
        reason = "PostgreSQL's server programs are not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return programs


@contextmanager
def cluster() -> Iterator[str]:
    """A running cluster; its address up to the database's name."""
    programs = require_server()
    folder = Path(tempfile.mkdtemp(prefix="pratique-postgres-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    port = free_port()
    data = folder / "data"
    try:
        _run(programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        options = (
            f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} "
            "-c fsync=off -c synchronous_commit=off -c full_page_writes=off "
            "-c shared_buffers=16MB -c max_connections=50"
        )
        log = folder / "log"
        _run(
            programs / "pg_ctl",
            "-D",
            data,
            "-o",
            options,
            "-l",
            log,
            "-w",
            "-t",
            _DEADLINE,
            "start",
        )
        try:
            yield f"postgresql+asyncpg://postgres@127.0.0.1:{port}"
        finally:
            _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "-t", _DEADLINE, "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create_database(server: str, name: str) -> str:
    """A fresh database in the cluster; its address."""
    import asyncio

    import asyncpg

    async def create() -> None:
        connection = await asyncpg.connect(
            server.replace("+asyncpg", "") + "/postgres", timeout=_DEADLINE
        )
        try:
            await connection.execute(f'create database "{name}"')
        finally:
            await connection.close()

    asyncio.run(create())
    return f"{server}/{name}"


def _run(*command: object) -> None:
    words = [str(word) for word in command]
    if os.geteuid() == 0:
        words = ["runuser", "-u", "postgres", "--", *words]
    # A file, not a pipe: the server would inherit the pipe and keep it open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            words, cwd="/", stdout=output, stderr=subprocess.STDOUT, timeout=_DEADLINE, check=False
        )
        output.seek(0)
        assert done.returncode == 0, output.read().decode(errors="replace")
