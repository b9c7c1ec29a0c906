"""A small network for title tests: one carrier with a registry, four witnesses, four traders.

All keys follow from names, all times are passed in: the same call gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from protocols import jws, times
from protocols.digest import sha256
from protocols.keys import SoftwareSigner
from protocols.log import checkpoint, cosignature, merkle, note
from protocols.log import policy as log_policy
from protocols.log.proof import LogProof
from protocols.member_list import (
    ListedKey,
    MemberList,
    MemberListDraft,
    NodeEntry,
    PartyEntry,
    RegistryEntry,
    Roots,
    open_founding,
    sign_list,
)
from protocols.title.json_forms import map_key
from protocols.title.machine import Bill, Ending, Issuance, Kind, Operation, Party, TitleState
from protocols.title.operation import IssuanceManifest, sign_operation
from protocols.title.proof import TitleProof
from protocols.title.registry import (
    Applied,
    Arbiter,
    Execution,
    Registry,
    arbiter_of,
    open_batch,
)

NOW = datetime(2026, 11, 18, 6, 0, tzinfo=UTC)
NOTHING = bytes(32)
WITNESSES = ("cn-port", "sg-port", "nl-port", "kz-rail")
TRADERS = {"exp-a": "nhl", "bank": "nl-port", "imp-a": "nl-port", "financier-2": "sg-port"}


def host(name: str) -> str:
    return f"{name}.example"


def did(name: str) -> str:
    return f"did:web:{host(name)}"


def ecdsa(name: str, purpose: str) -> SoftwareSigner:
    number = int.from_bytes(sha256(f"{name} {purpose}".encode()), "big") >> 1
    key = ec.derive_private_key(number, ec.SECP256R1())
    return SoftwareSigner(f"{did(name)}#{purpose}-1", key)


def ed(name: str, purpose: str) -> SoftwareSigner:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(sha256(f"{name} {purpose}".encode()))
    return SoftwareSigner(f"{did(name)}#{purpose}-1", key)


def party(name: str) -> Party:
    return Party(did(name), ecdsa(name, "title").public().thumbprint())


def listed(signer: SoftwareSigner, purpose: str) -> ListedKey:
    start = NOW - timedelta(days=1)
    return ListedKey(signer.public(), purpose, jws.did_of(signer.kid), start)


def log_key(name: str) -> note.VerifierKey:
    raw = ed(name, "registry").public().raw()
    return note.verifier_key(f"{host(name)}/registry/1", note.ED25519, raw)


def witness_key(name: str) -> note.VerifierKey:
    raw = ed(name, "registry-witness").public().raw()
    return note.verifier_key(f"{host(name)}/registry-witness/1", note.COSIGNATURE, raw)


def node_entry(name: str, *roles: str) -> NodeEntry:
    keys = [listed(ecdsa(name, purpose), purpose) for purpose in ("exchange", "title")]
    keys.append(listed(ed(name, "registry-witness"), "registry-witness"))
    return NodeEntry(did(name), name, roles, "NL", f"https://{host(name)}", tuple(keys))


def registry_entry(witnesses: tuple[str, ...] = WITNESSES, quorum: int = 3) -> RegistryEntry:
    keys = [(witness_key(name), "") for name in witnesses]
    policy = log_policy.threshold_policy(log_key("nhl"), keys, quorum)
    return RegistryEntry(log_key("nhl").name, did("nhl"), log_key("nhl").to_text(), policy)


def draft() -> MemberListDraft:
    root = ecdsa("founder", "root").public()
    carrier = replace(node_entry("nhl", "carrier"))
    return MemberListDraft(
        name="Titles",
        test=True,
        issued_at=NOW - timedelta(hours=1),
        expires=NOW + timedelta(days=30),
        roots=Roots(1, (root,)),
        nodes=(carrier, *(node_entry(name, "port", "witness") for name in WITNESSES)),
        parties=tuple(
            PartyEntry(did(name), name, did(at), (listed(ecdsa(name, "title"), "title"),))
            for name, at in TRADERS.items()
        ),
        registries=(registry_entry(),),
    )


def member_list(prepared: MemberListDraft | None = None) -> MemberList:
    payload = (prepared or draft()).payload()
    return open_founding(sign_list(payload, [ecdsa("founder", "root")]))


MEMBERS = member_list()
ARBITER: Arbiter = arbiter_of(MEMBERS.registries[0])


def manifest(reference: str = "NHLX0001", document: bytes = b"{}") -> IssuanceManifest:
    return IssuanceManifest(
        network=MEMBERS.network,
        arbiter=ARBITER.id,
        carrier=did("nhl"),
        reference=reference,
        document_checksum=sha256(document),
        issue_to_checksum=sha256(b"issue to"),
        salt=sha256(reference.encode()),
    )


def operation(kind: Kind, title: bytes, seq: int, who: str, to: str | None = None) -> Operation:
    return Operation(
        network=MEMBERS.network,
        arbiter=ARBITER.id,
        title=title,
        seq=seq,
        kind=kind,
        sender=party(who),
        recipient=party(to) if to else None,
        entry=NOTHING,
        deadline=NOW + timedelta(days=1),
        expires=NOW + timedelta(hours=1) if kind is Kind.OFFER else None,
        ending=Ending.DELIVERED if kind is Kind.END else None,
    )


def issue(
    to: str = "exp-a",
    holder: str | None = "bank",
    bill: Bill = Bill.TO_ORDER,
    reference: str = "NHLX0001",
    replaces: bytes | None = None,
) -> Operation:
    named = manifest(reference)
    plain = operation(Kind.ISSUE, named.title(), 0, "nhl", to)
    issuance = Issuance(bill, party(holder) if holder else None, replaces)
    return replace(plain, entry=sha256(named.to_bytes()), issuance=issuance)


def signed(made: Operation, who: str | None = None) -> str:
    name = who or made.sender.did.removeprefix("did:web:").removesuffix(".example")
    return sign_operation(made, ecdsa(name, "title"))


@dataclass
class World:
    """A registry with its log in memory, executed batch by batch."""

    registry: Registry = field(
        default_factory=lambda: Registry(network=MEMBERS.network, arbiter=ARBITER)
    )
    states: dict[bytes, TitleState] = field(default_factory=dict)
    entries: list[bytes] = field(default_factory=list)
    operations: dict[bytes, list[str]] = field(default_factory=dict)
    members: MemberList = MEMBERS

    def open(self, at: datetime = NOW) -> Execution:
        batch = open_batch(self.registry, self.members, times.to_ms(at))
        return Execution(self.registry, batch, self.members, self.states.get)

    def commit(self, run: Execution) -> None:
        self.entries += run.entries()
        _, self.registry = run.close()
        for done in run.applied:
            self.states[done.state.title] = done.state
            self.operations.setdefault(done.state.title, []).append(done.signed.text)

    def run(self, *texts: str, at: datetime = NOW) -> list[Applied]:
        """One batch of operations that must all be accepted."""
        run = self.open(at)
        applied = [run.apply(text) for text in texts]
        self.commit(run)
        return applied

    def go(self, kind: Kind, title: bytes, who: str, to: str | None = None) -> TitleState:
        """One batch with one operation, on top of the title's state."""
        made = operation(kind, title, self.states[title].seq, who, to)
        return self.run(signed(made))[0].state

    def checkpoint(self, witnesses: tuple[str, ...] = WITNESSES, at: datetime = NOW) -> str:
        tree = merkle.Tree(map(merkle.leaf_hash, self.entries))
        head = checkpoint.Checkpoint(ARBITER.origin, tree.size, tree.root())
        made = checkpoint.sign(head, log_key("nhl"), ed("nhl", "registry").sign)
        time = int(at.timestamp())
        lines = tuple(
            cosignature.sign(made.text, time, witness_key(name), ed(name, "registry-witness").sign)
            for name in witnesses
        )
        return replace(made, signatures=made.signatures + lines).to_text()

    def proof(self, title: bytes, witnesses: tuple[str, ...] = WITNESSES[:3]) -> TitleProof:
        """Proof of the title as of the last batch."""
        tree = merkle.Tree(map(merkle.leaf_hash, self.entries))
        index = tree.size - 1
        hashes = tree.inclusion_proof(index, tree.size)
        return TitleProof(
            state=self.states[title],
            path=self.registry.titles.path(map_key(title)),
            number=self.registry.number,
            at=times.from_ms(self.registry.at_ms),
            proof=LogProof(index, hashes, self.checkpoint(witnesses)).to_text(),
        )
