"""SD-JWT VC: a type, an issuer whose key signed, and members that always show."""

from __future__ import annotations

import pytest

from protocols import jws
from protocols.credentials import sd_jwt, sd_jwt_vc
from schemas import strict_json
from schemas.errors import MalformedError
from tests.support.made_network import A, B, signer

KEY = signer(f"{A}#credential-1")
CLAIMS = {"iss": A, "vct": "urn:x", "nbf": 1, "exp": 2, "iat": 1, "status": {"a": 1}, "n": 1}


def read(claims: dict, *pointers: str, kid: str = KEY.kid) -> sd_jwt_vc.SdJwtVc:
    members, disclosures = sd_jwt.conceal(claims, pointers, lambda n: b"\x01" * n)
    text = jws.sign(strict_json.canonical(members), typ="dc+sd-jwt", signer=KEY)
    given = sd_jwt.parse("~".join((text, *disclosures, "")), typ="dc+sd-jwt")
    return sd_jwt_vc.read(sd_jwt.reveal(given), kid)


def test_what_is_there_is_read() -> None:
    integrity = "sha256-" + "A" * 43 + "="
    found = read(CLAIMS | {"vct#integrity": integrity}, "/n", "/iat")
    assert (found.vct, found.issuer, found.holder) == ("urn:x", A, None)
    assert found.valid_from is not None
    assert read({"iss": A, "vct": "x"}).valid_until is None


@pytest.mark.parametrize("name", ["iss", "nbf", "exp", "vct", "status", "status/a"])
def test_what_must_show_is_never_disclosable(name: str) -> None:
    with pytest.raises(MalformedError) as caught:
        read(CLAIMS, f"/{name}")
    assert caught.value.code == "sd_jwt_vc_malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"vct": ""},
        {"vct": None},
        {"vct": "a b"},
        {"iss": "https://a.example"},
        {"exp": "2"},
        {"nbf": True},
        {"iat": -1},
        {"vct#integrity": "md5-x"},
    ],
)
def test_a_member_of_the_wrong_form_is_refused(change: dict) -> None:
    with pytest.raises(MalformedError) as caught:
        read(CLAIMS | change)
    assert caught.value.code == "sd_jwt_vc_malformed"


def test_another_dids_key_is_refused() -> None:
    with pytest.raises(MalformedError) as caught:
        read(CLAIMS, kid=f"{B}#credential-1")
    assert caught.value.code == "credential_kid_not_issuer"
