"""An issuer and a verifier of one made network, and what their tests do with them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from protocols.credentials import key_binding, sd_credential
from protocols.keys import SoftwareSigner
from protocols.member_list import Agreement, IssuerEntry, ListedKey, PartyEntry
from testnet.story.documents import build, load_story
from tests.support.network import Member, did_of, make_network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from node.keystore import KeyStore
    from protocols.member_list import MemberListDraft
    from tests.support.network import Made

#: Of one moment: the same certificate made twice is the same, also when the day ends in between.
NOW = datetime.now(UTC)
ISSUER, VERIFIER, PARTY = "cn-cert", "nl-port", "exporter"
COO = "certificate-of-origin"
HOLDER = SoftwareSigner("cnf", ec.derive_private_key(7, ec.SECP256R1()))
FAST = {
    "exchange": {"retry_base": 0.05, "poll_interval": 0.2},
    "log": {"checkpoint_interval": 0.05},
}


def made(folder: Path, *, issuer_url: str = "", fetching: Mapping[str, Any] | None = None) -> Made:
    """Homes and founding list. issuer_url: where the list says that the issuer answers."""

    def change(draft: MemberListDraft, keys: Mapping[str, KeyStore]) -> MemberListDraft:
        start = datetime.now(UTC) - timedelta(days=1)
        signer = keys[ISSUER].create_party(PARTY, did_of(PARTY))
        party = PartyEntry(
            did_of(PARTY),
            "Exporter",
            did_of(ISSUER),
            (ListedKey(signer.public(), "title", did_of(PARTY), start),),
        )
        return replace(
            draft,
            parties=(party,),
            issuers=(IssuerEntry(did_of(ISSUER), COO, "CN", start),),
            agreements=(Agreement("nl-cn", "NL", "CN", (COO,), start),),
        )

    issuer: dict[str, Any] = {"http": {"public_url": issuer_url}} if issuer_url else {}
    settings = FAST | ({"fetching": dict(fetching)} if fetching else {})
    members = {
        ISSUER: Member(roles=("issuer",), settings=settings | issuer),
        VERIFIER: Member(roles=("port",), country="NL", settings=settings),
    }
    return make_network(folder, members, change=change)


def certificate(**changes: Any) -> bytes:
    """A certificate of origin of the story, with some of its members replaced."""
    story = build(load_story(), "A", COO, NOW)
    return json.dumps(json.loads(story.payload) | changes).encode()


def order(payload: bytes, **more: Any) -> dict[str, Any]:
    """The body of POST /v1/documents."""
    return {"payload": base64.b64encode(payload).decode()} | more


def presented(file: bytes, audience: str, nonce: str) -> bytes:
    """The document bound by its holder to one challenge."""
    shown = sd_credential.present(file, [])
    challenge = key_binding.Challenge(audience, nonce)
    bound = key_binding.bind(shown, challenge, at=datetime.now(UTC), signer=HOLDER)
    return bound.text.encode("ascii")
