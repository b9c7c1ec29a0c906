"""Real nodes that hold the papers of the story's consignments, as far as they are compared."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from node.balance.service import BalanceService
from node.consistency.service import ConsistencyService
from node.documents.service import DocumentService
from node.exchange.service import ExchangeService
from node.trust.service import TrustService
from node.verification.service import VerificationService
from protocols.member_list import Agreement, IssuerEntry
from protocols.rights import is_official
from schemas import registry
from testnet.story.documents import build, load_story
from tests.integration.release.road import operator, send
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from node.keystore import KeyStore
    from node.runtime import Node, Service
    from protocols.member_list import MemberListDraft

STORY = load_story()
A = "6CN91370784MA0DEMQ00FA261118"
C = "6CN91610132MA0DEMT00WC261120"
FAST = {"exchange": {"retry_base": 0.05, "poll_interval": 0.2}, "status": {"ttl": 60.0}}
SERVICES: tuple[tuple[str, Callable[[Node], Service]], ...] = (
    ("trust", TrustService),
    ("documents", DocumentService),
    ("balance", BalanceService),
    ("exchange", ExchangeService),
    ("verification", VerificationService),
    ("consistency", ConsistencyService),
)
# No agreement of this network recognises it abroad.
UNRECOGNISED = "fumigation-certificate"
HOSTS = {"nhl": ("carrier",), "cn-rail": ("carrier",), "cn-cert": ("issuer",)}


def generated(number: int, chance: random.Random) -> list[tuple[str, str, bytes]]:
    """Papers of a made-up consignment: issuing node, type and payload; some are wrong on purpose.

    Left out may be the plant-health certificate, added one that nobody recognises; weights,
    containers and dates may differ between the papers, a certificate may expire.
    """
    ucr = f"6CN91370784MA0DEMQ00FP{number:06d}"
    goods = chance.choice(("091011", "850760", "854143"))
    kinds = ["certificate-of-origin", "packing-list", "commercial-invoice", "quality-certificate"]
    kinds = chance.sample(kinds, chance.randint(1, 3))
    if chance.random() < 0.2:
        kinds.append(UNRECOGNISED)
    papers = [("nhl", "bill-of-lading", _bill(number, goods))]
    for key in kinds:
        document = json.loads(registry.example(key))
        document |= {"number": f"{document['number']}-{number}", "consignment": ucr}
        for line in document.get("goods", ()):
            line["hs"] = goods
        if chance.random() < 0.2 and "totals" in document:
            weight = {"value": str(chance.randint(25000, 29000)), "unit": "KGM"}
            boxes = [each for each in document.get("containers", ()) if "grossWeight" in each]
            for part in (document["goods"][0], document["totals"], *boxes):
                part["grossWeight"] = weight
        if chance.random() < 0.1 and "containers" in document:
            document["containers"] = [{"number": "NHLU4188222"}]
        papers.append(("cn-cert", key, json.dumps(document).encode()))
    if goods == "091011" and chance.random() < 0.7:
        phyto = registry.example("phytosanitary-certificate")
        named = phyto.replace(b"CN-PC-2026-004417", f"CN-PC-2026-9{number:06d}".encode())
        papers.append(("cn-cert", "phytosanitary-certificate", named))
    return papers


def _bill(number: int, goods: str) -> bytes:
    bill = json.loads(registry.example("bill-of-lading"))
    bill["transportDocumentReference"] = f"NHLGEN{number:06d}"
    bill["consignmentItems"][0]["HSCodes"] = [goods]
    return json.dumps(bill).encode()


def _change(draft: MemberListDraft, _keys: Mapping[str, KeyStore]) -> MemberListDraft:
    start = datetime.now(UTC) - timedelta(days=1)
    types = tuple(key for key in registry.document_types() if key != UNRECOGNISED)
    every = registry.document_types()
    carried = [
        key for key, kind in every.items() if is_official(kind) and "issuer" in kind.issuer_roles
    ]
    desk = did_of("cn-cert")
    here = any(each.did == desk for each in draft.nodes)
    issuers = [IssuerEntry(desk, key, "CN", start) for key in carried if here]
    pairs = [(a, b) for a in ("NL", "KZ") for b in ("CN", "SG")]
    agreements = [
        Agreement(f"{a}-{b}".lower(), a, b, types, start, aeo_classes=("AEOF", "AEOS"))
        for a, b in pairs
    ]
    return replace(draft, issuers=tuple(issuers), agreements=tuple(agreements))


@asynccontextmanager
async def papers_nodes(
    folder: Path,
    *more: tuple[str, Callable[[Node], Service]],
    names: tuple[str, ...] = ("cn-cert", "nhl", "nl-port"),
) -> AsyncIterator[dict[str, Node]]:
    """These nodes, started, with the services of the papers and `more`."""
    countries = {"nl": "NL", "kz": "KZ"}
    members = {
        name: Member(
            roles=HOSTS.get(name, ("port", "dry-port", "customs")),
            country=countries.get(name[:2], "CN"),
            settings=FAST,
        )
        for name in names
    }
    made = make_network(folder, members, change=_change)
    async with running_network(made, services=(*SERVICES, *more)) as running:
        yield running


async def issue(
    node: Node, consignment: str, key: str, *to: str, edit: tuple[bytes, bytes] = (b"", b"")
) -> str:
    """Issue a document of the story and send it; `edit` replaces bytes of its payload."""
    document = build(STORY, consignment, key, datetime.now(UTC))
    payload = document.payload.replace(*edit) if edit[0] else document.payload
    body: dict[str, Any] = {
        "payload": base64.b64encode(payload).decode(),
        "type": document.document_type,
        "consignment": document.consignment_ucr,
        "exportCountry": document.export_country,
        "importCountry": document.import_country,
    }
    digest: str = (await operator(node).apost("/v1/documents", body))["digest"]
    if to:
        await send(node, digest, *to)
    return digest
