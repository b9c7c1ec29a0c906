"""Calls between a title registry, its witnesses and whoever hands in operations."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import orjson

from protocols.fields import Fields
from protocols.log import checkpoint, cosignature, note
from protocols.log.witness_protocol import NONCE_SIZE, WitnessState, open_state
from protocols.title.registry_freeze import NO_FREEZES, Freezes
from protocols.title.registry_wire import AddBatch, origin_hash, read_entries
from schemas import strict_json
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from node.runtime import Node
    from protocols.log.checkpoint import Checkpoint
    from protocols.log.note import Signature, VerifierKey
    from protocols.log.policy import Witness
    from protocols.member_list import MemberList
    from protocols.seams import Answer
    from protocols.title.registry import Arbiter

CALL_DEADLINE = 5.0
_KNOWN = frozenset(
    {
        "arbiter_frozen",
        "registry_batch_stale",
        "registry_forked",
        "registry_members_stale",
        "registry_restatement_refused",
    }
)


def did_of(members: MemberList, key: VerifierKey) -> str | None:
    """The member that holds a registry-witness key."""
    for listed in members.keys.values():
        if listed.purpose == "registry-witness" and listed.public.raw() == key.public_key:
            return listed.did
    return None


async def _call(node: Node, did: str | None, method: str, path: str, body: bytes = b"") -> Answer:
    if did is None:
        raise UnavailableError("peer_unreachable", "nobody listed holds that key")
    headers = {"Content-Type": "application/json"} if body else {}
    return await node.client.call(did, method, path, body, headers=headers, deadline=CALL_DEADLINE)


def _path(arbiter: Arbiter, rest: str) -> str:
    return f"/registry-witness/1/{origin_hash(arbiter.origin)}/{rest}"


def members_of(node: Node) -> MemberList:
    """The list in force; raises UnavailableError `member_list_missing`."""
    members = node.members.current
    if members is None:
        raise UnavailableError("member_list_missing", "this node is in no network yet")
    return members


def freezes_of(node: Node) -> Freezes:
    """The ended arbiters that are known here (R21)."""
    registry = getattr(node, "registry", None)
    return NO_FREEZES if registry is None else registry.freezes


async def ask_state(
    node: Node, witness: Witness, arbiter: Arbiter
) -> tuple[Checkpoint | None, str]:
    """What a witness cosigned last of a registry, and its note; signed, to our nonce (R15).

    Raises UnavailableError when it could not be learned, RefusedError for a wrong answer.
    """
    members = members_of(node)
    asked = WitnessState(members.network, secrets.token_bytes(NONCE_SIZE), arbiter.origin)
    path = _path(arbiter, f"state?nonce={asked.nonce.hex()}")
    answer = await _call(node, did_of(members, witness.key), "GET", path)
    if answer.status != 200:
        raise UnavailableError("peer_unreachable", f"the witness answered {answer.status}")
    return open_state(answer.body, asked, witness.key, arbiter.key)


async def ask_cosignature(
    node: Node, witness: Witness, request: AddBatch
) -> tuple[Signature, int] | int:
    """A witness's line over the batch's checkpoint and its time, or the size it holds (409).

    Raises UnavailableError when the outcome is unknown, RefusedError when the witness refuses.
    """
    did = did_of(members_of(node), witness.key)
    path = "/registry-witness/1/add-batch"
    answer = await _call(node, did, "POST", path, request.to_bytes())
    if answer.status == 409:
        return Fields(_object(answer), "registry_entry_malformed").integer("size", 0, 2**53 - 1)
    if answer.status != 200:
        raise _refusal(answer)
    body = note.parse(request.checkpoint).text
    for line in note.parse_signature_lines(answer.body.decode("utf-8", "replace")):
        if line.names(witness.key):
            return line, cosignature.verify(body, line, witness.key)
    raise RefusedError("cosignature_invalid", "the witness answered without its cosignature")


async def fetch_entries(
    node: Node, witness: Witness, arbiter: Arbiter, start: int, end: int
) -> tuple[bytes, ...]:
    """The entries start…end−1 that a witness mirrors, as many as it gives at once."""
    did = did_of(members_of(node), witness.key)
    answer = await _call(node, did, "GET", _path(arbiter, f"entries?start={start}&end={end}"))
    if answer.status != 200:
        raise UnavailableError("peer_unreachable", f"the witness answered {answer.status}")
    return read_entries(Fields(_object(answer), "registry_entry_malformed"))


async def fetch_all(
    node: Node, witness: Witness, arbiter: Arbiter, start: int, end: int
) -> list[bytes]:
    """All the entries start…end−1; raises UnavailableError `registry_behind` when some are not
    there."""
    entries: list[bytes] = []
    while start + len(entries) < end:
        found = await fetch_entries(node, witness, arbiter, start + len(entries), end)
        if not found:
            raise UnavailableError("registry_behind", "the witness gives no entries")
        entries += found
    return entries


def _object(answer: Answer) -> dict[str, Any]:
    return strict_json.loads_object(answer.body)


def _refusal(answer: Answer) -> TradeError:
    if answer.status >= 500 or answer.status in (401, 429):
        return UnavailableError("peer_unreachable", f"the witness answered {answer.status}")
    try:
        code = orjson.loads(answer.body).get("code")
    except (orjson.JSONDecodeError, AttributeError):
        code = None
    known = code in _KNOWN
    detail = f"the witness answered {answer.status} {code if isinstance(code, str) else ''}"
    return RefusedError(code if known else "registry_batch_invalid", detail.strip())


def head_of(text: str) -> checkpoint.Checkpoint:
    """The checkpoint in a note whose signature was checked before."""
    return checkpoint.parse_body(note.parse(text).text)
