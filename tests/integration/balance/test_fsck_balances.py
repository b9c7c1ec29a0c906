"""fsck notices every change of a register, of its lines and uses, and of an answer (R23)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, update

from node import fsck
from node.balance.tables import balance_lines, balance_registers, balance_requests, balance_uses
from node.documents.tables import documents
from tests.integration.balance.certificate_network import (
    arrived,
    certificate_nodes,
    issue,
    operate,
    two_lines,
)

if TYPE_CHECKING:
    from pathlib import Path

    from node.runtime import Node

AREA = "FSCK-23"
KEPT: tuple[Any, ...] = (
    update(balance_registers).values(seq=7),
    update(balance_registers).values(quantity="560", unit="KGM"),
    delete(balance_registers),
    update(balance_lines).where(balance_lines.c.line == 1).values(quantity="5000"),
    delete(balance_lines).where(balance_lines.c.line == 1),
    update(balance_uses).where(balance_uses.c.line == 2).values(quantity="61"),
    update(balance_uses).where(balance_uses.c.line == 2).values(quantity="none"),
    update(balance_uses).where(balance_uses.c.line == 2).values(state="SPENT"),
    update(balance_uses).where(balance_uses.c.line == 2).values(line=3),
    update(balance_uses).where(balance_uses.c.line == 2).values(line=0),
    delete(balance_uses).where(balance_uses.c.line == 2),
    delete(documents),
)
ASKED: tuple[Any, ...] = (
    update(balance_requests).values(line=1),
    update(balance_requests).values(declaration="D-2"),
    update(balance_requests).values(outcome="REFUSED"),
    update(balance_requests).values(answer=None),
    update(balance_requests).values(answer=balance_requests.c.answer + "AAAA"),
    update(balance_requests).values(request="{}"),
)


async def test_r23_every_damage_of_a_balance_is_told(tmp_path: Path) -> None:
    async with certificate_nodes(tmp_path) as nodes:
        issuer, singapore = nodes["cn-cert"], nodes["sg-customs"]
        digest = await issue(issuer, two_lines("CN-1"), "sg-customs")
        await arrived(nodes, digest, "sg-customs")
        await operate(issuer, digest, "reserve", "CN-D-1", 100, 1, "KGM")
        await operate(singapore, digest, "write-off", "D-1", 60, 2)
        for node, changes, rows in ((issuer, KEPT, 2), (singapore, ASKED, 1)):
            whole = await node.store.read(damages, node, None)
            assert (whole.damages, whole.examined) == ([], rows)
            for change in changes:
                damaged = await node.store.write(damages, node, change)
                assert damaged.count, str(change.compile(compile_kwargs={"literal_binds": True}))
        overdrawn = await issuer.store.write(damages, issuer, KEPT[5])
        assert overdrawn.damages == [f"balance {digest}: line 2 is overdrawn by 1 H87"]


def damages(conn: Connection, node: Node, change: Any) -> fsck.AreaResult:
    """What fsck says after a change, which is taken back."""
    members = node.members.current
    assert members is not None
    context = fsck.Context(node.home, node.keys, members, {members.digest: members})
    if change is None:
        return fsck.examine(conn, context, AREA)
    with conn.begin_nested() as savepoint:
        conn.execute(change)
        found = fsck.examine(conn, context, AREA)
        savepoint.rollback()
    return found
