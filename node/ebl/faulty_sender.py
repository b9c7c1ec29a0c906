"""A sending platform that can be told to err, one call at a time (test networks only, R7).

A conformance toolkit wants to see the same transfer sent again, signed again, altered, with a bad
signature, to a wrong platform, or with a corrupted document; a real sender does none of that. What
is sent is made by the same functions and keys as real transfers, for a bill that exists nowhere
else: no title is issued, offered or moved.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from node.documents import documents, signing
from node.ebl.switches import switches_of
from node.pint import platforms, rows
from node.pint.client import PlatformClient, Question
from node.pint.keys import platform_code, platform_signer
from node.title import partners
from protocols import base64url
from protocols.digest import sha256
from protocols.pint import issuance, signed
from protocols.pint.answers import Decided, DocumentTaken, Started, Unknown
from protocols.pint.chain import ChainEntry, following, issuance_manifest, open_entry
from protocols.pint.envelope import DocumentMetadata, EblEnvelope, envelope
from protocols.pint.parties import DID_LIST, DID_PROVIDER, IdentifyingCode, TransactionParty
from protocols.pint.reading import checksum_of
from protocols.pint.transactions import Transaction
from protocols.pint.words import Action
from schemas import strict_json
from schemas.errors import ConflictError, NotFoundError, RefusedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.ebl.counterparts import Counterpart
    from node.runtime import Node
    from protocols.keys import Signer
    from protocols.pint.answers import Answer
    from protocols.pint.platforms import Signatory
    from protocols.pint.reading import Json
    from schemas.strict_json import JsonValue

Document: TypeAlias = "dict[str, JsonValue]"
MAX_TRANSFERS = 100
MAX_DOCUMENTS = 10
DOCUMENT_BYTES = 512
#: A facility code has at most six characters: the document no longer obeys its schema.
WRONG_FACILITY = "INVALID_FACILITY_CODE"


class Fault(StrEnum):
    """What is wrong with the first call."""

    NONE = "none"
    SIGNATURE = "signature"
    PLATFORM = "platform"
    FACILITY = "facility"


class Step(StrEnum):
    """One further call."""

    AGAIN = "again"
    SIGNED_AGAIN = "signed-again"
    ALTERED = "altered"
    DOCUMENT = "document"
    CORRUPTED = "corrupted"
    UNRELATED = "unrelated"
    FINISH = "finish"


@dataclass(frozen=True, slots=True)
class Order:
    """What to send. platform: the receiver's code; hops: 1, issued to the recipient; 2, transferred

    documents: how many additional documents are announced
    """

    platform: str
    document: Document = field(repr=False)
    recipient: TransactionParty
    hops: int = 1
    documents: int = 0
    fault: Fault = Fault.NONE


@dataclass(slots=True)
class Transfer:
    """One transfer under way. missing: checksums that the receiver still asks for."""

    platform: str
    sent: EblEnvelope
    contents: Mapping[bytes, bytes]
    missing: list[bytes] = field(default_factory=list)
    reference: str = ""


class FaultySender:
    """Keeps the transfers of a test, in memory."""

    def __init__(self, node: Node) -> None:
        """Sends nothing yet."""
        self._node = node
        self._client = PlatformClient(node)
        self._transfers: dict[str, Transfer] = {}

    def clear(self) -> None:
        """Forgets everything."""
        self._transfers.clear()

    async def begin(self, order: Order) -> Json:
        """Send the first envelope; what came of it, with the transfer's id.

        Raises RefusedError `pint_platform_unknown`, ConflictError `test_transfers_full`,
        `test_bill_real`, and as `keys.platform_signer`.
        """
        await self._node.store.read(require_made_up, order.document)
        if len(self._transfers) >= MAX_TRANSFERS:
            raise ConflictError("test_transfers_full", f"{MAX_TRANSFERS} are kept; reset")
        transfer = self._made(order)
        name = secrets.token_hex(8)
        self._transfers[name] = transfer
        return {"transfer": name, **await self._send(transfer, _wrong(transfer.sent, order.fault))}

    async def step(self, name: str, step: Step) -> Json:
        """One further call of a transfer; raises NotFoundError `test_transfer_unknown`."""
        transfer = self._transfers.get(name)
        if transfer is None:
            raise NotFoundError("test_transfer_unknown", name)
        if step is Step.FINISH:
            answer = await self._client.finish(self._asked(transfer), transfer.reference)
            return _told(answer)
        if step in {Step.DOCUMENT, Step.CORRUPTED, Step.UNRELATED}:
            return await self._put(transfer, step)
        if step is not Step.AGAIN:
            transfer.sent = self._changed(transfer.sent, altered=step is Step.ALTERED)
        return await self._send(transfer, transfer.sent)

    async def issue(self, platform: Counterpart, document: Document, issue_to: Document) -> Json:
        """Put a bill before a platform as it is, whatever is wrong with it; its answer's status.

        Raises ConflictError `test_bill_real`, UnavailableError.
        """
        await self._node.store.read(require_made_up, document)
        keys = signing.signing(self._node, partners.members_of(self._node))
        manifest = issuance_manifest(document, issue_to)
        body = {
            "document": document,
            "issueTo": issue_to,
            "issuanceManifestSignedContent": manifest.sign(keys.signer, keys.x5c),
        }
        data = strict_json.canonical(body)
        answer = await self._node.ebl.counterparts.call(platform, "PUT", issuance.REQUESTS, data)
        return {"status": answer.status}

    # -- making ----------------------------------------------------------------------------------

    def _made(self, order: Order) -> Transfer:
        node, signer = self._node, platform_signer(self._node)
        contents = [secrets.token_bytes(DOCUMENT_BYTES) for _ in range(order.documents)]
        listed = [
            DocumentMetadata(
                f"document {number}.bin", len(one), "application/octet-stream", sha256(one)
            )
            for number, one in enumerate(contents, 1)
        ]
        chain = self._chain(order, signer)
        sent = envelope(order.document, chain, signer, supporting=listed)
        peer = switches_of(node).peer(order.platform)
        if peer is not None and peer.beta:
            # The older dialect looks for the carrier's manifest at the envelope's root.
            issuance = open_entry(chain[0]).entry.issuance
            sent = replace(sent, further={"issuanceManifestSignedContent": issuance})
        return Transfer(order.platform, sent, {sha256(one): one for one in contents})

    def _chain(self, order: Order, signer: Signer) -> list[str]:
        node, code, now = self._node, platform_code(self._node), self._node.clock.now()
        carrier = _party(node.settings.node.name, node.did, code)
        holder = _party("Test shipper", f"{node.did}:test-shipper", code)
        recipient = order.recipient
        if order.fault is Fault.PLATFORM:
            recipient = replace(recipient, platform=code)
        to = recipient if order.hops == 1 else holder
        issued = Transaction(Action.ISSUE, carrier, now - timedelta(minutes=1), to)
        keys = signing.signing(node, partners.members_of(node))
        manifest = issuance_manifest(order.document, {}).sign(keys.signer, keys.x5c)
        first = ChainEntry(code, checksum_of(order.document), (issued,), issuance=manifest)
        chain = [first.sign(signer)]
        if order.hops == 2:
            moved = Transaction(Action.TRANSFER, holder, now, recipient)
            chain.append(following(chain, code, (moved,)).sign(signer))
        return chain

    def _changed(self, sent: EblEnvelope, *, altered: bool) -> EblEnvelope:
        """The last entry signed again, its payload altered or not; the manifest fits it."""
        signer, last = platform_signer(self._node), signed.parse(sent.chain[-1])
        payload = last.payload
        if altered:
            entry = strict_json.loads_object(payload)
            transactions = entry["transactions"]
            assert isinstance(transactions, list)
            assert isinstance(transactions[-1], dict)
            transactions[-1]["comments"] = "altered"
            payload = strict_json.canonical(entry)
        chain = (*sent.chain[:-1], _signed_otherwise(payload, signer))
        manifest = strict_json.loads_object(signed.parse(sent.manifest).payload)
        name = "lastEnvelopeTransferChainEntrySignedContentChecksum"
        body = strict_json.canonical(manifest | {name: signed.checksum(chain[-1]).hex()})
        return replace(sent, chain=chain, manifest=signed.sign(body, signer=signer))

    # -- sending ---------------------------------------------------------------------------------

    async def _send(self, transfer: Transfer, sent: EblEnvelope) -> Json:
        answer = await self._client.start(self._asked(transfer), sent.to_bytes())
        if isinstance(answer, Started):
            transfer.reference = answer.started.reference
            transfer.missing = list(answer.started.missing)
        return _told(answer)

    async def _put(self, transfer: Transfer, step: Step) -> Json:
        if not transfer.missing:
            raise ConflictError("test_transfer_complete", "the receiver asks for no document")
        checksum = transfer.missing[0]
        content = transfer.contents[checksum]
        if step is not Step.DOCUMENT:
            content = bytes([content[0] ^ 1]) + content[1:]
        if step is Step.UNRELATED:
            checksum = sha256(content)
        asked = self._asked(transfer)
        answer = await self._client.put_document(asked, transfer.reference, checksum, content)
        if isinstance(answer, DocumentTaken):
            transfer.missing.pop(0)
        return _told(answer)

    def _asked(self, transfer: Transfer) -> Question:
        signatory = self._signatory(transfer.platform)
        last = transfer.sent.chain[-1]
        return Question(transfer.platform, signatory, last, self._node.clock.now())

    def _signatory(self, code: str) -> Signatory:
        listed = platforms.keyring(self._node)
        found = switches_of(self._node).keyring(listed).platform(code)
        if found is None:
            raise RefusedError("pint_platform_unknown", code)
        return found


def require_made_up(conn: Connection, document: Document) -> None:
    """A real bill never goes out by this door, whose chain says what it is told (R20).

    Raises ConflictError `test_bill_real` for a reference that this node issued or knows of.
    """
    reference = document.get("transportDocumentReference")
    if not isinstance(reference, str):
        return
    known = documents.find(conn, number=reference, limit=1)
    if known or rows.bills_page(conn, reference=reference, limit=1):
        raise ConflictError("test_bill_real", reference[:20])


def _party(name: str, did: str, platform: str) -> TransactionParty:
    return TransactionParty(name, platform, (IdentifyingCode(DID_PROVIDER, did, DID_LIST),))


def _signed_otherwise(payload: bytes, signer: Signer) -> str:
    """Signed under another header: our signatures are deterministic (R2), so this text differs."""
    header = strict_json.canonical({"alg": signer.algorithm, "typ": "JOSE"})
    data = f"{base64url.encode(header)}.{base64url.encode(payload)}"
    return f"{data}.{base64url.encode(signer.sign(data.encode('ascii')))}"


def _wrong(sent: EblEnvelope, fault: Fault) -> EblEnvelope:
    """The envelope as it is sent; the right one is kept for later calls."""
    if fault is Fault.SIGNATURE:
        data, _, signature = sent.manifest.rpartition(".")
        other = "A" if signature[0] != "A" else "B"
        return replace(sent, manifest=f"{data}.{other}{signature[1:]}")
    if fault is Fault.FACILITY:
        document = strict_json.loads_object(strict_json.canonical(dict(sent.document)))
        transports = document.get("transports")
        assert isinstance(transports, dict)
        facility: JsonValue = {
            "facilityCode": WRONG_FACILITY,
            "facilityCodeListProvider": "SMDG",
        }
        transports["placeOfReceipt"] = {"UNLocationCode": "NLRTM", "facility": facility}
        return replace(sent, document=document)
    return sent


def _told(answer: Answer) -> Json:
    """What came of a call, for whoever drives the test."""
    if isinstance(answer, Decided):
        return {"outcome": "decided", "response": answer.finished.response.value}
    if isinstance(answer, Started):
        missing: list[JsonValue] = [one.hex() for one in answer.started.missing]
        return {"outcome": "started", "missing": missing}
    if isinstance(answer, Unknown):
        return {"outcome": "unknown", "status": answer.status, "detail": answer.detail}
    return {"outcome": "taken"}
