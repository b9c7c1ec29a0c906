"""The story's network before it starts: homes, keys and the founding member list.

Every organisation gets a home of its own with its own keys, as an operator would make it. Three of
them are roots, two of which must sign (R4). Witnesses watch each other's logs: a node's own
organisation never votes on its log (R16), so a witness's log has the other three as its quorum.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from node.chain.keys import relayer_signer
from node.home import Home, write_private
from node.keystore import KeyStore
from node.title.evm_keys import seed_in
from node.trust import founding
from protocols import member_list
from protocols.evm.holder_keys import carrier_signer, governor_signer
from protocols.member_list import (
    Agreement,
    AnchorContractEntry,
    IssuerEntry,
    MemberListDraft,
    NodeEntry,
    PartyEntry,
)
from protocols.members import policies
from protocols.members.anchor_contracts import AnchorSender
from schemas import registry as document_registry
from testnet.chain import Charter
from testnet.ports import free_ports
from testnet.story.scene import load_story

if TYPE_CHECKING:
    from pathlib import Path

    from protocols.member_list import MemberList
    from testnet.chain import ChainPlace

NETWORK_NAME: Final = "Pratique story"
ROOTS: Final = ("cn-port", "sg-port", "nl-port")
ROOT_THRESHOLD: Final = 2
BEHIND_RELAY: Final = "nl-customs"
_COUNTRIES: Final = {"nhl": "SG", "cn-rail": "CN"}
_DESK_TYPES: Final = {
    "CoO-RCEP": "preferential-certificate-of-origin",
    "CoO-nonpref": "certificate-of-origin",
    "CoO-RCEP-back-to-back": "back-to-back-certificate-of-origin",
    "phyto": "phytosanitary-certificate",
    "quality": "quality-certificate",
    "AEO": "aeo-status",
    "origin evaluation": "origin-evaluation",
}
#: What the desks of an office issue beside the certificates that the script names.
_DESK_MORE: Final = {"origin": ("origin evaluation",)}
_ACCEPTED: Final = (("NL", "CN"), ("SG", "CN"), ("KZ", "CN"), ("SG", "KR"), ("SG", "VN"))
_ACCEPTED_MORE: Final = (("CN", "KR"), ("CN", "VN"), ("CN", "NL"), ("CN", "SG"), ("CN", "KZ"))


@dataclass(frozen=True, slots=True)
class Actor:
    """A node of the story. `port` is where it listens, `public_port` where others find it."""

    id: str
    home: Home
    entry: dict[str, Any]
    port: int
    public_port: int

    @property
    def did(self) -> str:
        """Its DID."""
        return did(self.id)

    @property
    def country(self) -> str:
        """ISO 3166-1 alpha-2."""
        return str(self.entry.get("country") or self.entry.get("loc") or _COUNTRIES[self.id])[:2]

    @property
    def roles(self) -> tuple[str, ...]:
        """Its roles in the member list."""
        return tuple(self.entry["roles"])

    def keys(self) -> KeyStore:
        """Its private keys."""
        return KeyStore(self.home.keys, self.did)


def did(actor: str) -> str:
    """The DID of a node or party of the story."""
    return f"did:web:{actor}.example"


class World:
    """Makes and holds what the nodes need before they start."""

    def __init__(
        self, folder: Path, chain: ChainPlace, *, settings: dict[str, Any] | None = None
    ) -> None:
        """`folder` is emptied. settings: sections for every node, as in `pratique.toml`."""
        self.folder = folder
        self.chain = chain
        self.story = load_story()
        self._settings = settings or {}
        nodes = [entry for entry in self.story["actors"] if entry["kind"] == "node"]
        ports = free_ports(len(nodes) + 1)
        self.actors = {
            entry["id"]: Actor(
                entry["id"],
                Home(folder / entry["id"]),
                entry,
                port,
                ports[-1] if entry["id"] == BEHIND_RELAY else port,
            )
            for entry, port in zip(nodes, ports, strict=False)
        }

    @cached_property
    def witnesses(self) -> tuple[str, ...]:
        """The witness nodes."""
        return tuple(self.story["witnesses"]["nodes"])

    @property
    def registry_operator(self) -> str:
        """The node that runs the title registry."""
        return str(self.story["witnesses"]["title_registry"])

    @property
    def _quorum(self) -> int:
        return int(self.story["witnesses"]["quorum"])

    @property
    def parties(self) -> list[dict[str, Any]]:
        """Traders and banks hosted at nodes."""
        return [entry for entry in self.story["actors"] if entry["kind"] == "party"]

    def platform_of(self, party: str) -> str:
        """The code of the platform at which a party has its account; "" when there is none."""
        entry = next(item for item in self.story["actors"] if item["id"] == party)
        return str(self.actors[entry.get("host", party)].entry.get("platform", ""))

    def name(self, actor: str, lang: str = "en") -> str:
        """How people call a node or party."""
        entry = next(item for item in self.story["actors"] if item["id"] == actor)
        return str(entry.get(lang, entry["name"]))

    def found(self, now: datetime | None = None) -> MemberList:
        """Makes all homes and keys, signs the lists and installs them; the list in force.

        The title registry on the chain names the network's id, which is the founding list's: so it
        stands in the list after that.
        """
        shutil.rmtree(self.folder, ignore_errors=True)
        now = now or datetime.now(UTC)
        for actor in self.actors.values():
            self._make_home(actor)
        founded = self._founding_list(now - timedelta(minutes=1))
        held = member_list.open_founding(founded)
        signed = self._second_list(held, now - timedelta(seconds=30))
        lists = member_list.write_export([founded, signed])
        write_private(self.members_file, lists)
        for actor in self.actors.values():
            founding.install(actor.home, lists)
        return member_list.advance(held, signed, now=now)

    @property
    def members_file(self) -> Path:
        """The network's lists in one file."""
        return self.folder / "members.json"

    def charter(self, network: bytes) -> Charter:
        """What the title registry on the chain is deployed with."""
        roots = [governor_signer(self._title_seed(name)) for name in ROOTS]
        carrier = carrier_signer(self._title_seed(self.registry_operator))
        return Charter(network, roots, carrier.address)

    def _title_seed(self, actor: str) -> bytes:
        return seed_in(self.actors[actor].home, did(actor))

    def _make_home(self, actor: Actor) -> None:
        table: dict[str, Any] = {
            "node": {
                "did": actor.did,
                "name": actor.entry["name"],
                "country": actor.country,
                "locode": actor.entry.get("loc", ""),
                "roles": list(actor.roles),
                "platform": actor.entry.get("platform", ""),
            },
            "http": {
                "port": actor.port,
                "public_url": f"http://127.0.0.1:{actor.public_port}",
            },
        }
        for section, values in self._settings.items():
            table[section] = table.get(section, {}) | values
        keys = founding.set_up(actor.home, table)
        if actor.id in ROOTS:
            keys.create("root")
        if actor.id == self.registry_operator:
            keys.create("registry")
        for party in self.parties:
            if party["host"] == actor.id:
                keys.create_party(party["id"], did(party["id"]))

    def _founding_list(self, now: datetime) -> bytes:
        roots = [self.actors[name].keys().signer("root") for name in ROOTS]
        entries = tuple(self._node_entry(actor, now) for actor in self.actors.values())
        draft = MemberListDraft(
            name=NETWORK_NAME,
            test=True,
            issued_at=now,
            expires=now + timedelta(days=90),
            roots=founding.roots_of(roots, ROOT_THRESHOLD),
            nodes=entries,
            parties=tuple(self._party_entry(party, now) for party in self.parties),
            issuers=tuple(self._issuers(now)),
            agreements=tuple(self._agreements(now)),
            logs=tuple(log for log in map(policies.log_of, entries) if log),
        )
        draft = draft.with_anchor_contract(self._anchor_contract(draft))
        witnesses = [did(name) for name in self.witnesses]
        draft = policies.with_witnesses(draft, witnesses, self._quorum)
        sequencer = did(self.registry_operator)
        registry = policies.registry_of(draft, sequencer, witnesses, self._quorum)
        return founding.found(draft.with_registry(registry), roots[:ROOT_THRESHOLD])

    def _anchor_contract(self, draft: MemberListDraft) -> AnchorContractEntry:
        """The contract, and whose calls anchor which log."""
        origins = {log.did: log.origin for log in draft.logs}
        senders = tuple(
            AnchorSender(origins[actor.did], relayer_signer(actor.home, actor.did).address)
            for actor in self.actors.values()
        )
        return AnchorContractEntry(self.chain.anchor_place(), senders)

    def _second_list(self, held: MemberList, now: datetime) -> bytes:
        draft = MemberListDraft.after(held, issued_at=now, expires=now + timedelta(days=90))
        draft = draft.with_arbiter(self.chain.arbiter(held.network))
        roots = [self.actors[name].keys().signer("root") for name in ROOTS[:ROOT_THRESHOLD]]
        return member_list.sign_list(draft.payload(), roots)

    def _node_entry(self, actor: Actor, now: datetime) -> NodeEntry:
        return NodeEntry(
            did=actor.did,
            name=actor.entry["name"],
            roles=actor.roles,
            country=actor.country,
            endpoint=f"http://127.0.0.1:{actor.public_port}",
            keys=founding.listed_keys(actor.keys(), now),
            names={"zh": actor.entry["zh"]},
            locode=actor.entry.get("loc"),
            platform=actor.entry.get("platform"),
        )

    def _party_entry(self, party: dict[str, Any], now: datetime) -> PartyEntry:
        host = self.actors[party["host"]]
        signer = host.keys().parties()[did(party["id"])]
        return PartyEntry(
            did=did(party["id"]),
            name=party["name"],
            host=host.did,
            keys=(founding.listed_key(signer, "title", now),),
            names={"zh": party["zh"]} if "zh" in party else {},
        )

    def _issuers(self, now: datetime) -> list[IssuerEntry]:
        entries = []
        for actor in self.actors.values():
            for office, named in actor.entry.get("desks", {}).items():
                documents = [*named, *_DESK_MORE.get(office, ())]
                entries += [
                    IssuerEntry(actor.did, _DESK_TYPES[name], actor.country, now, office=office)
                    for name in documents
                ]
            entries += [
                IssuerEntry(actor.did, key, actor.country, now)
                for key, kind in document_registry.document_types().items()
                if set(kind.issuer_roles).intersection(actor.roles) - {"issuer"}
            ]
        return entries

    def _agreements(self, now: datetime) -> list[Agreement]:
        everything = tuple(document_registry.document_types())
        return [
            Agreement(
                f"{verifier}-{issuer}-demo".lower(),
                verifier,
                issuer,
                everything,
                now,
                aeo_classes=("AEOF", "AEOS"),
            )
            for verifier, issuer in (*_ACCEPTED, *_ACCEPTED_MORE)
        ]
