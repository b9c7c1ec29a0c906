"""Platforms, a carrier and a bill for PINT tests: every key follows from a name, no clock is read.

HOME and AWAY are members with listed keys, OUTS is known by an RSA certificate alone, as most
platforms are; NHLX is the carrier, whose bills are issued at HOME.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from protocols import base64url, jws
from protocols.keys import SoftwareSigner
from protocols.member_list import (
    ListedKey,
    MemberList,
    MemberListDraft,
    NodeEntry,
    Roots,
    open_founding,
    sign_list,
)
from protocols.members.anchors import AnchorEntry
from protocols.pint import signed
from protocols.pint.chain import ChainEntry, following, issuance_manifest
from protocols.pint.checks import judge
from protocols.pint.envelope import DocumentMetadata, EblEnvelope, envelope
from protocols.pint.history import KnownChain
from protocols.pint.judgement import Judgement
from protocols.pint.parties import IdentifyingCode, TransactionParty
from protocols.pint.platforms import MemberKeyring
from protocols.pint.reading import checksum_of
from protocols.pint.receiver import Receiver, RegistryPolicy
from protocols.pint.transactions import Transaction
from protocols.pint.words import Action, Reason
from protocols.title.operation import ISSUANCE_TYP
from schemas import strict_json
from tests.support.pki import Spec, make
from tests.support.title_world import did, ecdsa
from tests.unit.documents.example_edits import DROP, edited, example

NOW = datetime(2026, 11, 18, 6, 0, tzinfo=UTC)
START = NOW - timedelta(days=30)
REGISTRY = "https://nhl.example/ctr/v1"
PLATFORMS = {"HOME": "nhl", "AWAY": "nl-port", "FARR": "sg-port"}


def platform_key(code: str) -> SoftwareSigner:
    return ecdsa(PLATFORMS[code], "platform")


def _listed(signer: SoftwareSigner, purpose: str) -> ListedKey:
    return ListedKey(signer.public(), purpose, jws.did_of(signer.kid), START)


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def outside() -> Any:
    """The certificate of OUTS, self-signed, with a serial number below zero as some have."""
    return make(Spec("outside platform", key=rsa_key()))


def node(code: str, name: str) -> NodeEntry:
    keys = [_listed(ecdsa(name, purpose), purpose) for purpose in ("exchange", "title", "platform")]
    roles = ("carrier", "pint-platform") if code == "HOME" else ("pint-platform",)
    url = f"https://{name}.example"
    return NodeEntry(did(name), name, roles, "NL", url, tuple(keys), platform=code)


def draft(**changes: Any) -> MemberListDraft:
    made = MemberListDraft(
        name="Platforms",
        test=True,
        issued_at=START,
        expires=NOW + timedelta(days=30),
        roots=Roots(1, (ecdsa("founder", "root").public(),)),
        nodes=tuple(node(code, name) for code, name in PLATFORMS.items()),
        parties=(),
        registries=(),
        anchors=(AnchorEntry("platform", "OUTS", outside().der, START),),
    )
    return replace(made, **changes)


def member_list(prepared: MemberListDraft | None = None) -> MemberList:
    payload = (prepared or draft()).payload()
    return open_founding(sign_list(payload, [ecdsa("founder", "root")]))


@cache
def keyring() -> MemberKeyring:
    return MemberKeyring(member_list())


def party(name: str, platform: str = "HOME") -> TransactionParty:
    codes = (IdentifyingCode("W3C", did(name), "DID"),)
    return TransactionParty(name, platform, codes)


CARRIER = party("nhl")
SHIPPER, BANK, BUYER = party("exp-a"), party("bank", "AWAY"), party("imp-a", "AWAY")
OTHER = party("trader-x", "FARR")


def codes_of(who: TransactionParty) -> list[dict[str, str]]:
    return [{"codeListProvider": "W3C", "codeListName": "DID", "partyCode": who.codes[0].code}]


def bill(kind: str = "blank", **edits: Any) -> dict[str, Any]:
    """The packaged bill; straight to BUYER, to order of SHIPPER, or in blank."""
    made: dict[str, Any] = {"/documentParties/endorsee": DROP}
    named = {"partyName": "x", "identifyingCodes": codes_of(BUYER)}
    if kind == "straight":
        made |= {"/isToOrder": False, "/documentParties/consignee": named}
    elif kind == "order":
        made["/documentParties/endorsee"] = named | {"identifyingCodes": codes_of(SHIPPER)}
    made["/documentParties/issuingParty/identifyingCodes"] = codes_of(CARRIER)
    return edited(example("bill-of-lading"), made | edits)


def act(
    action: Action,
    actor: TransactionParty,
    recipient: TransactionParty | None = None,
    *,
    minute: int = 0,
    reason: Reason | None = None,
) -> Transaction:
    at = START + timedelta(days=1, minutes=minute)
    return Transaction(action, actor, at, recipient, reason)


ISSUE = act(Action.ISSUE, CARRIER, SHIPPER)
TO_BUYER = act(Action.TRANSFER, SHIPPER, BUYER, minute=1)


class CertifiedSigner(SoftwareSigner):
    """OUTS: RSA with PSS, the signature different each time."""

    def __init__(self, alg: str = "PS256", kid: str = "outs-2026") -> None:
        self._kid, self._algorithm, self._jwk = kid, alg, {}
        self._sign = self._rsa

    def _rsa(self, data: bytes) -> bytes:
        digest = SHA256()
        method: Any = padding.PSS(padding.MGF1(digest), 32)
        if self._algorithm == "RS256":
            method = padding.PKCS1v15()
        return rsa_key().sign(data, method, digest)


def signer_of(code: str) -> SoftwareSigner:
    return CertifiedSigner() if code == "OUTS" else platform_key(code)


def issuance(document: dict[str, Any], visualisation: bytes | None = None) -> str:
    """The carrier's manifest under our own typ, by its title key."""
    manifest = issuance_manifest(document, {"partyName": "exp-a"}, visualisation)
    payload = strict_json.canonical(manifest.to_json())
    return jws.sign(payload, typ=ISSUANCE_TYP, signer=ecdsa("nhl", "title"))


def first(
    document: dict[str, Any],
    *transactions: Transaction,
    registry: str | None = REGISTRY,
    platform: str = "HOME",
    **changes: Any,
) -> ChainEntry:
    made = ChainEntry(
        platform,
        checksum_of(document),
        transactions or (ISSUE, TO_BUYER),
        issuance=issuance(document),
        registry=registry,
    )
    return replace(made, **changes)


def chain_of(entry: ChainEntry, *hops: Sequence[Transaction]) -> list[str]:
    """The first entry and one for each further hop, signed by the platform of its first actor."""
    texts = [entry.sign(signer_of(entry.platform))]
    for hop in hops:
        platform = hop[0].actor.platform
        texts.append(following(texts, platform, hop).sign(signer_of(platform)))
    return texts


def pack(document: dict[str, Any], texts: Sequence[str], by: str = "HOME", **more: Any) -> bytes:
    return envelope(document, texts, signer_of(by), **more).to_bytes()


def simple(kind: str = "blank", **edits: Any) -> tuple[dict[str, Any], list[str]]:
    document = bill(kind, **edits)
    return document, chain_of(first(document))


@dataclass
class Platform:
    """A receiving platform with a memory, as a node will have one."""

    code: str = "AWAY"
    known: dict[bytes, KnownChain] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)

    def receiver(self, **changes: Any) -> Receiver:
        made = Receiver(
            platform=self.code,
            keyring=keyring(),
            now=NOW,
            known=self.known.get,
            registries=RegistryPolicy(frozenset({REGISTRY})),
        )
        return replace(made, **(self.changes | changes))

    def judge(self, data: bytes, **changes: Any) -> Judgement:
        return judge(data, self.receiver(**changes))

    def accept(self, judgement: Judgement) -> None:
        assert judgement.envelope is not None
        texts = judgement.envelope.chain
        key = judgement.entries[0].entry.document
        before = self.known.get(key)
        accepted = before.accepted if before else frozenset()
        ended = judgement.state is not None and judgement.state.ended is not None
        self.known[key] = KnownChain(texts, accepted | {len(texts) - 1}, ended)


def document_of(content: bytes, name: str = "packing list.pdf") -> DocumentMetadata:
    from protocols.digest import sha256

    return DocumentMetadata(name, len(content), "application/pdf", sha256(content))


def resigned(text: str, signer: SoftwareSigner) -> str:
    """The same payload signed again."""
    return signed.sign(signed.parse(text).payload, signer=signer)


def forged(text: str, change: Callable[[dict[str, Any]], None]) -> str:
    """The payload changed under the old signature."""
    header, _, signature = text.split(".")
    payload = strict_json.loads_object(signed.parse(text).payload)
    change(payload)
    return f"{header}.{base64url.encode(strict_json.canonical(payload))}.{signature}"


def with_header(text: str, **header: Any) -> str:
    """The text under another header; the signature no longer fits."""
    _, payload, signature = text.split(".")
    return f"{base64url.encode(strict_json.canonical(header))}.{payload}.{signature}"


def b64(der: bytes) -> str:
    return base64.b64encode(der).decode("ascii")


def body(data: bytes, **changes: Any) -> bytes:
    """An envelope with members replaced."""
    return strict_json.canonical(strict_json.loads_object(data) | changes)


def read(data: bytes) -> EblEnvelope:
    from protocols.pint.envelope import read_envelope

    return read_envelope(data)
