"""News of a title: the message that tells a node its final state, with all that proves it.

A message `urn:pratique:title` holds the proof of the state, the signed operations that led to it
and, where the sender knows it, the carrier's issuance manifest, which says for which document the
title stands. The receiver believes none of it: everything is checked against its own member list.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from protocols import jws
from protocols.evm import title_proof as evm_title_proof
from protocols.evm.title_proof import is_chain_proof, no_voucher
from protocols.fields import Fields
from protocols.times import to_ms
from protocols.title import registry_freeze
from protocols.title.operation import read_manifest, read_operation
from protocols.title.proof import TitleProof, read_proof_json, verify_history, verify_proof
from protocols.title.registry import Arbiter, arbiter_of
from protocols.title.registry_freeze import NO_FREEZES, Freezes, SignedFreeze
from schemas import strict_json
from schemas.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from protocols.evm.holder_keys import HolderKey
    from protocols.evm.title_proof import EvmTitleProof, Vouch
    from protocols.jws import Jws
    from protocols.member_list import MemberList, RegistryEntry
    from protocols.title.json_forms import Json
    from protocols.title.machine import Operation, TitleState
    from protocols.title.operation import IssuanceManifest

TYPE = "urn:pratique:title"
MEDIA_TYPE = "application/json"
CODE = "title_proof_malformed"
MAX_HISTORY = 1_000


@dataclass(frozen=True, slots=True)
class TitleNews:
    """Checked news: the arbiter's id, the proof, the whole history and perhaps the manifest.

    state: the final state; at: the time of the proven batch or block, ms UTC
    keys:  of a chain, who stands behind its addresses, each with its statement
    freezes: the signed hand-overs from the arbiter that issued the title to this one
    """

    arbiter: bytes
    proof: TitleProof | EvmTitleProof
    state: TitleState
    at: int
    operations: tuple[tuple[Operation, str], ...]
    issuance: str | None = None
    manifest: IssuanceManifest | None = None
    keys: tuple[tuple[HolderKey, str], ...] = ()
    freezes: tuple[SignedFreeze, ...] = ()

    def to_bytes(self) -> bytes:
        """The message's body."""
        body: dict[str, strict_json.JsonValue] = {
            "arbiter": self.arbiter.hex(),
            "proof": self.proof.to_json(),
        }
        if isinstance(self.proof, TitleProof):
            body["history"] = [text for _, text in self.operations]
        if self.freezes:
            body["freezes"] = [one.to_bytes().decode() for one in self.freezes]
        if self.issuance is not None:
            body["issuance"] = self.issuance
        return strict_json.canonical(body)


def registry_with(members: MemberList, arbiter: bytes) -> tuple[RegistryEntry, Arbiter]:
    """The listed registry with that arbiter id; raises RefusedError `title_arbiter_unknown`."""
    for entry in members.registries:
        found = arbiter_of(entry)
        if found.id == arbiter:
            return entry, found
    raise RefusedError("title_arbiter_unknown", "no listed registry has that arbiter id")


def check_news(
    fields: Fields,
    arbiter: bytes,
    members: MemberList,
    vouch: Vouch = no_voucher,
    freezes: Freezes = NO_FREEZES,
) -> TitleNews:
    """The members proof, history and issuance of a JSON object, checked against our own list.

    vouch: of a chain's proof, whether a header that no listed validators sealed is known
    freezes: the ended arbiters that are known here

    Raises MalformedError `title_proof_malformed`, RefusedError `title_arbiter_unknown`,
    `title_other_arbiter`, `arbiter_frozen`,
    `title_proof_unwitnessed`, `title_history_mismatch`, `title_manifest_foreign` and what the
    proof's parts raise.
    """
    told: Json = dict(fields.child("proof").members)
    issuance = fields.optional_text("issuance", max_length=16 * 1024)
    if is_chain_proof(told):
        proven = chain_news(evm_title_proof.read_proof_json(told), members, vouch, freezes)
        return replace(proven, **_disclosed(issuance, proven.operations[0][0], members))
    proof = read_proof_json(told)
    _, judge = registry_with(members, arbiter)
    control = verify_proof(proof, arbiter=judge, members=members)
    texts = _history(fields)
    verify_history(proof.state, texts)
    operations = tuple((_signed_operation(text, members), text) for text in texts)
    if fields.has("freezes"):
        freezes = registry_freeze.disclosed(fields.members.get("freezes"), members, freezes)
    named = [operation.arbiter for operation, _ in operations]
    turns = registry_freeze.require_turns(named, arbiter, control.log.size, freezes)
    more = _disclosed(issuance, operations[0][0], members) | {"freezes": turns}
    return TitleNews(arbiter, proof, proof.state, to_ms(proof.at), operations, **more)


def chain_news(
    proof: EvmTitleProof, members: MemberList, vouch: Vouch, freezes: Freezes = NO_FREEZES
) -> TitleNews:
    """A chain's proof, checked under the arbiter of our own list; without the manifest.

    Raises RefusedError `title_arbiter_unknown`, `arbiter_frozen` and what
    `evm_title_proof.verify_proof` raises.
    """
    entry = members.arbiter(proof.arbiter)
    if entry is None:
        raise RefusedError("title_arbiter_unknown", "no listed arbiter has that id")
    proven = evm_title_proof.verify_proof(proof, entry=entry, members=members, vouch=vouch)
    registry_freeze.require_before_end(proof.arbiter, proven.places[-1].block, freezes)
    keys = tuple(zip(proven.keys, proof.keys, strict=True))
    operations, at = proven.operations, to_ms(proven.at)
    return TitleNews(proof.arbiter, proof, proven.state, at, operations, keys=keys)


def _disclosed(issuance: str | None, issue: Operation, members: MemberList) -> dict[str, Any]:
    """The manifest's text and the manifest, where the news has one."""
    if issuance is None:
        return {}
    return {"issuance": issuance, "manifest": _manifest(issuance, issue, members)}


def _signed_operation(text: str, members: MemberList) -> Operation:
    """The operation, its signature checked: what is kept as history is shown to courts.

    The witnesses checked it in its time, but the proof commits to payloads only, so whoever passes
    news on could put other signatures beside them. Keys stay listed for ever; whether they stood
    was the witnesses' to say.
    """
    signed = read_operation(text)
    acting = signed.operation.sender.joint or (signed.operation.sender,)
    for party, signature in zip(acting, signed.signatures, strict=True):
        _require_signed(signature, party.did, members)
    return signed.operation


def _require_signed(signed: Jws, did: str, members: MemberList) -> None:
    key = members.key(signed.kid)
    if key is None:
        # Perhaps a newer list names it.
        raise UnavailableError("registry_members_unknown", f"{signed.kid} is not listed here yet")
    if key.did != did or key.purpose != "title":
        raise RefusedError("title_key_mismatch", "the key is not a title key of who acts")
    jws.verify(signed, key.public)


def _history(fields: Fields) -> list[str]:
    items = fields.members.get("history")
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_HISTORY:
        raise fields.fault("history", f"a list of 1 to {MAX_HISTORY} operations")
    texts = [item for item in items if isinstance(item, str)]
    if len(texts) != len(items):
        raise fields.fault("history", "an operation is a compact JWS")
    return texts


def _manifest(text: str, issue: Operation, members: MemberList) -> IssuanceManifest:
    """The manifest that the title's ISSUE names by its digest (R19), signed by the carrier."""
    parsed, manifest = read_manifest(text)
    same = parsed.payload_digest == issue.entry and manifest.title() == issue.title
    if not same or manifest.carrier != issue.sender.did:
        raise RefusedError("title_manifest_foreign", "the manifest is not this title's")
    _require_signed(parsed, manifest.carrier, members)
    return manifest
