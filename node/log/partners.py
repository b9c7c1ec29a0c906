"""Calls between a log and the witnesses of its policy."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from protocols.digest import sha256
from protocols.log import cosignature, note, votes
from protocols.log import policy as log_policy
from protocols.log.policy import Policy
from protocols.log.witness_protocol import (
    NONCE_SIZE,
    AddCheckpoint,
    WitnessState,
    open_state,
    parse_size_answer,
)
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from node.runtime import Node
    from protocols.log.checkpoint import Checkpoint
    from protocols.log.note import Signature, VerifierKey
    from protocols.log.policy import Witness
    from protocols.log.votes import Counts
    from protocols.member_list import LogEntry, MemberList
    from protocols.seams import Answer

NO_POLICY = Policy()


def policy_of(entry: LogEntry | None) -> Policy:
    """The witness policy of a listed log; without a text, nobody witnesses."""
    return log_policy.parse(entry.policy) if entry is not None and entry.policy else NO_POLICY


def counts(node: Node) -> Counts:
    """Whose cosignatures count by the list in force; before there is one, everybody's."""
    members = node.members.current
    return votes.everybody if members is None else votes.under(members)


def log_key_of(entry: LogEntry) -> VerifierKey:
    """The key of a listed log; its name is the origin for ours, but not for every log."""
    return note.parse_vkey(entry.vkey)


def did_of(members: MemberList, key: VerifierKey) -> str | None:
    """The member that holds a witness key."""
    for listed in members.keys.values():
        if listed.purpose == "witness" and listed.public.raw() == key.public_key:
            return listed.did
    return None


def origin_hash(origin: str) -> str:
    """How a log is named in a path: SHA-256 of its origin, in hexadecimal (tlog-witness)."""
    return sha256(origin.encode()).hex()


async def ask(
    node: Node, witness: Witness, method: str, path: str, body: bytes = b"", *, deadline: float
) -> Answer:
    """A signed call to the member that holds a witness key; raises UnavailableError."""
    members = node.members.current
    did = did_of(members, witness.key) if members else None
    if did is None:
        raise UnavailableError("peer_unreachable", f"nobody listed holds {witness.key.name}")
    headers = {"Content-Type": "application/octet-stream"} if body else {}
    return await node.client.call(did, method, path, body, headers=headers, deadline=deadline)


async def ask_state(
    node: Node, witness: Witness, log_key: VerifierKey, *, origin: str, deadline: float
) -> tuple[Checkpoint | None, str]:
    """The last checkpoint that a witness holds of a log, and its note (R15).

    Raises UnavailableError when it could not be learned, what `open_state` raises for a wrong
    answer.
    """
    members = node.members.current
    network = members.network if members else bytes(32)
    asked = WitnessState(network, secrets.token_bytes(NONCE_SIZE), origin)
    path = f"/witness/1/{origin_hash(origin)}/state?nonce={asked.nonce.hex()}"
    answer = await ask(node, witness, "GET", path, deadline=deadline)
    if answer.status != 200:
        raise UnavailableError("peer_unreachable", f"the witness answered {answer.status}")
    return open_state(answer.body, asked, witness.key, log_key)


async def ask_cosignature(
    node: Node,
    witness: Witness,
    request: AddCheckpoint,
    body: str,
    *,
    policy: Policy,
    deadline: float,
) -> list[tuple[Signature, int]] | int:
    """A witness's lines over checkpoint text `body` with their times, or its size (409).

    The first line is by the key that votes; others, by keys that the policy knows, may follow.

    Raises UnavailableError when the outcome is unknown, RefusedError when the witness refuses.
    """
    answer = await ask(
        node, witness, "POST", "/witness/1/add-checkpoint", request.to_bytes(), deadline=deadline
    )
    if answer.status == 409:
        return parse_size_answer(answer.body)
    if answer.status != 200:
        raise _refusal(answer)
    lines = note.parse_signature_lines(answer.body.decode("utf-8", "replace"))
    known = [(line, item) for line in lines if (item := policy.witness_of(line)) is not None]
    found = [(line, cosignature.verify(body, line, item.key)) for line, item in known]
    if not any(line.names(witness.key) for line, _ in found):
        raise RefusedError("cosignature_invalid", "the witness answered without its cosignature")
    return sorted(found, key=lambda pair: not pair[0].names(witness.key))


async def ask_mirror(node: Node, witness: Witness, body: bytes, *, deadline: float) -> Answer:
    """The answer of a witness, as the log's mirror, to an ``add-entries`` request."""
    return await ask(node, witness, "POST", "/witness/1/add-entries", body, deadline=deadline)


def _refusal(answer: Answer) -> TradeError:
    detail = f"the witness answered {answer.status}"
    if answer.status >= 500 or answer.status in (401, 429):
        return UnavailableError("peer_unreachable", detail)
    return RefusedError("witness_inconsistent", detail)
