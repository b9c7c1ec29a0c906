"""Every shared SD-JWT vector gives its expected verdict, through the readers a document uses.

All of `sd-jwt/` applies. `vc-jose-cose/25` and `26` are presentations of strangers, which no reader
of a document takes (`tests/unit/presentations` reads them as what they are).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocols import jws, keys, times
from protocols.credentials import key_binding, sd_jwt, sd_jwt_vc, vcdm
from protocols.credentials.key_binding import Challenge
from schemas.errors import TradeError
from tests.shared import shared_path

FOLDER = "vectors/credentials"
REASONS = {
    "sd-jwt/kb-aud.txt": "key_binding_other_audience",
    "sd-jwt/kb-missing.txt": "key_binding_missing",
    "sd-jwt/kb-noiat.txt": "key_binding_malformed",
    "sd-jwt/kb-old.txt": "key_binding_out_of_time",
    "sd-jwt/kb-typ.txt": "jws_typ_unexpected",
    "sd-jwt/typ-wrong.txt": "jws_header_malformed",
    "sd-jwt/salted-tamper.txt": "disclosure_unreferenced",
    "sd-jwt/unreferenced.txt": "disclosure_unreferenced",
    "sd-jwt/digest-twice-nested.txt": "sd_digest_twice",
    "sd-jwt/sd-alg-md5.txt": "sd_alg_unknown",
    "sd-jwt/sd-alg-unknown.txt": "sd_alg_unknown",
    "sd-jwt/bad-claim-exists.txt": "disclosure_name_exists",
    "sd-jwt/bad-claim-_sd.txt": "disclosure_malformed",
    "sd-jwt/bad-claim-dots.txt": "disclosure_malformed",
    "sd-jwt/bad-two-elements.txt": "disclosure_malformed",
    "sd-jwt/bad-not-array.txt": "disclosure_malformed",
    "sd-jwt/bad-not-json.txt": "json_syntax",
    "vc-jose-cose/25-presentation-sdjwt-bad-media-type.txt": "jws_header_malformed",
    "vc-jose-cose/26-presentation-sdjwt-bad-credential.txt": "jws_algorithm_unknown",
}
ACCEPTED = ("sd-jwt/ok-all.txt",)


def index() -> dict[str, dict[str, Any]]:
    listed = json.loads((shared_path(FOLDER) / "INDEX.json").read_text())["vectors"]
    return {
        case["file"]: case
        for case in listed
        if case["file"].startswith("sd-jwt/") or "sdjwt" in case["file"]
    }


def trusted() -> dict[str, keys.PublicKey]:
    path = shared_path(FOLDER) / "jws-hostile/_trusted_did_document.json"
    document = json.loads(path.read_text())
    return {
        method["id"]: keys.from_jwk(method["id"], method["publicKeyJwk"])
        for method in document["verificationMethod"]
        if method["id"] in document["assertionMethod"]
    }


def verify(case: dict[str, Any]) -> None:
    text = (shared_path(FOLDER) / case["file"]).read_text().strip()
    given = sd_jwt.parse(text, typ=sd_jwt_vc.TYP)
    jws.verify(given.jws, trusted()[given.jws.kid])
    revealed = sd_jwt.reveal(given)
    read = sd_jwt_vc.read(revealed, given.jws.kid)
    at = times.from_text(case["verify_at"])
    vcdm.require_in_time(read.valid_from, read.valid_until, at)
    if case["key_binding"] == "required":
        challenge = Challenge(case["aud"], case["nonce"])
        key_binding.require(given, read.holder, challenge, at, revealed.hash)


def test_every_vector_of_the_index_is_run() -> None:
    expected = dict.fromkeys(REASONS, "reject") | dict.fromkeys(ACCEPTED, "accept")
    assert {file: case["expected"] for file, case in index().items()} == expected


@pytest.mark.parametrize("file", ACCEPTED)
def test_a_good_vector_is_accepted(file: str) -> None:
    verify(index()[file])


@pytest.mark.parametrize(("file", "code"), REASONS.items())
def test_a_hostile_vector_is_rejected_for_the_reason_it_was_made_for(file: str, code: str) -> None:
    with pytest.raises(TradeError) as caught:
        verify(index()[file])
    assert caught.value.code == code
