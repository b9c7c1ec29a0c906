"""Issuing bodies of Korea and China, customs of Singapore and Viet Nam, as real nodes."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from node.balance.service import BalanceService
from node.basis.service import BasisService
from node.cli.main import build
from node.documents.service import DocumentService
from node.exchange.service import ExchangeService
from node.inquiries.service import InquiryService
from node.trust.service import TrustService
from node.verification.service import VerificationService
from protocols.member_list import Agreement, IssuerEntry
from protocols.members import policies
from schemas import registry
from tests.integration.release.road import eventually, operator, send, verdict
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from click.testing import Result

    from node.keystore import KeyStore
    from node.runtime import Node
    from protocols.member_list import MemberListDraft
    from tests.support.network import Made

COO = "preferential-certificate-of-origin"
BACK = "back-to-back-certificate-of-origin"
SERVICES = (
    ("trust", TrustService),
    ("documents", DocumentService),
    ("exchange", ExchangeService),
    ("verification", VerificationService),
    ("balance", BalanceService),
    ("basis", BasisService),
    ("inquiries", InquiryService),
)
TODAY = datetime.now(UTC).date()
UCR = "6CN91310115MA0DEMR00FB261119"
COUNTRIES = ("KR", "CN", "SG", "VN")
FAST = {
    "exchange": {"retry_base": 0.05, "poll_interval": 0.2},
    "status": {"ttl": 2.0},
    "origin": {"tell_issuers": True},
}


def certificate(number: str, country: str = "CN", to: str = "SG", **more: Any) -> bytes:
    """An RCEP certificate over 160 pieces."""
    document = json.loads(registry.example(COO))
    for name in ("inputs", "balance", "departureDate", "consignment"):
        del document[name]
    line = document["goods"][0]
    line |= {"originCountry": country, "originCriterion": "CTC", "cumulation": False}
    del line["fob"], line["regionalValueContent"]
    document |= _head(number, country, to) | more
    return json.dumps(document).encode()


def two_lines(number: str, **more: Any) -> bytes:
    """An RCEP certificate over 500 kilograms of one thing and 60 pieces of another."""
    document = json.loads(certificate(number))
    (line,) = document["goods"]
    kilograms = {"sequence": 1, "quantity": {"value": "500", "unit": "KGM"}}
    pieces = {"sequence": 2, "quantity": {"value": "60", "unit": "H87"}}
    document["goods"] = [line | kilograms, line | pieces | {"description": "Battery racks"}]
    document.pop("totals", None)
    return json.dumps(document | more).encode()


def on_lines(number: str, original: str, kilograms: int, pieces: int) -> bytes:
    """Singapore's certificate for Viet Nam on both lines of such an original."""
    document = json.loads(back_to_back(number, original, pieces))
    (line,) = document["goods"]
    drawn = [(1, str(kilograms), "KGM", "500"), (2, str(pieces), "H87", "60")]
    document["goods"] = [
        line | {"sequence": at, "quantity": {"value": value, "unit": unit}}
        for at, value, unit, _ in drawn
    ]
    for name in ("quantity", "originalQuantity"):
        del document["backToBack"][name]
    document["backToBack"]["lines"] = [
        {
            "line": at,
            "quantity": {"value": value, "unit": unit},
            "originalQuantity": {"value": whole, "unit": unit},
        }
        for at, value, unit, whole in drawn
    ]
    return json.dumps(document).encode()


def back_to_back(number: str, original: str, pieces: int, **more: Any) -> bytes:
    """Singapore's certificate for Viet Nam, on an original from China."""
    document = json.loads(registry.example(BACK))
    del document["departureDate"], document["totals"]
    document["goods"][0]["quantity"]["value"] = str(pieces)
    document["backToBack"] |= {
        "digest": original,
        "issueDate": TODAY.isoformat(),
        "validUntil": (TODAY + timedelta(days=300)).isoformat(),
        "quantity": {"value": str(pieces), "unit": "H87"},
    }
    document |= _head(number, "SG", "VN") | more
    return json.dumps(document).encode()


def pinned(*digests: str) -> list[dict[str, str]]:
    """References to certificates, as `inputs` or `subjects` hold them."""
    return [{"type": COO, "number": f"N-{digest[:8]}", "digest": digest} for digest in digests]


def decision(number: str, declaration: str, *subjects: str) -> bytes:
    """Singapore's customs released a consignment under a declaration."""
    document = json.loads(registry.example("customs-decision"))
    document |= {"number": number, "declarationNumber": declaration, "importCountry": "SG"}
    document["consignment"] = UCR
    document |= {"issueDate": TODAY.isoformat(), "decidedAt": f"{TODAY.isoformat()}T00:00:00Z"}
    document["issuer"] |= {"country": "SG", "did": did_of("sg-customs")}
    if subjects:
        document["subjects"] = pinned(*subjects)
    else:
        document.pop("subjects", None)
    return json.dumps(document).encode()


def _head(number: str, country: str, to: str) -> dict[str, Any]:
    issuer = {"name": "Certification Desk", "address": ["1 Quay"], "country": country}
    return {
        "number": number,
        "issueDate": TODAY.isoformat(),
        "validUntil": (TODAY + timedelta(days=300)).isoformat(),
        "exportCountry": country,
        "importCountry": to,
        "issuer": issuer,
    }


def network(
    tmp_path: Path,
    *,
    port: bool = False,
    witnessed: bool = False,
    settings: Callable[[str], Mapping[str, Any]] = lambda _name: {},
) -> Made:
    """The four homes and their list: everybody takes everybody's certificates.

    port: one node more, which is no authority
    witnessed: everybody witnesses everybody's log
    settings: sections of a node's settings beside those that all have, by its name
    """
    roles = {
        "kr-cert": ("issuer", "KR"),
        "cn-cert": ("issuer", "CN"),
        "sg-customs": ("customs", "SG"),
        "vn-customs": ("customs", "VN"),
        **({"port": ("port", "SG")} if port else {}),
    }
    members = {
        name: Member((role,), country, settings={**FAST, **settings(name)})
        for name, (role, country) in roles.items()
    }
    return make_network(tmp_path, members, change=_witnessed if witnessed else _change)


def _witnessed(draft: MemberListDraft, keys: Mapping[str, KeyStore]) -> MemberListDraft:
    logs = tuple(log for node in draft.nodes if (log := policies.log_of(node)))
    draft = replace(_change(draft, keys), logs=logs)
    return policies.with_witnesses(draft, [node.did for node in draft.nodes])


def _change(draft: MemberListDraft, _keys: Mapping[str, KeyStore]) -> MemberListDraft:
    start = datetime.now(UTC) - timedelta(days=1)
    types = tuple(registry.document_types())
    issuers = (
        IssuerEntry(did_of("kr-cert"), COO, "KR", start),
        IssuerEntry(did_of("cn-cert"), COO, "CN", start),
        IssuerEntry(did_of("vn-customs"), COO, "VN", start),
        IssuerEntry(did_of("sg-customs"), BACK, "SG", start),
        IssuerEntry(did_of("sg-customs"), "customs-decision", "SG", start),
        IssuerEntry(did_of("vn-customs"), "customs-decision", "VN", start),
    )
    pairs = [(a, b) for a in COUNTRIES for b in COUNTRIES if a != b]
    agreements = [Agreement(f"{a}-{b}".lower(), a, b, types, start) for a, b in pairs]
    return replace(draft, issuers=issuers, agreements=tuple(agreements))


@asynccontextmanager
async def certificate_nodes(
    where: Path | Made, *, port: bool = False
) -> AsyncIterator[dict[str, Node]]:
    """The four nodes, running. where: their homes, or the folder in which to make them."""
    made = network(where, port=port) if isinstance(where, Path) else where
    async with running_network(made, services=SERVICES) as running:
        yield running


async def issue(node: Node, payload: bytes, *to: str) -> str:
    """Issue and send; the digest."""
    body = {"payload": base64.b64encode(payload).decode()}
    digest: str = (await operator(node).apost("/v1/documents", body))["digest"]
    if to:
        await send(node, digest, *to)
    return digest


async def arrived(nodes: Mapping[str, Node], digest: str, *names: str) -> None:
    """Wait until the document is verified there."""
    for name in names:
        assert await eventually(lambda name=name: verdict(nodes[name], digest)) == "PASSED"


async def operate(
    node: Node,
    certificate: str,
    action: str,
    declaration: str,
    value: int | None = None,
    line: int | None = None,
    unit: str = "H87",
) -> dict[str, Any]:
    """One operation on a balance."""
    order: dict[str, Any] = {"action": action, "declaration": declaration}
    if value is not None:
        order["quantity"] = {"value": str(value), "unit": unit}
    if line is not None:
        order["line"] = line
    body: dict[str, Any] = await operator(node).apost(f"/v1/balances/{certificate}", order)
    return body


async def command(node: Node, *arguments: str) -> Result:
    """A command of the operator's against the running node."""
    asked = [*arguments, "--home", str(node.home.path)]
    return await asyncio.to_thread(CliRunner().invoke, build(asked), asked)


async def balance(node: Node, certificate: str) -> dict[str, Any]:
    """What is shown of a balance at a node."""
    body: dict[str, Any] = await operator(node).aget(f"/v1/balances/{certificate}")
    return body
