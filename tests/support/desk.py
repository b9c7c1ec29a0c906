"""A certification desk in a network of its own, and what comes to it."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from node.documents.orders import read_issue, subject_of
from protocols import review
from protocols.member_list import IssuerEntry
from schemas import registry
from tests.support.approvers import Approver, signed_at
from tests.support.network import Member, did_of, make_network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from node.home import Home
    from node.keystore import KeyStore
    from node.operator import OperatorClient
    from protocols.approval import Subject
    from protocols.member_list import MemberListDraft

COO, QUALITY = "certificate-of-origin", "quality-certificate"
MANY = "/v1/review/applications"


def make_desk(folder: Path) -> Home:
    """The home of a desk that may issue two types of document."""

    def change(draft: MemberListDraft, _keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        entries = [IssuerEntry(did_of("cn-cert"), key, "CN", start) for key in (COO, QUALITY)]
        return replace(draft, issuers=tuple(entries))

    members = {"cn-cert": Member(roles=("issuer",))}
    return make_network(folder, members, change=change).homes["cn-cert"]


def put_policy(home: Home, types: Mapping[str, Mapping[str, Any]], **more: Any) -> None:
    """A policy of the desk's own: the packaged default, and these changes of it by type."""
    data = json.loads(review.packaged())
    edition = data["editions"][0]
    made = {key: edition["default"] | change for key, change in types.items()}
    edition |= {"types": made} | more.pop("edition", {})
    del data["binding"]
    (home.path / "review-policy.json").write_text(json.dumps(data | more))


def certificate(number: int, **more: Any) -> bytes:
    """A certificate of origin of that number."""
    document = json.loads(registry.example(COO))
    document |= {"number": f"CN-2026-{number:06d}"}
    for name in ("consignment", "balance"):
        document.pop(name, None)
    document |= more
    return json.dumps(document, separators=(",", ":")).encode()


def body_of(payload: bytes, **more: Any) -> dict[str, Any]:
    """What POST /v1/documents takes."""
    return {"payload": base64.b64encode(payload).decode(), **more}


def subject_of_body(body: Mapping[str, Any]) -> Subject:
    """What is approved with that order, worked out as the signer does."""
    order = read_issue(body)
    key = order.type or registry.detect(order.payload) or ""
    return subject_of(order, key, registry.examine(key, order.payload).view.number)


def applied(client: OperatorClient, payload: bytes, **more: str) -> dict[str, Any]:
    """An application, once the rules have looked at it."""
    return reviewed(client, client.post(MANY, body_of(payload, **more))["application"])


def reviewed(client: OperatorClient, n: int, *but: str) -> dict[str, Any]:
    """The application once it is in no state of `but` and no longer to be reviewed."""
    return _until(client, n, lambda state: state not in ("received", *but))


def issued_by(client: OperatorClient, n: int) -> dict[str, Any]:
    """The application once it became a document."""
    return _until(client, n, lambda state: state == "issued")


def _until(client: OperatorClient, n: int, wanted: Any) -> dict[str, Any]:
    end = time.monotonic() + 60
    while True:
        kept = client.get(f"{MANY}/{n}")
        if wanted(kept["state"]):
            return dict(kept)
        if time.monotonic() > end:
            raise AssertionError(kept)
        time.sleep(0.05)


def subject_at(client: OperatorClient, n: int) -> Subject:
    """What a person signs who decides on that application."""
    return subject_of_body(client.get(f"{MANY}/{n}/order"))


def decide(client: OperatorClient, n: int, who: Approver, **more: Any) -> Any:
    """A person's decision on an application, signed and sent."""
    text = signed_at(client, who, subject_at(client, n), **more)
    return client.post(f"{MANY}/{n}/decision", {"approval": text})
