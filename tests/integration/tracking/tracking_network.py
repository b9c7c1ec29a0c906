"""Three platforms: one keeps the register, two pass on the bill of a carrier with a certificate."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from node.exchange.service import ExchangeService
from node.log.service import LogService
from node.log.witness_service import WitnessService
from node.title.service import TitleService
from node.tracking import policy
from node.tracking.client import Bill
from node.tracking.service import TrackingService
from protocols.members import policies
from protocols.members.anchors import CREDENTIAL, AnchorEntry
from protocols.pint import signed
from protocols.pint.chain import ChainEntry, following, issuance_manifest
from protocols.pint.parties import IdentifyingCode, TransactionParty
from protocols.pint.reading import checksum_of
from protocols.pint.transactions import Transaction
from protocols.pint.words import Action
from tests.support import pint_world
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft
    from tests.support.network import Made

CODES = {"home": "HOME", "away": "AWAY", "keep": "KEEP"}
CARRIER = "ocean"
PURPOSES = ("credential", "exchange", "log", "witness", "title", "platform")
SERVICES = (
    ("exchange", ExchangeService),
    ("log", LogService),
    ("witness", WitnessService),
    ("title", TitleService),
    ("tracking", TrackingService),
)
FAST = {
    "log": {"checkpoint_interval": 0.05},
    "exchange": {"retry_base": 0.05, "poll_interval": 0.2},
}


def made(folder: Path) -> Made:
    """Homes, keys and a list with platform codes, witnessed logs and the carrier's certificate."""

    def change(draft: MemberListDraft, _keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        names = {did_of(name): code for name, code in CODES.items()}
        nodes = tuple(replace(one, platform=names[one.did]) for one in draft.nodes)
        ocean = replace(
            nodes[0], did=did_of(CARRIER), name="Ocean", roles=("carrier",), keys=(),
            platform=None, endpoint="https://ocean.example",
        )  # fmt: skip
        anchor = AnchorEntry(CREDENTIAL, did_of(CARRIER), pint_world.outside().der, start)
        logs = tuple(log for one in nodes if (log := policies.log_of(one)) is not None)
        draft = replace(draft, nodes=(*nodes, ocean), anchors=(anchor,), logs=logs)
        return policies.with_witnesses(draft, list(names))

    member = Member(roles=("pint-platform",), purposes=PURPOSES, settings=FAST)
    return make_network(folder, dict.fromkeys(CODES, member), change=change)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[dict[str, Node]]:
    """The whole network, started."""
    async with running_network(made(folder), services=SERVICES) as nodes:
        yield nodes


def party(name: str, code: str) -> TransactionParty:
    """A party by DID at a platform."""
    return TransactionParty(name, code, (IdentifyingCode("W3C", did_of(name), "DID"),))


def act(
    action: Action, actor: TransactionParty, recipient: TransactionParty | None = None
) -> Transaction:
    """One transaction, now."""
    return Transaction(action, actor, datetime.now(UTC) - timedelta(seconds=5), recipient)


def document(number: str = "OCEAN-1") -> dict[str, Any]:
    """A small transport document; the register sees its checksum alone."""
    return {"transportDocumentReference": number}


def chain(node: Node, number: str = "OCEAN-1", registry: str | None = None) -> list[str]:
    """The first entry: issued by the carrier to a party at HOME, transferred to one at AWAY."""
    whole = document(number)
    manifest = issuance_manifest(whole, {"partyName": "exp-a"})
    entry = ChainEntry(
        "HOME",
        checksum_of(whole),
        (
            act(Action.ISSUE, party(CARRIER, "HOME"), party("exp-a", "HOME")),
            act(Action.TRANSFER, party("exp-a", "HOME"), party("imp-a", "AWAY")),
        ),
        issuance=manifest.sign(pint_world.CertifiedSigner()),
        registry=registry or policy.record_uri(node.members.current, did_of("keep")),
    )
    return [entry.sign(node.keys.signer("platform"))]


def further(texts: list[str], node: Node, code: str, to: TransactionParty) -> list[str]:
    """The chain with one more entry, by the platform of `code`."""
    moved = act(Action.TRANSFER, party("imp-a", code), to)
    return [*texts, following(texts, code, [moved]).sign(node.keys.signer("platform"))]


def bill(node: Node, texts: list[str], number: str = "OCEAN-1") -> Bill:
    """The bill at the register, as a platform asks for it."""
    uri = policy.record_uri(node.members.current, did_of("keep"))
    return Bill(uri, checksum_of(document(number)), texts[0])


def last(texts: list[str]) -> bytes:
    """The checksum of the last entry."""
    return signed.checksum(texts[-1])
