"""The folder of one node: where settings, keys, store, log and the lock lie.

One process owns a home: it holds an exclusive lock on `node.lock` for as long as it may write
(DESIGN §2). The kernel drops the lock when the process dies, so a crash never leaves it behind.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from schemas.errors import ConflictError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


LOCK_PAUSE = 0.1


class Home:
    """The paths of one node's files. `path` need not exist until `create`."""

    def __init__(self, path: Path) -> None:
        """`path` is the node's folder; relative paths are taken from the working directory."""
        self.path = path.absolute()
        self.settings_file = self.path / "pratique.toml"
        self.keys = self.path / "keys"
        self.database = self.path / "store.sqlite3"
        self.log = self.path / "log"
        self.run = self.path / "run"
        self.token_file = self.run / "token"
        self.endpoint_file = self.run / "endpoint"
        self.lock_file = self.path / "node.lock"
        self.evidence = self.path / "evidence"
        self.contexts = self.path / "contexts"
        self.timestamps = self.path / "timestamps"

    def create(self) -> None:
        """Makes the folders, readable by their owner alone. Existing ones stay as they are."""
        for folder in (self.path, self.keys, self.log, self.run, self.evidence):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def require(self) -> None:
        """Raises SettingsError `home_missing` when no node was set up here."""
        if not self.settings_file.is_file():
            raise SettingsError("home_missing", f"no node is set up in {self.path}")

    def store_url(self) -> str:
        """The SQLAlchemy address of the embedded store."""
        return f"sqlite:///{self.database}"

    @contextmanager
    def lock(self, wait: float = 0.0) -> Iterator[None]:
        """Owns the home until the end of the block; raises ConflictError `home_locked`.

        wait: seconds to wait for another owner to finish; a command that took the home because no
              node ran is done soon
        """
        descriptor = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._take(descriptor, time.monotonic() + wait)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            yield
        finally:
            # Closing drops the lock; the file stays, so that nobody locks an unlinked one.
            os.close(descriptor)

    def _take(self, descriptor: int, until: float) -> None:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise ConflictError("home_locked", f"{self.path} is in use") from None
                time.sleep(LOCK_PAUSE)
            else:
                return

    def is_locked(self) -> bool:
        """Whether some process owns this home right now."""
        try:
            with self.lock_file.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False


def write_private(file: Path, data: bytes) -> None:
    """Writes `file` durably, readable by its owner alone, in one step: never half, never open."""
    partial = file.with_name(file.name + ".part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        target.write(data)
        target.flush()
        os.fsync(target.fileno())
    partial.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
