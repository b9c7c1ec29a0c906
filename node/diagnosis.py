"""The checks behind `pratique doctor`: each a stable code, what was found, good or not.

`bad` must be put right; `warning` will hurt one day; `unknown` could not be found out, which is
never counted as good.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from schemas.catalogue import explain
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from node.home import Home
    from node.settings import Settings

# Older versions can lose committed transactions when a WAL is reset during a checkpoint.
SQLITE_WITH_FIX = (3, 51, 3)
_PEER_SECONDS = 3.0
_SKEW_SECONDS = 5.0
_EXPIRY_DAYS = 14
_MIN_FREE = 1024**3


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One check: its code in the catalogue, ok | warning | bad | unknown, and what was found."""

    code: str
    state: str
    found: str

    def next_step(self, lang: str) -> str:
        """What to do about it."""
        entry = explain(self.code)
        return entry.next_step(lang) if entry else ""

    def to_json(self, lang: str) -> dict[str, Any]:
        """Code, state, finding, and the next step unless all is well."""
        body = {"code": self.code, "state": self.state, "found": self.found}
        return body if self.state == "ok" else body | {"next": self.next_step(lang)}


def examine(home: Home) -> Iterator[Diagnosis]:
    """All checks of the node in `home`, in order; never raises for what it finds."""
    from node.settings import load

    try:
        settings = load(home.settings_file)
    except TradeError as error:
        yield Diagnosis("DOC-SETTINGS", "bad", str(error))
        return
    yield Diagnosis("DOC-SETTINGS", "ok", "readable, every name known")
    yield _private_files(home)
    yield _keys(home, settings)
    yield _free_space(home)
    yield _contexts(home)
    yield _sqlite() if not settings.store.url else _postgresql(settings)
    yield _schema(home, settings)
    yield from _chain(home, settings)
    yield from _network(home)


def _private_files(home: Home) -> Diagnosis:
    secret = [*home.keys.rglob("*.pem"), home.token_file]
    folders = [home.path, home.keys, home.run]
    open_ones = [
        path.relative_to(home.path).as_posix()
        for path in (*secret, *folders)
        if path.exists() and path.stat().st_mode & 0o077
    ]
    if open_ones:
        return Diagnosis("DOC-PERMISSIONS", "bad", f"readable by others: {', '.join(open_ones)}")
    return Diagnosis("DOC-PERMISSIONS", "ok", "keys and token are readable by their owner alone")


def _keys(home: Home, settings: Settings) -> Diagnosis:
    from node.keystore import KeyStore

    store = KeyStore(home.keys, settings.node.did)
    try:
        held = [signer.kid.partition("#")[2] for signer in store.own()]
        held += [f"{did}'s title key" for did in store.parties()]
    except TradeError as error:
        return Diagnosis("DOC-KEYS", "bad", str(error))
    missing = [purpose for purpose in ("exchange", "credential", "log") if not store.has(purpose)]
    if missing:
        return Diagnosis("DOC-KEYS", "warning", f"no key for {', '.join(missing)}")
    return Diagnosis("DOC-KEYS", "ok", ", ".join(held))


def _free_space(home: Home) -> Diagnosis:
    free = shutil.disk_usage(home.path).free
    state = "ok" if free >= _MIN_FREE else "warning"
    return Diagnosis("DOC-DISK", state, f"{free // 2**20} MiB free")


def _contexts(home: Home) -> Diagnosis:
    from node.verification import contexts

    try:
        found = list(contexts.examine(home.contexts))
    except TradeError as error:
        return Diagnosis("DOC-CONTEXTS", "bad", error.detail)
    damaged = [f"{pin.url}: {fault}" for pin, fault in found if fault is not None]
    if damaged:
        return Diagnosis("DOC-CONTEXTS", "bad", "; ".join(damaged))
    return Diagnosis("DOC-CONTEXTS", "ok", f"{len(found)} imported")


def _sqlite() -> Diagnosis:
    state = "ok" if sqlite3.sqlite_version_info >= SQLITE_WITH_FIX else "warning"
    return Diagnosis("DOC-SQLITE", state, f"SQLite {sqlite3.sqlite_version}")


def _postgresql(settings: Settings) -> Diagnosis:
    from node import migrations

    try:
        reached = migrations.current(settings.store.url)
    except TradeError as error:
        return Diagnosis("DOC-POSTGRESQL", "bad", str(error))
    return Diagnosis("DOC-POSTGRESQL", "ok", f"answers, at schema {reached}")


def _schema(home: Home, settings: Settings) -> Diagnosis:
    from node import migrations

    try:
        found = (
            migrations.current(settings.store.url) if settings.store.url else _sqlite_schema(home)
        )
    except (TradeError, sqlite3.Error) as error:
        return Diagnosis("DOC-SCHEMA", "bad", str(error))
    state = "ok" if found == migrations.HEAD else "bad"
    return Diagnosis("DOC-SCHEMA", state, f"at {found or 'nothing'}, wanted {migrations.HEAD}")


def _sqlite_schema(home: Home) -> str | None:
    """Read-only, so that a running node is not disturbed."""
    connection = sqlite3.connect(f"file:{home.database}?mode=ro", uri=True, timeout=2)
    try:
        row = connection.execute("select version_num from alembic_version").fetchone()
    finally:
        connection.close()
    return str(row[0]) if row else None


def _chain(home: Home, settings: Settings) -> Iterator[Diagnosis]:
    if settings.chain.urls:
        from node.chain.examining import examine_chain

        yield from (Diagnosis(*found) for found in examine_chain(home, settings))


def _network(home: Home) -> Iterator[Diagnosis]:
    """What only the running node knows: its services, its member list, its peers."""
    from node.operator import running

    client = running(home)
    if client is None:
        yield Diagnosis("DOC-RUNNING", "unknown", "no node runs here; peers were not asked")
        return
    try:
        status = client.get("/v1/status")
    except TradeError as error:
        yield Diagnosis("DOC-RUNNING", "bad", str(error))
        return
    poor = {name: why for name, why in status["services"].items() if why != "ready"}
    told = "; ".join(f"{name}: {why}" for name, why in poor.items())
    yield Diagnosis("DOC-RUNNING", "bad" if poor else "ok", told or "every service is ready")
    members = status["members"]
    if members is None:
        yield Diagnosis("DOC-MEMBERS", "warning", "in no network yet")
        return
    yield _expiry(members)
    yield from _clocks(members["peers"])


def _expiry(members: dict[str, Any]) -> Diagnosis:
    left = datetime.fromisoformat(members["expires"]) - datetime.now(UTC)
    found = f"version {members['version']} expires in {left.days} days"
    if left.total_seconds() <= 0:
        return Diagnosis("DOC-MEMBERS", "bad", f"version {members['version']} has expired")
    return Diagnosis("DOC-MEMBERS", "ok" if left.days >= _EXPIRY_DAYS else "warning", found)


def _clocks(peers: dict[str, str]) -> Iterator[Diagnosis]:
    """Compares our clock with the Date header (RFC 9110 §6.6.1) of every listed node."""
    with ThreadPoolExecutor(8) as pool:
        differences = dict(zip(peers, pool.map(_difference, peers.values()), strict=True))
    silent = [did for did, seconds in differences.items() if seconds is None]
    known = [seconds for seconds in differences.values() if seconds is not None]
    if silent:
        yield Diagnosis("DOC-PEERS", "warning", f"no answer from {', '.join(sorted(silent))}")
    else:
        yield Diagnosis("DOC-PEERS", "ok", f"all {len(peers)} answer")
    yield _skew(known)


def _skew(differences: Sequence[float]) -> Diagnosis:
    """Ours is wrong when most peers disagree in the same direction: the median tells."""
    if not differences:
        return Diagnosis("DOC-CLOCK", "unknown", "no peer to compare with")
    median = sorted(differences)[len(differences) // 2]
    state = "ok" if abs(median) <= _SKEW_SECONDS else "bad"
    off = f"{abs(median):.0f} s {'ahead of' if median > 0 else 'behind'}" if median else "as on"
    return Diagnosis("DOC-CLOCK", state, f"{off} the other nodes ({len(differences)} asked)")


def _difference(endpoint: str) -> float | None:
    """Our clock minus the peer's in seconds, or None when it does not answer."""
    parts = urlsplit(endpoint)
    kind: Callable[..., HTTPConnection] = (
        HTTPSConnection if parts.scheme == "https" else HTTPConnection
    )
    connection = kind(parts.netloc, timeout=_PEER_SECONDS)
    try:
        connection.request("GET", "/healthz", headers={"Connection": "close"})
        theirs = parsedate_to_datetime(connection.getresponse().getheader("Date") or "")
    except (OSError, HTTPException, ValueError, TypeError) as error:
        sys.stderr.write(f"{parts.netloc}: {error}\n")
        return None
    finally:
        connection.close()
    # The header counts whole seconds, so half of one is the best guess of the rest.
    return time.time() - theirs.timestamp() - 0.5
