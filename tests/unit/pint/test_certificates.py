"""Certificates in a stranger's `x5c`: judged wherever they stand, trusted by an anchor only."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from protocols import base64url
from protocols.keys import SoftwareSigner
from protocols.members.anchors import AnchorEntry
from protocols.members.entries import AlgorithmEntry
from protocols.pint import signed
from protocols.pint.envelope import envelope
from protocols.pint.judgement import Outcome
from protocols.pint.platforms import MemberKeyring, Signatory
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.words import Response
from schemas import strict_json
from schemas.catalogue import explain
from tests.support import pint_world as w
from tests.support import pki
from tests.support.pki import Authority, Spec, make
from tests.unit.pint.judging import judged

PAYLOAD = b'{"a":1}'
ROOT = make(Spec("industry root", ca=True, serial=99))
MIDDLE = ROOT.issue(Spec("industry intermediate", ca=True))
LEAF = MIDDLE.issue(Spec("leaf"))
CHAIN = [LEAF.der, MIDDLE.der]
NHL = w.did("nhl")


def anchor(authority: Authority = ROOT, code: str = "CERT", **more: Any) -> AnchorEntry:
    return AnchorEntry("platform", code, authority.der, w.START, **more)


def signatory(code: str = "CERT", *anchors: AnchorEntry, **more: Any) -> Signatory:
    draft = w.draft(anchors=anchors or (anchor(),), **more)
    found = MemberKeyring(w.member_list(draft)).platform(code)
    assert found is not None
    return found


def text(
    chain: list[bytes], by: Authority = LEAF, kid: str | None = "any-name", **header: Any
) -> str:
    """A JWS as a stranger writes it, with whatever header."""
    encoded = [base64.b64encode(one).decode() for one in chain]
    members = {"alg": "ES256", **({"kid": kid} if kid else {}), "x5c": encoded} | header
    start = f"{base64url.encode(strict_json.canonical(members))}.{base64url.encode(PAYLOAD)}"
    made = SoftwareSigner("any", by.key).sign(start.encode())
    return f"{start}.{base64url.encode(made)}"


def refused(who: Signatory, jws: str, at: datetime = w.NOW) -> str:
    with pytest.raises(EnvelopeRefusedError) as raised:
        who.verify(signed.parse(jws), at)
    assert raised.value.response is Response.BSIG
    assert explain(raised.value.code)
    return raised.value.code


def _listed_key(name: str = "nhl", purpose: str = "platform") -> Authority:
    """A certificate over the key that the member list has of HOME."""
    signer = w.ecdsa(name, purpose)
    number = int.from_bytes(pki.sha256(f"{name} {purpose}".encode()), "big") >> 1
    key = pki.ec.derive_private_key(number, pki.ec.SECP256R1())
    spec = Spec("leaf of a listed key", key=key)
    made = MIDDLE.issue(spec)
    assert SoftwareSigner(signer.kid, key).public().thumbprint() == signer.public().thumbprint()
    return made


def test_r7_a_chain_to_the_anchor_of_the_platforms_code_is_attributed() -> None:
    who = signatory()
    for chain in (CHAIN, [*CHAIN, ROOT.der]):
        for kid in (None, "any-name"):
            who.verify(signed.parse(text(chain, kid=kid)), w.NOW)
    signatory("CERT", anchor(MIDDLE)).verify(signed.parse(text(CHAIN)), w.NOW)


def test_r7_without_an_anchor_of_that_code_a_chain_is_nobodys() -> None:
    other = make(Spec("another root", ca=True))
    twin = make(Spec("industry root", ca=True, key=pki.key_of("twin"), serial=99))
    for root in (other, twin):
        assert refused(signatory("CERT", anchor(root)), text(CHAIN)) == "pint_certificate_refused"
    # Of the list, yet of another code, or for something else.
    who = signatory("ELSE", anchor(), anchor(other, "ELSE"))
    assert refused(who, text(CHAIN)) == "pint_certificate_refused"
    stamp = replace(anchor(), purpose="timestamp", subject="https://time.example")
    who = signatory("CERT", stamp, anchor(other))
    assert refused(who, text(CHAIN)) == "pint_certificate_refused"
    assert refused(signatory("HOME"), text(CHAIN)) == "pint_key_unknown"
    gap = text([LEAF.der])
    assert refused(signatory(), gap) == "pint_certificate_refused"
    assert refused(signatory(), text(CHAIN[::-1])) == "pint_certificate_refused"


def test_r7_a_chain_counts_within_the_times_of_its_certificates_and_its_anchor() -> None:
    week = timedelta(days=7)
    ended = MIDDLE.issue(Spec("leaf", end=w.NOW - timedelta(seconds=1)))
    chain = [ended.der, MIDDLE.der]
    assert refused(signatory(), text(chain)) == "pint_certificate_refused"
    signatory().verify(signed.parse(text(chain)), w.NOW - week)
    early = MIDDLE.issue(Spec("leaf", start=w.NOW + timedelta(seconds=1)))
    assert refused(signatory(), text([early.der, MIDDLE.der])) == "pint_certificate_refused"
    between = ROOT.issue(Spec("industry intermediate", ca=True, end=w.NOW - week))
    assert refused(signatory(), text([LEAF.der, between.der])) == "pint_certificate_refused"
    short = anchor(valid_until=w.NOW)
    assert refused(signatory("CERT", short), text(CHAIN)) == "pint_key_unknown"


def test_the_leafs_key_is_the_one_that_signed_by_its_own_algorithm() -> None:
    stranger = make(Spec("stranger"))
    assert refused(signatory(), text(CHAIN, by=stranger)) == "bad_signature"
    for alg in ("ES384", "RS256", "EdDSA"):
        assert refused(signatory(), text(CHAIN, alg=alg)) == "bad_signature"


def test_a_certified_key_of_a_kind_that_no_member_has_counts_by_its_chain() -> None:
    leaf = MIDDLE.issue(Spec("rsa leaf", key=w.rsa_key()))
    made = signed.sign(PAYLOAD, signer=w.CertifiedSigner(), x5c=[leaf.der, MIDDLE.der])
    signatory().verify(signed.parse(made), w.NOW)
    assert refused(signatory("ELSE", anchor(LEAF, "ELSE")), made) == "pint_certificate_refused"


def test_a_key_or_address_in_the_header_is_never_followed() -> None:
    """x5u, jku and jwk name a key of the writer's own choice; a listening socket is not needed: the
    core has no way to connect."""
    stranger = make(Spec("stranger"))
    jwk = dict(SoftwareSigner("a", stranger.key).public().jwk)
    lures = {"jwk": jwk, "x5u": "https://evil.example/chain.pem", "jku": "https://evil.example"}
    assert refused(signatory(), text(CHAIN, by=stranger, **lures)) == "bad_signature"
    header = {"alg": "ES256", **lures}
    start = f"{base64url.encode(strict_json.canonical(header))}.{base64url.encode(PAYLOAD)}"
    made = SoftwareSigner("any", stranger.key).sign(start.encode())
    alone = f"{start}.{base64url.encode(made)}"
    assert refused(signatory(), alone) == "bad_signature"
    assert refused(signatory("HOME"), alone) == "bad_signature"


@pytest.mark.parametrize("count", [7, 11])
def test_more_than_six_certificates_are_no_header(count: int) -> None:
    document, texts = w.simple()
    x5c = [base64.b64encode(LEAF.der).decode()] * count
    data = w.pack(document, [w.with_header(texts[0], alg="ES256", x5c=x5c)])
    assert judged(data) == ("PINT-03", "pint_jws_malformed", "BSIG")


def test_certificates_beyond_the_headers_cap_are_refused_unread() -> None:
    document, texts = w.simple()
    x5c = [base64.b64encode(bytes(5_000)).decode()] * 5
    data = w.pack(document, [w.with_header(texts[0], alg="ES256", x5c=x5c)])
    assert judged(data) == ("PINT-03", "jws_too_large", "BSIG")


def test_kid_and_certificates_that_disagree_are_refused() -> None:
    """The key that kid names signed, and the certificates are another's: both are looked at."""
    home, own = w.platform_key("HOME"), _listed_key()
    who = signatory("HOME", anchor(code="HOME"))
    who.verify(signed.parse(text([own.der, MIDDLE.der], by=own, kid=home.kid)), w.NOW)
    forged = text(CHAIN, by=own, kid=home.kid)
    assert refused(who, forged) == "pint_certificate_refused"
    # And the other way round: a certified key under the name of a listed one.
    assert refused(who, text(CHAIN, kid=home.kid)) == "bad_signature"


def test_r7_a_listed_key_does_not_excuse_certificates_that_lead_nowhere() -> None:
    home, own = w.platform_key("HOME"), _listed_key()
    jws = text([own.der, MIDDLE.der], by=own, kid=home.kid)
    assert refused(signatory("HOME"), jws) == "pint_certificate_refused"
    root = make(Spec("another root", ca=True))
    assert refused(signatory("HOME", anchor(root, "HOME")), jws) == "pint_certificate_refused"
    plain = signed.sign(PAYLOAD, signer=home)
    signatory("HOME").verify(signed.parse(plain), w.NOW)


def _with_keys(change: Any) -> Any:
    home = w.draft().nodes[0]
    return (replace(home, keys=tuple(map(change, home.keys))), *w.draft().nodes[1:])


@pytest.mark.parametrize(
    "change",
    [
        {"compromised_from": w.START, "compromise_announced": w.START},
        {"valid_until": w.NOW - timedelta(days=1)},
    ],
)
def test_r17_a_lost_or_ended_key_does_not_come_back_by_a_certificate(change: Any) -> None:
    """Its certificate is known to everybody, and no name that the list does not have helps it."""
    nodes = _with_keys(lambda key: replace(key, **change) if key.purpose == "platform" else key)
    who, own = signatory("HOME", anchor(code="HOME"), nodes=nodes), _listed_key()
    for kid in (None, "any-name"):
        jws = text([own.der, MIDDLE.der], by=own, kid=kid)
        assert refused(who, jws) == "pint_key_not_valid"
    who.verify(signed.parse(text(CHAIN)), w.NOW)


def test_r1_a_key_of_another_purpose_is_not_certified_into_a_platforms() -> None:
    title = _listed_key(purpose="title")
    who = signatory("HOME", anchor(code="HOME"))
    assert refused(who, text([title.der, MIDDLE.der], by=title)) == "pint_key_not_valid"


def test_r3_an_algorithm_that_the_list_ends_ends_for_certified_keys_too() -> None:
    who = signatory("CERT", algorithms=(AlgorithmEntry("ES256", w.NOW - timedelta(days=1)),))
    assert refused(who, text(CHAIN)) == "pint_key_not_valid"
    who.verify(signed.parse(text(CHAIN)), w.NOW - timedelta(days=2))


def test_r7_under_an_anchor_of_two_platforms_a_certificate_names_the_member() -> None:
    """One industry CA for several platforms must not let each sign as the other."""
    shared = (anchor(code="HOME"), anchor(code="AWAY"))
    home = signatory("HOME", *shared)
    assert refused(home, text(CHAIN)) == "pint_certificate_refused"
    named = MIDDLE.issue(Spec("leaf", uri=w.did("nhl")))
    jws = text([named.der, MIDDLE.der], by=named)
    home.verify(signed.parse(jws), w.NOW)
    assert refused(signatory("AWAY", *shared), jws) == "pint_certificate_refused"
    # The other's anchor may be an intermediate below ours, or the same authority, renewed.
    again = make(Spec("industry root", ca=True, serial=100))
    for others in (anchor(MIDDLE, "AWAY"), anchor(again, "AWAY")):
        who = signatory("HOME", anchor(code="HOME"), others)
        assert refused(who, text(CHAIN)) == "pint_certificate_refused"
    unreadable = replace(anchor(code="AWAY"), certificate=b"\x30\x00")
    signatory("HOME", anchor(code="HOME"), unreadable).verify(signed.parse(text(CHAIN)), w.NOW)
    over = replace(anchor(code="AWAY"), valid_until=w.START + timedelta(days=1))
    signatory("HOME", anchor(code="HOME"), over).verify(signed.parse(text(CHAIN)), w.NOW)


def test_a_listed_certificate_counts_by_itself_also_where_another_issued_it() -> None:
    """A platform's certificate of a public authority, exchanged out of band: no path is needed."""
    who = signatory("CERT", anchor(LEAF))
    for chain in ([LEAF.der], CHAIN, [*CHAIN, ROOT.der]):
        who.verify(signed.parse(text(chain)), w.NOW)
    assert refused(who, text(CHAIN), pki.START - timedelta(days=1)) == "pint_key_unknown"
    ended = MIDDLE.issue(Spec("leaf", end=w.NOW - timedelta(days=1)))
    old = signatory("CERT", anchor(ended))
    assert refused(old, text([ended.der])) == "pint_certificate_refused"


def _carrier(*anchors: AnchorEntry) -> Signatory:
    nodes = w.draft().nodes
    found = MemberKeyring(w.member_list(w.draft(anchors=anchors, nodes=nodes))).carrier(w.CARRIER)
    assert found is not None
    return found


def test_r7_a_carriers_certificate_names_the_carrier() -> None:
    """A government's authority stands for many issuers: its anchor alone says not which."""
    who = _carrier(AnchorEntry("credential", NHL, ROOT.der, w.START))
    own = pki.leaf(MIDDLE, NHL, pki.key_of("carrier"))
    who.verify(signed.parse(text([own.der, MIDDLE.der], by=own)), w.NOW)
    for uri in (w.did("nl-port"), ""):
        other = pki.leaf(MIDDLE, uri, pki.key_of("carrier"))
        jws = text([other.der, MIDDLE.der], by=other)
        assert refused(who, jws) == "pint_certificate_refused"
    wrong = pki.leaf(MIDDLE, NHL, pki.key_of("carrier"), ca=True, eku=())
    assert refused(who, text([wrong.der, MIDDLE.der], by=wrong)) == "pint_certificate_refused"


def _certified_envelope(chain: list[bytes], by: Authority) -> bytes:
    document = w.bill()
    signer = SoftwareSigner("certified", by.key)
    texts = [w.first(document).sign(signer, chain)]
    return envelope(document, texts, signer, x5c=chain).to_bytes()


def test_r7_an_envelope_of_certified_signatures_is_judged_by_the_platform_it_names() -> None:
    data = _certified_envelope(CHAIN, LEAF)
    listed = MemberKeyring(w.member_list(w.draft(anchors=(anchor(code="HOME"),))))
    assert w.Platform().judge(data, keyring=listed).outcome is Outcome.READY
    other = MemberKeyring(w.member_list(w.draft(anchors=(anchor(code="AWAY"),))))
    assert judged(data, keyring=other) == ("PINT-05", "pint_key_unknown", "BSIG")
    stranger = make(Spec("another root", ca=True))
    wrong = MemberKeyring(w.member_list(w.draft(anchors=(anchor(stranger, "HOME"),))))
    assert judged(data, keyring=wrong) == ("PINT-05", "pint_certificate_refused", "BSIG")
