"""Key binding: whoever presents must have signed exactly this, for this verifier, now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from protocols import base64url, jws
from protocols.credentials import key_binding, sd_jwt
from protocols.credentials.key_binding import Challenge
from protocols.credentials.sd_jwt import SdJwt
from schemas import strict_json
from schemas.errors import MalformedError, TradeError
from tests.support.made_network import NOW, A, signer

KEY, HOLDER = signer(f"{A}#credential-1"), signer(f"{A}#title-1")
OTHER = signer(f"{A}#log-1")
ASKED = Challenge("did:web:b-customs.example", "n-0S6_WzA2Mj")


def made() -> SdJwt:
    members, disclosures = sd_jwt.conceal({"a": 1, "b": 2}, ["/a", "/b"], lambda n: b"\x01" * n)
    text = jws.sign(strict_json.canonical(members), typ="dc+sd-jwt", signer=KEY)
    return sd_jwt.parse("~".join((text, *disclosures, "")), typ="dc+sd-jwt")


BOUND = key_binding.bind(made(), ASKED, at=NOW, signer=HOLDER)


def fault(given: SdJwt, asked: Challenge = ASKED, holder: object = HOLDER, **later: int) -> str:
    key = holder.public() if holder is not None else None
    with pytest.raises(TradeError) as caught:
        key_binding.require(given, key, asked, NOW + timedelta(**later), "sha-256")
    return caught.value.code


def forged(header: object = None, signer_: object = HOLDER, **changes: object) -> SdJwt:
    """A key binding with other members, properly signed."""
    members = {
        "aud": ASKED.audience,
        "iat": int(NOW.timestamp()),
        "nonce": ASKED.nonce,
        "sd_hash": sd_jwt.digest_of(made().presented),
        **changes,
    }
    head = {"alg": signer_.algorithm, "typ": "kb+jwt"} if header is None else header
    parts = [base64url.encode(strict_json.canonical(each)) for each in (head, members)]
    text = ".".join(parts)
    signature = base64url.encode(signer_.sign(text.encode()))
    return replace(made(), key_binding=f"{text}.{signature}")


def test_a_bound_presentation_passes_within_its_window_and_travels_as_text() -> None:
    again = sd_jwt.parse(BOUND.text, typ="dc+sd-jwt")
    assert again == BOUND
    for age in (-60, 0, 300, 360):
        key_binding.require(again, HOLDER.public(), ASKED, NOW + timedelta(seconds=age), "sha-256")


def test_what_is_forged_properly_is_the_measure_of_the_others() -> None:
    key_binding.require(forged(), HOLDER.public(), ASKED, NOW, "sha-256")
    with_prefix = forged({"alg": "ES256", "typ": "application/kb+jwt", "kid": "k"})
    key_binding.require(with_prefix, HOLDER.public(), ASKED, NOW, "sha-256")


def test_binding_that_is_asked_for_and_missing_never_passes() -> None:
    assert fault(made()) == "key_binding_missing"
    assert fault(BOUND, holder=None) == "key_binding_no_holder"


def test_another_verifier_challenge_or_time_is_refused() -> None:
    assert fault(BOUND, Challenge("did:web:other.example", ASKED.nonce)) == (
        "key_binding_other_audience"
    )
    assert fault(BOUND, Challenge(ASKED.audience, "n")) == "key_binding_other_nonce"
    assert fault(BOUND, seconds=361) == "key_binding_out_of_time"
    assert fault(BOUND, seconds=-61) == "key_binding_out_of_time"


def test_showing_less_or_more_than_was_signed_is_refused() -> None:
    fewer = replace(BOUND, disclosures=BOUND.disclosures[:1])
    assert fault(fewer) == "key_binding_other_document"
    part = key_binding.bind(sd_jwt.present(made(), ["/a"]), ASKED, at=NOW, signer=HOLDER)
    assert fault(replace(part, disclosures=made().disclosures)) == "key_binding_other_document"


def test_r3_the_algorithm_is_the_holders_key_and_nobody_elses() -> None:
    assert fault(forged(signer_=KEY)) == "bad_signature"
    assert fault(forged(signer_=OTHER)) == "jws_algorithm_mismatch"
    assert fault(BOUND, holder=OTHER) == "jws_algorithm_mismatch"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"alg": "ES256", "typ": "JWT"}, "jws_typ_unexpected"),
        ({"alg": "none", "typ": "kb+jwt"}, "jws_algorithm_mismatch"),
        ({"alg": "ES256"}, "key_binding_malformed"),
        ({"alg": "ES256", "typ": "kb+jwt", "jwk": {}}, "key_binding_malformed"),
    ],
)
def test_a_header_that_says_anything_else_is_refused(header: object, code: str) -> None:
    assert fault(forged(header)) == code


@pytest.mark.parametrize("iat", [None, True, "1", 1.5])
def test_iat_is_a_number_of_seconds(iat: object) -> None:
    assert fault(forged(iat=iat)) == "key_binding_malformed"


@pytest.mark.parametrize("text", ["a.b", "a.b.c.d", "a" * 9000 + ".b.c"])
def test_what_is_no_compact_jws_is_refused(text: str) -> None:
    assert fault(replace(made(), key_binding=text)) == "key_binding_malformed"


def test_the_holders_key_is_a_jwk_and_nothing_else() -> None:
    assert key_binding.holder_of({}) is None
    named = key_binding.holder_of({"cnf": key_binding.confirmation(HOLDER.public_jwk)})
    assert named is not None
    assert named.thumbprint() == HOLDER.public().thumbprint()
    for bad in (None, {}, {"kid": "x"}, {"jwk": {}}, {"jwk": {}, "jku": "x"}):
        with pytest.raises(MalformedError):
            key_binding.holder_of({"cnf": bad})
