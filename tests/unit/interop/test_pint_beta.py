"""The conformance toolkit's older dialect: read in the words of the standard, on test networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from interop.pint_beta import ACTIONS, BetaDialect, beta
from protocols import times
from protocols.pint import signed
from protocols.pint.envelope import EblEnvelope, envelope
from protocols.pint.judgement import Judgement, Outcome
from protocols.pint.parties import TransactionParty
from protocols.pint.platforms import Keyring, Signatory
from protocols.pint.receiver import RegistryPolicy
from protocols.pint.words import Response
from schemas import strict_json
from schemas.errors import SettingsError
from tests.support import pint_world as w

TEST = RegistryPolicy(frozenset(), required=False, test=True)


@dataclass(frozen=True)
class ToolkitKeys(Keyring):
    """Everything is signed by OUTS, whatever platform an entry names."""

    def platform(self, code: str) -> Signatory | None:
        return w.keyring().platform("OUTS")

    def carrier(self, issuer: TransactionParty) -> Signatory | None:
        return w.keyring().platform("OUTS")


def transaction(action: str, minute: int, **more: Any) -> dict[str, Any]:
    actor = w.party("toolkit", "BOLE").to_json()
    at = times.to_ms(w.START) + minute * 60_000
    told = {"action": action, "actionCode": "ISSUE", "timestamp": at, "comments": None}
    return told | {"actor": actor, "recipient": w.BUYER.to_json()} | more


def entry(previous: bytes | None, *transactions: dict[str, Any]) -> str:
    body = {
        "eblPlatform": "BOLE",
        "transportDocumentChecksum": w.checksum_of(w.bill()).hex(),
        "previousEnvelopeTransferChainEntrySignedContentChecksum": previous and previous.hex(),
        "transactions": list(transactions),
    }
    return signed.sign(strict_json.canonical(body), signer=w.CertifiedSigner())


def sent(texts: list[str]) -> dict[str, Any]:
    """The body with the issuance manifest at its root, where the toolkit has it."""
    document = w.bill()
    made = envelope(document, texts, w.CertifiedSigner())
    manifest = {"documentChecksum": made.document_checksum.hex(), "issueToChecksum": "ab" * 32}
    text = signed.sign(strict_json.canonical(manifest), signer=w.CertifiedSigner())
    return strict_json.loads_object(made.to_bytes()) | {"issuanceManifestSignedContent": text}


def judged(body: dict[str, Any], platform: w.Platform | None = None, **more: Any) -> Judgement:
    changes = {"keyring": ToolkitKeys(), "registries": TEST, "dialect": beta} | more
    return (platform or w.Platform()).judge(strict_json.canonical(body), **changes)


def two_hops() -> list[str]:
    first = entry(None, transaction("ISSU", 1))
    return [first, entry(signed.checksum(first), transaction("TRNS", 2))]


def test_the_toolkits_chains_are_taken_and_repeated_as_the_standard_says() -> None:
    for texts in ([entry(None, transaction("ISSU", 1))], two_hops()):
        platform, body = w.Platform(), sent(texts)
        first = judged(body, platform)
        assert first.outcome is Outcome.READY
        platform.accept(first)
        assert judged(body, platform).finished().response is Response.DUPE
        again = [*texts[:-1], w.resigned(texts[-1], w.CertifiedSigner())]
        resent = body | {"envelopeTransferChain": again}
        assert judged(resent, platform).finished().duplicate_of == texts[-1]
        more = strict_json.loads_object(signed.parse(texts[-1]).payload)
        more["transactions"].insert(0, transaction("TRNS", 0))
        changed = signed.sign(strict_json.canonical(more), signer=w.CertifiedSigner())
        altered = body | {"envelopeTransferChain": [*texts[:-1], changed]}
        assert judged(altered, platform).finished().response is Response.DISE


def test_by_the_letter_of_the_standard_they_are_refused() -> None:
    assert judged(sent(two_hops()), dialect=None).finished().response is Response.BENV


def test_a_bad_signature_and_a_wrong_recipient_are_told_as_ever() -> None:
    texts = two_hops()
    body = sent(texts)
    bad = body["envelopeManifestSignedContent"].rpartition(".")[0] + ".AAAA"
    refused = judged(body | {"envelopeManifestSignedContent": bad})
    assert refused.finished().response is Response.BSIG
    elsewhere = w.party("imp-a", "WAVE").to_json()
    first = [entry(None, transaction("ISSU", 1, recipient=elsewhere))]
    assert judged(sent(first)).finished().response is Response.BENV


def test_issue_is_still_first_and_once() -> None:
    for texts in (
        [entry(None, transaction("TRNS", 1))],
        [entry(None, transaction("ISSU", 1), transaction("ISSU", 2))],
    ):
        assert judged(sent(texts)).finished().response is Response.BENV


def test_r7_the_dialect_is_for_test_networks_only() -> None:
    with pytest.raises(SettingsError, match="pint_dialect_refused"):
        judged(sent(two_hops()), registries=RegistryPolicy(required=False))


def test_what_the_dialect_does_not_know_it_leaves_alone() -> None:
    dialect = beta(EblEnvelope({}, "a.b.c", ("a.b.c",)))
    assert dialect == BetaDialect()
    odd: list[Any] = [1, {"action": "BETR"}, {"timestamp": True}, {"timestamp": 10**18}]
    assert dialect.entry({"transactions": odd}, 0) == {"transactions": odd}
    assert dialect.entry({"transactions": 1, "x": None}, 0) == {"transactions": 1}
    assert len(set(ACTIONS.values())) == len(ACTIONS)
