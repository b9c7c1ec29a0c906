"""Bills of lading on their way between platforms, each with a chain of two hops, for measuring.

A carrier issues at platform HOME, a party there transfers to one at FARR, which transfers to a
party of the measured node, platform AWAY. All keys are P-256. An envelope carries four signatures
that its receiver verifies: issuance manifest, two entries, envelope manifest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from node.keystore import KeyStore
from protocols import jws
from protocols.keys import SoftwareSigner
from protocols.member_list import ListedKey, MemberListDraft, NodeEntry, PartyEntry, Roots
from protocols.members.proposal import sign_list
from protocols.members.trust import open_founding
from protocols.pint.chain import ChainEntry, following, issuance_manifest
from protocols.pint.envelope import envelope
from protocols.pint.parties import IdentifyingCode, TransactionParty
from protocols.pint.transactions import Transaction
from protocols.pint.words import Action
from protocols.title.operation import ISSUANCE_TYP
from schemas import registry, strict_json
from testnet.bench import nodes
from testnet.bench.nodes import LIFETIME, did

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.home import Home
    from protocols.members.trust import MemberList

SIGNATURES: Final = 4
HERE: Final = "AWAY"
PLATFORMS: Final = {"HOME": "carrier", "FARR": "far", HERE: "here"}
PURPOSES: Final = ("exchange", "title", "platform", "log")


def make_home(folder: Any) -> Home:
    """The home of the measured platform; its settings are the default ones but for two."""
    # The bills are under no registry: what an arbiter answers is not this node's work. And no
    # answer is given up: a machine that stalls is slow, which is what is measured.
    settings: dict[str, dict[str, Any]] = {
        "pint": {"registry_required": False},
        "limits": {"handler_deadline": 60.0},
    }
    return nodes.make_home(folder / HERE, PLATFORMS[HERE], PURPOSES, settings)


@dataclass(frozen=True, slots=True)
class Senders:
    """A carrier and two platforms whose keys nobody keeps, and the list that names them."""

    members: MemberList
    keys: dict[tuple[str, str], SoftwareSigner]
    document: dict[str, Any]
    begin: datetime
    numbers: Iterator[int]

    def envelope(self) -> bytes:
        """The next bill, issued, transferred and transferred again: the body that is posted."""
        number = next(self.numbers)
        document = self.document | {"transportDocumentReference": f"BENCH{number:09d}"}
        issued = issuance_manifest(document, {"partyName": "shipper"})
        manifest = jws.sign(
            strict_json.canonical(issued.to_json()),
            typ=ISSUANCE_TYP,
            signer=self.keys["HOME", "title"],
        )
        carrier, shipper, trader, buyer = _parties()
        deeds = (
            Transaction(Action.ISSUE, carrier, self.begin, shipper),
            Transaction(Action.TRANSFER, shipper, self.begin + timedelta(hours=1), trader),
        )
        first = ChainEntry("HOME", issued.document, deeds, issuance=manifest)
        texts = [first.sign(self.keys["HOME", "platform"])]
        last = Transaction(Action.TRANSFER, trader, self.begin + timedelta(hours=2), buyer)
        sender = self.keys["FARR", "platform"]
        texts.append(following(texts, "FARR", [last]).sign(sender))
        return envelope(document, texts, sender).to_bytes()


def senders(home: Home) -> Senders:
    """Senders whom the platform of that home knows."""
    now = datetime.now(UTC)
    begin = (now - timedelta(days=2)).replace(microsecond=0)
    own = KeyStore(home.keys, did(PLATFORMS[HERE]))
    keys = {
        (code, purpose): _signer(name, purpose)
        for code, name in PLATFORMS.items()
        for purpose in PURPOSES
        if code != HERE
    } | {(HERE, purpose): own.signer(purpose) for purpose in PURPOSES}
    root = SoftwareSigner(f"{did('carrier')}#root-1", ed25519.Ed25519PrivateKey.generate())
    draft = MemberListDraft(
        name="Bench",
        test=True,
        issued_at=begin - timedelta(days=1),
        expires=now + LIFETIME,
        roots=Roots(1, (root.public(),)),
        nodes=tuple(_entry(code, keys, begin - timedelta(days=1)) for code in PLATFORMS),
        parties=(_buyer(own, begin),),
    )
    members = open_founding(sign_list(draft.payload(), [root]), now=now)
    return Senders(members, keys, _bill(), begin, count())


def _signer(name: str, purpose: str) -> SoftwareSigner:
    kid = f"{did(name)}#{purpose}-1"
    if purpose == "log":
        return SoftwareSigner(kid, ed25519.Ed25519PrivateKey.generate())
    return SoftwareSigner(kid, ec.generate_private_key(ec.SECP256R1()))


def _entry(code: str, keys: dict[tuple[str, str], SoftwareSigner], since: datetime) -> NodeEntry:
    name = PLATFORMS[code]
    listed = tuple(
        ListedKey(keys[code, purpose].public(), purpose, did(name), since) for purpose in PURPOSES
    )
    roles = ("carrier", "pint-platform") if code == "HOME" else ("pint-platform",)
    endpoint = f"https://{name}.example"
    return NodeEntry(did(name), name, roles, "NL", endpoint, listed, platform=code)


def _buyer(own: KeyStore, since: datetime) -> PartyEntry:
    signer = own.create_party("buyer", did("buyer"))
    key = ListedKey(signer.public(), "title", did("buyer"), since)
    return PartyEntry(did("buyer"), "buyer", did(PLATFORMS[HERE]), (key,))


def _bill() -> dict[str, Any]:
    """The packaged example, in blank, with this carrier."""
    document: dict[str, Any] = json.loads(registry.example("bill-of-lading"))
    parties = document["documentParties"]
    del parties["endorsee"]
    parties["issuingParty"]["identifyingCodes"] = [_parties()[0].codes[0].to_json()]
    return document


def _parties() -> tuple[TransactionParty, ...]:
    """Carrier, shipper, trader, buyer."""
    named = (("carrier", "HOME"), ("shipper", "HOME"), ("trader", "FARR"), ("buyer", HERE))
    return tuple(
        TransactionParty(name, platform, (IdentifyingCode("W3C", did(name), "DID"),))
        for name, platform in named
    )
