"""Whose signature counts: platform code, then kid, then certificates to a listed anchor (R7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from protocols import base64url
from protocols.digest import sha256
from protocols.keys import SoftwareSigner
from protocols.members.anchors import AnchorEntry, RevokedCertificate
from protocols.pint import signed
from protocols.pint.platforms import MemberKeyring, Signatory, SigningKey
from protocols.pint.refusal import EnvelopeRefusedError
from protocols.pint.signed import check_of
from protocols.pint.words import Response
from schemas import strict_json
from schemas.errors import MalformedError, TooLargeError
from tests.support import pint_world as w
from tests.support.pki import Authority, Spec, make

ROOT = make(Spec("platform root", ca=True))
LEAF = ROOT.issue(Spec("platform leaf"))
PAYLOAD = b'{"a":1}'


def signer(authority: Authority, kid: str = "any-name") -> SoftwareSigner:
    return SoftwareSigner(kid, authority.key)


def ring(*anchors: AnchorEntry) -> MemberKeyring:
    return MemberKeyring(w.member_list(w.draft(anchors=anchors)))


def anchor(der: bytes, code: str = "CERT", **more: Any) -> AnchorEntry:
    return AnchorEntry("platform", code, der, w.START, **more)


def refused(who: Signatory | None, text: str, at: Any = w.NOW) -> str:
    assert who is not None
    with pytest.raises(EnvelopeRefusedError) as raised:
        who.verify(signed.parse(text), at)
    assert raised.value.response is Response.BSIG
    return raised.value.code


def test_a_platform_that_is_listed_nowhere_is_none() -> None:
    assert w.keyring().platform("WXYZ") is None
    assert w.keyring().platform("IDT") is None
    assert ring(anchor(ROOT.der, "IDT")).platform("IDT") is not None


def test_a_listed_key_is_found_by_its_kid() -> None:
    home = w.keyring().platform("HOME")
    assert home is not None
    home.verify(signed.parse(signed.sign(PAYLOAD, signer=w.platform_key("HOME"))), w.NOW)
    other = signed.sign(PAYLOAD, signer=w.platform_key("AWAY"), kid=w.platform_key("HOME").kid)
    assert refused(home, other) == "bad_signature"
    unknown = signed.sign(PAYLOAD, signer=w.platform_key("HOME"), kid="did:web:x.example#1")
    assert refused(home, unknown) == "pint_key_unknown"
    early = signed.sign(PAYLOAD, signer=w.platform_key("HOME"))
    assert refused(home, early, w.START - timedelta(days=1)) == "pint_key_not_valid"


def test_a_signature_without_kid_is_tried_with_the_platforms_keys_only() -> None:
    def nameless(code: str) -> str:
        header = base64url.encode(strict_json.canonical({"alg": "ES256"}))
        body = base64url.encode(PAYLOAD)
        made = w.platform_key(code).sign(f"{header}.{body}".encode())
        return f"{header}.{body}.{base64url.encode(made)}"

    home = w.keyring().platform("HOME")
    assert home is not None
    home.verify(signed.parse(nameless("HOME")), w.NOW)
    assert refused(home, nameless("AWAY")) == "bad_signature"


@pytest.mark.parametrize("alg", ["PS256", "RS256"])
def test_a_certificate_exchanged_out_of_band_is_an_anchor_itself(alg: str) -> None:
    outs = w.keyring().platform("OUTS")
    assert outs is not None
    text = signed.sign(PAYLOAD, signer=w.CertifiedSigner(alg))
    outs.verify(signed.parse(text), w.NOW)
    other = "RS256" if alg == "PS256" else "PS256"
    _header, payload, signature = text.split(".")
    swapped = base64url.encode(strict_json.canonical({"alg": other}))
    assert refused(outs, f"{swapped}.{payload}.{signature}") == "bad_signature"


def test_r7_certificates_count_for_the_platform_code_they_are_listed_for() -> None:
    text = signed.sign(PAYLOAD, signer=signer(LEAF), x5c=[LEAF.der, ROOT.der])
    listed = ring(anchor(ROOT.der), anchor(make(Spec("other root", ca=True)).der, "ELSE"))
    platform = listed.platform("CERT")
    assert platform is not None
    platform.verify(signed.parse(text), w.NOW)
    assert refused(listed.platform("ELSE"), text) == "pint_certificate_refused"
    assert refused(w.keyring().platform("HOME"), text) == "pint_key_unknown"
    forged = signed.sign(PAYLOAD, signer=w.platform_key("HOME"), kid="x", x5c=[LEAF.der])
    assert refused(listed.platform("CERT"), forged) == "bad_signature"


def test_r17_a_revoked_certificate_signs_nothing_that_is_not_proven_older() -> None:
    revoked = RevokedCertificate(sha256(LEAF.der), w.NOW)
    platform = ring(anchor(ROOT.der, revoked=(revoked,))).platform("CERT")
    text = signed.sign(PAYLOAD, signer=signer(LEAF), x5c=[LEAF.der])
    assert refused(platform, text, w.NOW - timedelta(days=9)) == "pint_certificate_refused"
    itself = RevokedCertificate(sha256(w.outside().der), w.NOW)
    gone = ring(anchor(w.outside().der, "OUTS", revoked=(itself,))).platform("OUTS")
    assert refused(gone, signed.sign(PAYLOAD, signer=w.CertifiedSigner())) == "pint_key_unknown"


def test_an_anchor_ends_with_its_entry_and_with_its_certificate() -> None:
    text = signed.sign(PAYLOAD, signer=w.CertifiedSigner())
    short = anchor(w.outside().der, "OUTS", valid_until=w.START + timedelta(days=1))
    assert refused(ring(short).platform("OUTS"), text) == "pint_key_not_valid"
    chained = signed.sign(PAYLOAD, signer=signer(LEAF), x5c=[LEAF.der])
    ended = anchor(ROOT.der, valid_until=w.START + timedelta(days=1))
    assert refused(ring(ended).platform("CERT"), chained) == "pint_key_unknown"


def test_an_anchor_that_cannot_be_read_or_signs_nothing_here_is_passed_over() -> None:
    small = make(Spec("small", key=rsa.generate_private_key(65537, 1024)))
    who = ring(anchor(b"\x30\x00"), anchor(small.der)).platform("CERT")
    assert who is not None
    assert who.keys == ()


def test_r1_a_key_of_another_purpose_is_no_platform_key() -> None:
    home = w.keyring().platform("HOME")
    for purpose in ("exchange", "title"):
        text = signed.sign(PAYLOAD, signer=w.ecdsa("nhl", purpose))
        assert refused(home, text) == "pint_key_unknown"


def _jwt(alg: str, key: Any) -> str:
    import jwt

    return jwt.encode({"a": 1}, key, algorithm=alg, headers={"typ": "JWT"})


CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@pytest.mark.parametrize("alg", sorted(signed.ALGORITHMS - {"Ed25519"}))
def test_r3_each_algorithm_takes_its_own_kind_of_key(alg: str) -> None:
    """Signatures of another implementation."""
    keys: dict[str, Any] = {name: ec.derive_private_key(7, curve) for name, curve in CURVES.items()}
    keys |= dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), w.rsa_key())
    keys["EdDSA"] = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    parsed = signed.parse(_jwt(alg, keys[alg]))
    for name, key in keys.items():
        check = check_of(key.public_key())
        assert check is not None
        fits = check(parsed.alg, parsed.signature, parsed.signing_input)
        assert fits == (name == alg or {name[:2], alg[:2]} <= {"RS", "PS"})
        assert not check(parsed.alg, parsed.signature[:-1], parsed.signing_input)
        assert not check(parsed.alg, parsed.signature, b"x")


def test_keys_of_no_use_here_check_nothing() -> None:
    assert check_of(rsa.generate_private_key(65537, 1024).public_key()) is None
    assert check_of(object()) is None


def test_an_ed25519_key_signs_under_the_name_that_platforms_read() -> None:
    key = SoftwareSigner("did:web:a.example#1", ed25519.Ed25519PrivateKey.generate())
    assert signed.parse(signed.sign(PAYLOAD, signer=key)).alg == "EdDSA"


def test_a_text_or_header_beyond_its_cap_is_refused() -> None:
    with pytest.raises(TooLargeError, match="jws_too_large"):
        signed.parse("a." + "b" * signed.MAX_COMPACT + ".c")
    with pytest.raises(TooLargeError, match="jws_too_large"):
        signed.parse("a" * (signed.MAX_HEADER + 1) + ".b.c")
    with pytest.raises(MalformedError, match="pint_jws_malformed"):
        signed.parse("a.b")
    with pytest.raises(MalformedError, match="pint_jws_malformed"):
        signed.parse(w.with_header(signed.sign(PAYLOAD, signer=w.platform_key("HOME")), kid="x"))


def test_at_most_sixteen_keys_are_tried() -> None:
    tried: list[str] = []

    def never(alg: str, signature: bytes, data: bytes) -> bool:
        tried.append(alg)
        return False

    who = Signatory("CERT", tuple(SigningKey(None, never, w.START) for _ in range(40)))
    assert refused(who, signed.sign(PAYLOAD, signer=w.platform_key("HOME"))) == "bad_signature"
    assert len(tried) == 16
    typed = replace(who, keys=(SigningKey(None, never, w.START, typ="x+jws"),))
    assert refused(typed, signed.sign(PAYLOAD, signer=w.platform_key("HOME"))) == "pint_key_unknown"
