"""fsck of titles: what is kept of each, and every registry log re-executed from entry 0 (R22)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from ledger import log, registry_freezes, registry_store
from ledger.registry_tables import batches, operations
from node.fsck.chain_titles import chain_titles
from node.fsck.kept_titles import kept_titles
from node.fsck.stored import has, pages
from protocols.title import registry_freeze
from protocols.title.json_forms import read_state_bytes
from protocols.title.registry import arbiter_of, beginning, execute
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context
    from protocols.title.machine import TitleState
    from protocols.title.registry import Executed

MAX_ENTRIES = 5_000_000


def titles(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-07: proofs give the states kept, re-execution the registries' states and roots."""
    yield from chain_titles(conn, context)
    yield from kept_titles(conn, context)
    if not has(conn, batches) or context.members is None:
        return
    names = conn.execute(select(batches.c.log).distinct().order_by(batches.c.log)).scalars().all()
    for name in names:
        yield from _registry(conn, context, name)


def _registry(conn: Connection, context: Context, name: str) -> Iterator[str]:
    newest = registry_store.newest_batch(conn, name)
    if newest is None:
        return
    stored = log.read(conn, 0, min(newest.size, MAX_ENTRIES), log=name)
    entries = [leaf.entry for leaf in stored]
    done, why = _execute(conn, context, entries)
    if done is None:
        yield f"registry log {name} cannot be re-executed: {why}"
        return
    if (done.registry.number, done.registry.titles.root) != (newest.number, newest.state_root):
        yield f"registry log {name} leads to another state root"
    yield from _states(conn, context, name, done)


def _execute(
    conn: Connection, context: Context, entries: list[bytes]
) -> tuple[Executed | None, str]:
    """Under each listed registry: its policy digest in the entries decides which one it is."""
    assert context.members is not None
    why, frozen = "no registry is listed", registry_freezes.held(conn)
    for entry in context.members.registries:
        try:
            line = registry_freeze.lineage(arbiter_of(entry), frozen)
            base = beginning(context.members.network, line)
            return execute(base, entries, context.lists.get, _never), ""
        except TradeError as error:
            why = str(error)
    return None, why


def _never(_title: bytes) -> TitleState | None:
    return None


def _states(conn: Connection, context: Context, name: str, done: Executed) -> Iterator[str]:
    after = {
        (applied.state.title, applied.signed.operation.seq): applied.state
        for at, step in enumerate(done.steps)
        if at + 1 == len(done.steps) or not done.steps[at + 1].moment.restates
        for applied in step.applied
    }
    columns = (operations.c.title, operations.c.seq, operations.c.state)
    query = select(*columns).where(operations.c.log == name)
    for title, seq, state in pages(conn, query):
        context.examined += 1
        found = after.pop((bytes(title), seq), None)
        if found is None or found != read_state_bytes(state.encode()):
            yield f"title {bytes(title).hex()} after operation {seq} is not what the log gives"
    for title, seq in after:
        yield f"title {title.hex()}: operation {seq} of the log is not stored"
