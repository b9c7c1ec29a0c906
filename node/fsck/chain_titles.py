"""fsck of titles on chains: every stored proof is checked again, and leads to the stored state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from ledger import evm_title
from node.fsck.stored import has, pages
from node.title.tables import titles
from protocols.evm.title_proof import of_known, read_proof, verify_proof
from protocols.title.json_forms import read_state_bytes
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from node.fsck import Context
    from protocols.members.arbiters import ArbiterEntry


def chain_titles(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-07: each title's operations, re-executed with their events, give the stored state."""
    if not has(conn, titles) or context.members is None:
        return
    for entry in context.members.arbiters:
        columns = (titles.c.title, titles.c.state, titles.c.proof)
        query = select(*columns).where(titles.c.arbiter == entry.id)
        for title, state, proof in pages(conn, query):
            context.examined += 1
            why = _fault(conn, context, entry, (bytes(title), state, proof))
            if why:
                yield f"title {bytes(title).hex()} on {entry.name}: {why}"


def _fault(
    conn: Connection, context: Context, entry: ArbiterEntry, row: tuple[bytes, str, str]
) -> str:
    title, state, proof = row
    assert context.members is not None
    known = [move.block_hash for move in evm_title.moves_of(conn, entry.id, title)]
    try:
        proven = verify_proof(
            read_proof(proof.encode()),
            entry=entry,
            members=context.members,
            # A title that only news told of has no blocks here to compare with yet.
            vouch=of_known(known) if known else lambda _: None,
        )
        held = read_state_bytes(state.encode())
    except TradeError as error:
        return str(error)
    return "" if proven.state == held else "its proof leads to another state"
