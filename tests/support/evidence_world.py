"""A small network for verification, release and evidence tests, on top of `title_world`.

Nodes: cn-cert (issuing body, CN), nl-customs (customs and plant health, NL), nl-port (terminal with
a log), nhl (carrier); witnesses cn-port, sg-port, kz-rail. Everything follows from names and
passed times, so the same call gives the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from protocols import times
from protocols.credentials import credential, status_list
from protocols.credentials.credential import CredentialClaims, DocumentFile, PayloadInfo
from protocols.credentials.status_list import StatusEntry
from protocols.digest import sha256
from protocols.evidence import contents
from protocols.evidence.contents import BundleContents, BundledDocument, Statement
from protocols.evidence.reading import check_documents
from protocols.keys import SoftwareSigner
from protocols.log import checkpoint, cosignature, leaf, merkle, note
from protocols.log import policy as log_policy
from protocols.log.leaf import Leaf, LeafKind
from protocols.log.proof import LogProof
from protocols.member_list import (
    Agreement,
    IssuerEntry,
    LogEntry,
    MemberList,
    MemberListDraft,
    NodeEntry,
    open_founding,
    sign_list,
)
from protocols.title.machine import Kind
from protocols.title.operation import document_checksum, sign_manifest
from protocols.verify import Receipt
from schemas import registry
from tests.support import title_world as titles
from tests.support.title_world import NOW, did, ecdsa, ed, host, listed

UCR = "6CN91370784MA0DEMQ00FA261118"
BOX = "NHLU2631075"
WITNESSES = ("cn-port", "sg-port", "kz-rail")
ISSUED = NOW - timedelta(hours=2)
PURPOSES = ("credential", "exchange", "title", "release")


def log_key(name: str) -> note.VerifierKey:
    return note.verifier_key(f"{host(name)}/log/1", note.ED25519, ed(name, "log").public().raw())


def witness_key(name: str) -> note.VerifierKey:
    raw = ed(name, "witness").public().raw()
    return note.verifier_key(f"{host(name)}/witness/1", note.COSIGNATURE, raw)


def node(name: str, country: str, *roles: str) -> NodeEntry:
    signers = [(ecdsa(name, purpose), purpose) for purpose in PURPOSES]
    signers += [(ed(name, purpose), purpose) for purpose in ("log", "witness", "registry-witness")]
    keys = tuple(listed(signer, purpose) for signer, purpose in signers)
    return NodeEntry(did(name), name, roles, country, f"https://{host(name)}", keys)


def policy(name: str) -> str:
    keys = [(witness_key(each), "") for each in WITNESSES]
    return log_policy.threshold_policy(log_key(name), keys, 3)


def log_entry(name: str) -> LogEntry:
    return LogEntry(log_key(name).name, did(name), log_key(name).to_text(), 1, policy(name))


def draft() -> MemberListDraft:
    start = NOW - timedelta(days=1)
    return replace(
        titles.draft(),
        nodes=(
            node("cn-cert", "CN", "issuer"),
            node("nhl", "CN", "carrier"),
            node("nl-customs", "NL", "customs", "plant-health"),
            node("nl-port", "NL", "port", "terminal", "witness"),
            node("cn-port", "CN", "port", "witness"),
            node("sg-port", "SG", "port", "witness"),
            node("kz-rail", "KZ", "dry-port", "witness"),
        ),
        issuers=(
            IssuerEntry(did("cn-cert"), "quality-certificate", "CN", start),
            IssuerEntry(did("cn-cert"), "phytosanitary-certificate", "CN", start),
        ),
        agreements=(
            Agreement(
                "cn-nl", "NL", "CN", ("quality-certificate", "phytosanitary-certificate"), start
            ),
        ),
        logs=(log_entry("nl-port"), log_entry("cn-cert")),
    )


def founded(prepared: MemberListDraft | None = None) -> MemberList:
    return open_founding(sign_list((prepared or draft()).payload(), [ecdsa("founder", "root")]))


MEMBERS = founded()


def following(**changes: object) -> MemberList:
    """Version 2 of the list, properly signed."""
    base = MemberListDraft.after(MEMBERS, issued_at=NOW, expires=NOW + timedelta(days=60))
    signed = sign_list(replace(base, **changes).payload(), [ecdsa("founder", "root")])
    from protocols.member_list import advance

    return advance(MEMBERS, signed, now=NOW + timedelta(minutes=1))


def quality(number: str = "Q-1", **changes: object) -> bytes:
    """A quality certificate's JSON payload."""
    document = {
        "documentType": "quality-certificate",
        "number": number,
        "issueDate": "2026-11-18",
        "consignment": UCR,
        "exportCountry": "CN",
        "issuer": {"name": "East Coast Certification Desk", "country": "CN"},
        "parties": {"consignor": {"name": "Anhe Fresh Produce Co., Ltd."}},
        "goods": [{"sequence": 1, "description": "Fresh ginger", "hs": "091011"}],
        "totals": {"grossWeight": {"value": "26460", "unit": "KGM"}},
        "inspectedAt": "2026-11-17T08:00:00Z",
        "results": [{"test": "moisture", "value": "12.5", "unit": "P1", "passed": True}],
        "verdict": "PASS",
    }
    return json.dumps({**document, **changes}).encode()


def claims(payload: bytes, key: str, issuer: str, **changes: object) -> CredentialClaims:
    """Claims over `payload` as the issuer's node would write them."""
    kind = registry.get(key)
    view = registry.examine(key, payload).view
    salt = sha256(payload)
    index = int.from_bytes(salt[:2], "big")
    made = CredentialClaims(
        id=f"urn:uuid:{salt.hex()[:8]}-{salt.hex()[8:12]}-{salt.hex()[12:16]}"
        f"-{salt.hex()[16:20]}-{salt.hex()[20:32]}",
        credential_type=kind.credential_type,
        issuer=did(issuer),
        network=MEMBERS.network,
        valid_from=ISSUED,
        valid_until=NOW + timedelta(days=30),
        status=StatusEntry(status_list.list_url(did(issuer), "1"), index),
        document_type=key,
        number=view.number,
        salt=salt,
        payload=PayloadInfo.of(payload, kind.media_type),
        consignment=UCR,
        export_country=view.export_country,
        import_country=view.import_country,
    )
    return replace(made, **changes)


def issued(
    payload: bytes | None = None,
    key: str = "quality-certificate",
    issuer: str = "cn-cert",
    signer: SoftwareSigner | None = None,
    **changes: object,
) -> DocumentFile:
    """A signed document file."""
    payload = quality() if payload is None else payload
    made = claims(payload, key, issuer, **changes)
    return credential.issue(made, payload, signer or ecdsa(issuer, "credential"))


def status(
    issuer: str = "cn-cert",
    revoked: tuple[DocumentFile, ...] = (),
    at: datetime = NOW,
    signer: SoftwareSigner | None = None,
    ttl: timedelta = timedelta(minutes=15),
    **changes: object,
) -> str:
    """The issuer's signed status list, with these documents revoked."""
    bits = bytes(status_list.MIN_ENTRIES // 8)
    for file in revoked:
        index = credential.open_file(file.to_bytes()).claims.status.index
        bits = status_list.set_bit(bits, index)
    values = {
        "url": status_list.list_url(did(issuer), "1"),
        "issuer": did(issuer),
        "network": MEMBERS.network,
        "bits": bits,
        "ttl": ttl,
        "valid_from": at,
        "valid_until": at + timedelta(days=1),
        "signer": signer or ecdsa(issuer, "credential"),
        **changes,
    }
    return status_list.sign_list(**values)


@dataclass
class Log:
    """A node's log in memory."""

    owner: str = "nl-port"
    entries: list[bytes] = field(default_factory=list)

    def add(self, entry: bytes) -> int:
        self.entries.append(entry)
        return len(self.entries) - 1

    def proof(
        self,
        index: int,
        witnesses: tuple[str, ...] = WITNESSES,
        at: datetime = NOW,
    ) -> str:
        tree = merkle.Tree(map(merkle.leaf_hash, self.entries))
        key = log_key(self.owner)
        head = checkpoint.Checkpoint(key.name, tree.size, tree.root())
        made = checkpoint.sign(head, key, ed(self.owner, "log").sign)
        lines = tuple(
            cosignature.sign(
                made.text, int(at.timestamp()), witness_key(name), ed(name, "witness").sign
            )
            for name in witnesses
        )
        signed = replace(made, signatures=made.signatures + lines).to_text()
        return LogProof(index, tree.inclusion_proof(index, tree.size), signed).to_text()


def leaf_of(file: DocumentFile, kind: LeafKind = LeafKind.RECEIVE, at: datetime = NOW) -> bytes:
    said = credential.open_file(file.to_bytes()).claims
    return leaf.encode(
        Leaf(
            kind,
            leaf.subject(said.document_type, said.number, said.salt),
            leaf.commit(said.salt, file.digest),
            None,
            times.to_ms(at),
        )
    )


def receipt(
    file: DocumentFile,
    witnesses: tuple[str, ...] = WITNESSES,
    at: datetime = NOW,
    owner: str = "nl-port",
) -> Receipt:
    """A receipt for one document from a log that holds some other leaves too."""
    log = Log(owner)
    log.add(b"before")
    entry = leaf_of(file, at=at)
    index = log.add(entry)
    log.add(b"after")
    return Receipt(entry, log.proof(index, witnesses, at))


def bill(reference: str = "NHLX0001") -> DocumentFile:
    """A bill of lading by the carrier."""
    body = json.loads(registry.example("bill-of-lading"))
    payload = json.dumps(body | {"transportDocumentReference": reference}).encode()
    return issued(payload, "bill-of-lading", "nhl")


def title_proof(reference: str = "NHLX0001") -> tuple[bytes, str]:
    """Proof of the title of `bill(reference)`, as of NOW, and the carrier's manifest."""
    world, title, manifest = title_issued(reference)
    return world.proof(title).to_bytes(), manifest


def title_issued(reference: str = "NHLX0001") -> tuple[titles.World, bytes, str]:
    """The registry after the issue of `bill(reference)`, the title's id, the manifest."""
    world = titles.World(
        registry=titles.Registry(network=MEMBERS.network, arbiter=titles.ARBITER), members=MEMBERS
    )
    document = json.loads(credential.open_file(bill(reference).to_bytes()).file.payload)
    manifest = replace(
        titles.manifest(reference),
        network=MEMBERS.network,
        document_checksum=document_checksum(document),
    )
    made = replace(
        titles.issue(reference=reference),
        network=MEMBERS.network,
        title=manifest.title(),
        entry=sha256(manifest.to_bytes()),
    )
    assert made.kind is Kind.ISSUE
    world.run(titles.signed(made))
    return world, manifest.title(), sign_manifest(manifest, ecdsa("nhl", "title"))


@dataclass
class Export:
    """The making of a bundle, each part replaceable by a test."""

    documents: tuple[DocumentFile, ...]
    statuses: tuple[str, ...]
    lists: tuple[MemberList, ...] = (MEMBERS,)
    exporter: str = "nl-port"
    at: datetime = NOW
    seen_at: datetime = NOW
    witnesses: tuple[str, ...] = WITNESSES
    titles: tuple[tuple[bytes, str], ...] = ()
    subject: str = UCR
    signer: SoftwareSigner | None = None
    log: str | None = None

    def contents(self) -> BundleContents:
        bundled = tuple(self._bundled(file) for file in self.documents)
        made = BundleContents(
            network=MEMBERS.network,
            subject=self.subject,
            documents=bundled,
            lists=tuple((each.version, each.signed) for each in self.lists),
            statuses=(*self.statuses, *self._carriers_status()),
            titles=self.titles,
            history=({"at": times.to_text(ISSUED), "kind": "issued", "actor": "cn-cert"},),
        )
        members = contents.prepare(made).members
        checked = check_documents(members, self.lists[-1], self.at)
        told = [{"digest": each.digest, "verdict": each.verdict} for each in checked]
        return replace(made, report={"documents": told})

    def _carriers_status(self) -> tuple[str, ...]:
        """The list that a bill of lading depends on, which no test is about."""
        issuers = {credential.open_file(file.to_bytes()).claims.issuer for file in self.documents}
        return (status("nhl", at=self.at),) if did("nhl") in issuers else ()

    def _bundled(self, file: DocumentFile) -> BundledDocument:
        said = credential.open_file(file.to_bytes()).claims
        made = receipt(file)
        return BundledDocument(said.document_type, file.to_bytes(), made.entry, made.proof)

    def statement(self, index_digest: bytes) -> Statement:
        last = self.lists[-1]
        return Statement(
            network=MEMBERS.network,
            exporter=did(self.exporter),
            subject=self.subject,
            index=index_digest,
            list_version=last.version,
            list_digest=last.digest,
            at=self.at,
            salt=sha256(b"export"),
        )

    def build(self) -> bytes:
        prepared = contents.prepare(self.contents())
        return self.seal(prepared)

    def seal(self, prepared: contents.Prepared) -> bytes:
        statement = self.statement(prepared.index_digest)
        signer = self.signer or ecdsa(self.exporter, "exchange")
        log = Log(self.log or self.exporter)
        log.add(b"before")
        index = log.add(statement.entry())
        proof = log.proof(index, self.witnesses, self.seen_at)
        return contents.assemble(prepared, contents.sign_statement(statement, signer), proof)


def export(**changes: object) -> Export:
    """A good export: two quality certificates, one of them revoked, and a bill with its title."""
    good, gone = issued(quality("Q-1")), issued(quality("Q-2"))
    values = {
        "documents": (good, gone, bill()),
        "statuses": (status(revoked=(gone,)),),
        "titles": (title_proof(),),
        **changes,
    }
    return Export(**values)
