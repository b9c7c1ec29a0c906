"""fsck of the control tracking registry kept here, and of disputes about bills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from sqlalchemy import Connection, select

from ledger import log, recovery
from ledger.tables import NODE_LOG
from node.fsck.stored import has
from node.tracking import keeping, rows
from node.tracking.tables import disputes, records
from protocols.log import leaf
from protocols.pint import dispute, signed
from protocols.pint.chain import open_entry
from protocols.pint.tracking_proof import commit_of, subject_of
from protocols.pint.tracking_state import replay
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context
    from node.tracking.rows import Kept


def tracking(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-16: records follow one another, each has its leaf, and disputes hold readable chains."""
    if not has(conn, records):
        return
    found = conn.execute(select(records.c.ebl).distinct().order_by(records.c.ebl)).scalars().all()
    for ebl in map(bytes, found):
        yield from _bill(conn, context, ebl)
    for name, ours, theirs in conn.execute(
        select(disputes.c.id, disputes.c.ours, disputes.c.theirs)
    ):
        context.examined += 1
        yield from _dispute(name, ours, theirs)


def _bill(conn: Connection, context: Context, ebl: bytes) -> Iterator[str]:
    kept = rows.of_bill(conn, ebl)
    context.examined += len(kept)
    query = select(records.c.id, records.c.payload).where(records.c.ebl == ebl)
    named = conn.execute(query.order_by(records.c.number)).all()
    for number, (one, row) in enumerate(zip(kept, named, strict=True)):
        same = (bytes(row.id), bytes(row.payload), one.record.number)
        try:
            parsed = signed.parse(one.record.text)
        except TradeError as error:
            yield f"record {number} of bill {ebl.hex()} cannot be read: {error.code}"
            return
        if same != (one.record.id, parsed.payload_digest, number):
            yield f"record {number} of bill {ebl.hex()} is not the one it is kept as"
        yield from _leaf(conn, one, ebl)
    chain = [one.record for one in kept]
    try:
        if rows.opening(conn, ebl) is None:
            keeping.marks_of(chain)
        else:
            replay(chain, _register(context))
    except TradeError as error:
        yield f"the records of bill {ebl.hex()} do not follow one another: {error.code}"


def _register(context: Context) -> str:
    members = context.members
    own = members.node(context.keys.did) if members is not None else None
    return own.platform if own is not None and own.platform else ""


def _leaf(conn: Connection, kept: Kept, ebl: bytes) -> Iterator[str]:
    # Also of a log of this node that ended (R15).
    logs = (NODE_LOG, *(ended.log for ended in recovery.all_frozen(conn)))
    found = (log.find(conn, kept.leaf, log=name) for name in logs)
    stored = next((one for one in found if one is not None), None)
    if stored is None:
        yield f"record {kept.record.number} of bill {ebl.hex()} has no leaf"
        return
    told = leaf.decode(stored.entry)
    if (told.subject, told.commit) != (subject_of(ebl), commit_of(ebl, kept.record.id)):
        yield f"record {kept.record.number} of bill {ebl.hex()} has the leaf of something else"


def _dispute(name: str, ours: str, theirs: str) -> Iterator[str]:
    try:
        sides = [[open_entry(text) for text in orjson.loads(chain)] for chain in (ours, theirs)]
    except (TradeError, orjson.JSONDecodeError, TypeError):
        yield f"dispute {name} holds a chain that cannot be read"
        return
    dispute.compare(sides[0], sides[1])
