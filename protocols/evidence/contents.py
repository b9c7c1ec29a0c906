"""What an evidence bundle holds, how its members are named, and its index.

``index.json`` is RFC 8785 JSON and lists every member but itself and the two that prove it:
``export.jws`` (the exporter's signed statement over the index) and ``export.tlog-proof`` (that
statement's place in the exporter's witnessed log). Everything else is beyond doubt once those two
hold. Renewals (`protocols.evidence.renewal`) come later and are not listed: each covers the whole
file as it was before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.digest import sha256
from protocols.evidence import archive
from protocols.fields import DID, Fields
from protocols.log import leaf
from protocols.log.leaf import Leaf, LeafKind
from schemas import strict_json
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from protocols.keys import Signer
    from schemas.strict_json import JsonValue

CODE = "evidence_malformed"
TYP = "px-export+jws"
INDEX, STATEMENT, STATEMENT_PROOF = "index.json", "export.jws", "export.tlog-proof"
HISTORY, REPORT = "history.json", "report.json"
PROVING = frozenset({INDEX, STATEMENT, STATEMENT_PROOF})
_DOCUMENT = re.compile(r"documents/(\d{3})-([a-z0-9-]{1,80})\.vc")
_OTHERS = (
    re.compile(r"receipts/\d{3}\.(?:leaf|tlog-proof)"),
    re.compile(r"anchors/\d{3}\.json"),
    re.compile(r"timestamps/\d{3}\.tsr"),
    re.compile(r"members/\d{6}\.json"),
    re.compile(r"status/\d{3}\.jwt"),
    re.compile(r"titles/\d{3}\.(?:json|jws)"),
    re.compile(r"(?:hand-overs|freezes)/\d{3}\.json"),
    re.compile(r"history\.json|report\.json"),
)


_RENEWAL = re.compile(r"renewals/(\d{3})\.(?:json|tsr)")


@dataclass(frozen=True, slots=True)
class BundledDocument:
    """One document file with its receipt (leaf bytes and tlog-proof text), where there is one.

    timestamp: the RFC 3161 response over its credential, b"" where there is none
    anchor: where the receipt's log was anchored on a chain, RFC 8785 JSON, b"" where it was not
    """

    type: str
    file: bytes = field(repr=False)
    entry: bytes = b""
    proof: str = ""
    timestamp: bytes = b""
    anchor: bytes = b""


@dataclass(frozen=True, slots=True)
class BundleContents:
    """Everything that goes into a bundle.

    lists:    (version, signed bytes) of the member lists, without gaps, the last one in force
    statuses: signed status lists, fetched for this export
    titles:   title proofs (RFC 8785 bytes), each with the carrier's issuance manifest (compact
              JWS), which ties the title to its bill
    hand_overs: files by which logs changed their witnesses (`protocols.log.epochs`)
    freezes:  documents by which registries ended or handed over (`protocols.title.registry_freeze`)
    history:  events as JSON; report: what the exporter's own verification says per document
    """

    network: bytes
    subject: str
    documents: tuple[BundledDocument, ...]
    lists: tuple[tuple[int, bytes], ...]
    statuses: tuple[str, ...] = ()
    titles: tuple[tuple[bytes, str], ...] = ()
    hand_overs: tuple[bytes, ...] = ()
    freezes: tuple[bytes, ...] = ()
    history: tuple[Mapping[str, JsonValue], ...] = ()
    report: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The members of a bundle with their index, still without the exporter's statement."""

    members: Mapping[str, bytes]
    index: bytes

    @property
    def index_digest(self) -> bytes:
        """SHA-256 of index.json: what the exporter states."""
        return sha256(self.index)


def prepare(contents: BundleContents) -> Prepared:
    """Name the members and write the index."""
    members: dict[str, bytes] = {}
    for number, document in enumerate(contents.documents, start=1):
        members[f"documents/{number:03d}-{document.type}.vc"] = document.file
        if document.proof:
            members[f"receipts/{number:03d}.leaf"] = document.entry
            members[f"receipts/{number:03d}.tlog-proof"] = document.proof.encode()
        if document.proof and document.anchor:
            members[f"anchors/{number:03d}.json"] = document.anchor
        if document.timestamp:
            members[f"timestamps/{number:03d}.tsr"] = document.timestamp
    for version, signed in contents.lists:
        members[f"members/{version:06d}.json"] = signed
    for number, status in enumerate(contents.statuses, start=1):
        members[f"status/{number:03d}.jwt"] = status.encode()
    for number, (title, issuance) in enumerate(contents.titles, start=1):
        members[f"titles/{number:03d}.json"] = title
        members[f"titles/{number:03d}.jws"] = issuance.encode()
    for number, hand_over in enumerate(contents.hand_overs, start=1):
        members[f"hand-overs/{number:03d}.json"] = hand_over
    for number, freeze in enumerate(contents.freezes, start=1):
        members[f"freezes/{number:03d}.json"] = freeze
    members[HISTORY] = strict_json.canonical([dict(event) for event in contents.history])
    members[REPORT] = strict_json.canonical(dict(contents.report))
    return Prepared(members, write_index(contents.network, contents.subject, members))


def write_index(network: bytes, subject: str, members: Mapping[str, bytes]) -> bytes:
    """index.json over `members` (without the proving ones)."""
    listed: list[JsonValue] = [
        {"name": name, "sha256": sha256(data).hex(), "length": len(data)}
        for name, data in sorted(members.items())
        if is_listed(name)
    ]
    return strict_json.canonical(
        {"v": 1, "network": network.hex(), "subject": subject, "members": listed}
    )


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One listed member."""

    name: str
    sha256: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Index:
    """index.json, read."""

    network: bytes
    subject: str
    members: tuple[IndexEntry, ...]


def read_index(data: bytes) -> Index:
    """The index from its only spelling; raises MalformedError `evidence_malformed` or json_*."""
    parsed = strict_json.loads_object(data, max_bytes=archive.MAX_MEMBER)
    fields = Fields(parsed, CODE)
    fields.integer("v", 1, 1)
    members = tuple(
        IndexEntry(
            item.text("name"), item.digest("sha256"), item.integer("length", 0, archive.MAX_MEMBER)
        )
        for item in fields.children("members", archive.MAX_MEMBERS)
    )
    index = Index(fields.digest("network"), fields.text("subject", max_length=200), members)
    if strict_json.canonical(parsed) != data or len({item.name for item in members}) != len(
        members
    ):
        raise MalformedError(CODE, "the index is not in its canonical form", pointer=INDEX)
    return index


def is_listed(name: str) -> bool:
    """Whether the index lists a member of that name."""
    return name not in PROVING and renewal_of(name) is None


def renewal_of(name: str) -> int | None:
    """The number of the renewal that a member belongs to."""
    match = _RENEWAL.fullmatch(name)
    return int(match[1]) if match else None


def known_name(name: str) -> bool:
    """Whether a bundle may hold a member of that name."""
    if not is_listed(name) or _DOCUMENT.fullmatch(name):
        return True
    return any(pattern.fullmatch(name) for pattern in _OTHERS)


def document_of(name: str) -> tuple[str, str] | None:
    """(number, type) of a document's member name."""
    match = _DOCUMENT.fullmatch(name)
    return (match[1], match[2]) if match else None


@dataclass(frozen=True, slots=True)
class Statement:
    """What the exporting node signs with its exchange key: this index, under this list, now."""

    network: bytes
    exporter: str
    subject: str
    index: bytes
    list_version: int
    list_digest: bytes
    at: datetime
    salt: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """RFC 8785 payload of ``export.jws``."""
        return strict_json.canonical(
            {
                "v": 1,
                "network": self.network.hex(),
                "from": self.exporter,
                "subject": self.subject,
                "index": self.index.hex(),
                "members": {"version": self.list_version, "digest": self.list_digest.hex()},
                "at": times.to_text(self.at),
                "salt": self.salt.hex(),
            }
        )

    def entry(self) -> bytes:
        """The leaf (kind 12) that the exporter's log must hold."""
        about = leaf.subject("export", self.subject, self.salt)
        commit = leaf.commit(self.salt, sha256(self.to_bytes()))
        return leaf.encode(Leaf(LeafKind.EXPORT, about, commit, None, times.to_ms(self.at)))


def sign_statement(statement: Statement, signer: Signer) -> str:
    """``export.jws``; `signer` holds the exchange key of `statement.exporter`."""
    return jws.sign(statement.to_bytes(), typ=TYP, signer=signer)


def read_statement(signed: jws.Jws) -> Statement:
    """The statement of a parsed JWS; raises MalformedError `evidence_malformed` or json_*."""
    fields = Fields(strict_json.loads_object(signed.payload), CODE)
    fields.integer("v", 1, 1)
    listed = fields.child("members")
    statement = Statement(
        network=fields.digest("network"),
        exporter=fields.text("from", pattern=DID),
        subject=fields.text("subject", max_length=200),
        index=fields.digest("index"),
        list_version=listed.integer("version", 1, 100_000),
        list_digest=listed.digest("digest"),
        at=fields.time("at"),
        salt=fields.digest("salt"),
    )
    if statement.to_bytes() != signed.payload:
        raise MalformedError(CODE, "the statement is not in its canonical form", pointer=STATEMENT)
    return statement


def assemble(prepared: Prepared, statement: str, proof: str) -> bytes:
    """The bundle: members, index, signed statement and its tlog-proof, as one archive."""
    proving = {
        INDEX: prepared.index,
        STATEMENT: statement.encode(),
        STATEMENT_PROOF: proof.encode(),
    }
    return archive.write({**prepared.members, **proving})
