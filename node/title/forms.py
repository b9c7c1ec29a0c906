"""Signed operations in the form of whichever arbiter: a compact JWS, or EIP-712 data in JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from node.title import rows
from protocols.evm.holder_keys import HolderKey, party_of, read_statement
from protocols.evm.title_proof import is_chain_proof, read_proof_json
from protocols.evm.title_text import is_text, read_text
from protocols.fields import Fields
from protocols.title.operation import read_operation
from schemas.errors import RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from protocols.evm.title import EvmOperation, SignedEvmOperation
    from protocols.member_list import MemberList
    from protocols.members.arbiters import ArbiterEntry
    from protocols.title.machine import Operation

Reader: TypeAlias = "Callable[[str], Operation]"


def entry_of(signed: SignedEvmOperation, members: MemberList) -> ArbiterEntry:
    """The listed arbiter in whose domain the operation is signed; no other accepts it (R19).

    Raises RefusedError `bad_signature`, or `title_arbiter_unknown` when the list names none.
    """
    last: TradeError = RefusedError("title_arbiter_unknown", "the list names no chain's arbiter")
    for entry in members.arbiters:
        try:
            signed.verify(entry.registry(members.network).domain)
        except RefusedError as error:
            last = error
            continue
        return entry
    raise last


def read_signed(text: str, members: MemberList, statements: Iterable[HolderKey] = ()) -> Operation:
    """The operation; that of a chain with its signature checked, by the parties' names if known.

    Raises as `read_operation` and `entry_of`.
    """
    if not is_text(text):
        return read_operation(text).operation
    signed = read_text(text)
    entry = entry_of(signed, members)
    named = party_of(statements, signed.operation.title, entry.chain_id)
    return entry.registry(members.network).operation(signed, named)


def reader(conn: Connection, members: MemberList, title: bytes) -> Reader:
    """Reads a title's operations, with the names known here."""
    statements = statements_of(conn, members, title)

    def read(text: str) -> Operation:
        return read_signed(text, members, statements)

    return read


def statements_of(conn: Connection, members: MemberList, title: bytes) -> list[HolderKey]:
    """Who stands behind the title's addresses, as far as it was told here."""
    found = []
    for text in rows.statements(conn, title):
        for entry in members.arbiters:
            try:
                found.append(read_statement(text, entry.arbiter, members))
            except TradeError:
                continue
            break
    return found


def statements_naming(
    conn: Connection, members: MemberList, operations: Sequence[EvmOperation]
) -> tuple[str, ...]:
    """What is known here of whose addresses a title's operations name; a stranger's is not."""
    named = set[bytes]()
    for operation in operations:
        named |= {operation.sender, operation.recipient or b"", operation.holder or b""}
    title = operations[0].title
    addresses = {known.address for known in statements_of(conn, members, title)} & named
    return tuple(rows.statements_about(conn, title, sorted(addresses)))


def with_names(conn: Connection, members: MemberList, news: Fields) -> Fields:
    """News of a title; to a chain's proof are added the statements that are known here.

    Whoever is quicker on the chain may tell of a title before it was told who stands behind the
    addresses, which the carrier knows from the start.
    """
    told = dict(news.child("proof").members)
    if not is_chain_proof(told):
        return news
    proof = read_proof_json(told)
    operations = [read_text(step.operation).operation for step in proof.steps]
    keys = dict.fromkeys((*proof.keys, *statements_naming(conn, members, operations)))
    named = replace(proof, keys=tuple(keys)).to_json()
    return Fields({**news.members, "proof": named}, news.code)
