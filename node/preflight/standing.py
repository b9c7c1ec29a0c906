"""How a consignment stands at this node now: balances, lanes and titles of named documents.

Asked before sailing and looked at again on arrival, by the functions that decide here: the
register's signed balance (R23), the answer about an authorisation, the release condition REL-020.
Only of documents that the asker names by digest. Of those that this node does not hold as good, and
of the proofs that a named one stands on and that are not here, it is told that they are missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from node.aeo import history
from node.documents import documents
from node.documents.documents import ISSUED
from protocols import balance, basis
from protocols.preflight import standing
from protocols.preflight.standing import Standing
from protocols.release.reading import TRANSPORT_TYPES
from schemas import strict_json
from schemas.errors import NotFoundError, RefusedError, TradeError, UnavailableError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from protocols.preflight.rule_set import RuleSet
    from protocols.preflight.verdicts import Line


async def now(node: Node, rules: RuleSet, consignment: str, named: Sequence[bytes]) -> Standing:
    """What is known here of these documents of the consignment, and which are not held."""
    at = node.clock.now()
    held = await node.store.read(_held, consignment, named)
    proofs = [each for each in held if each.type in rules.release.preference]
    lines = [line for each in proofs for line in await _balance(node, each)]
    codes = await node.store.read(lambda conn: history.codes_of(held, conn))
    if codes:
        answers = await node.aeo.benefits(codes, rules.country)
        lines += [standing.of_operator(each) for each in answers]
    if any(each.type in TRANSPORT_TYPES for each in held):
        lines += await _titles(node, consignment, [each.digest.hex() for each in held])
    lines += await node.store.read(missing, held, named)
    return Standing(node.did, consignment, at, standing.ordered(lines))


def _held(conn: Connection, consignment: str, named: Sequence[bytes]) -> list[StoredDocument]:
    found = (documents.get(conn, digest) for digest in named)
    return [
        each
        for each in found
        if each is not None
        and each.consignment == consignment
        and (each.origin == ISSUED or each.verdict == Outcome.PASSED.value)
    ]


def missing(conn: Connection, held: Sequence[StoredDocument], named: Sequence[bytes]) -> list[Line]:
    """PRE-83 for what was named and is not held, and for what the held ones pin and is not here."""
    here = {each.digest for each in held}
    told = {each: standing.of_missing(each) for each in named if each not in here}
    for one in held:
        try:
            pins = basis.pins(one.type, strict_json.loads_object(one.payload))
        except TradeError:
            continue  # not JSON: it pins nothing
        for pin in pins:
            if documents.get(conn, pin.digest) is None:
                about = f"{pin.type} {pin.number}".strip()
                told[pin.digest] = standing.of_missing(pin.digest, about)
    return list(told.values())


async def _balance(node: Node, proof: StoredDocument) -> tuple[Line, ...]:
    """Nothing where the proof has no balance."""
    try:
        named = balance.named_in(strict_json.loads_object(proof.payload), proof.issuer)
    except RefusedError:
        return ()
    about = f"{proof.type} {proof.number}"
    try:
        answer = await node.balance.state(proof.digest, named.register)
    except (UnavailableError, RefusedError):
        return standing.of_balance(proof.digest.hex(), about, None)
    return standing.of_balance(proof.digest.hex(), about, answer)


async def _titles(node: Node, consignment: str, named: Sequence[str]) -> list[Line]:
    """As the release itself decides it; nothing where this node can decide nothing yet."""
    try:
        decisions = await node.release.show_all(consignment)
    except (NotFoundError, RefusedError):
        return []
    found = (standing.of_title(each, named) for each in decisions)
    return [line for line in found if line is not None]
