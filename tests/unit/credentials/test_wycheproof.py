"""Wycheproof and CCTV: every case of the algorithms in the table gets its verdict (R2, R3).

Both shared folders hold their own choice of cases, so both are run. Which files do not apply, and
why, stands in `tests/support/vectors.py`; what is of no row of the table is refused here as a key.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from protocols import base64url, jws, keys
from protocols.credentials import envelope
from schemas.errors import MalformedError, TradeError
from tests.corpora import files
from tests.shared import shared_path

KID = "did:web:a.example#credential-1"
CURVES = {"secp256r1": ("P-256", 32), "secp384r1": ("P-384", 48)}


def both(*names: str) -> list[Path]:
    """The named files of both folders."""
    return [
        path
        for folder in ("credentials", "security")
        for path in files(f"vectors/{folder}/wycheproof")
        if path.stem in names
    ]


def cases(path: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for group in json.loads(path.read_bytes())["testGroups"]:
        for case in group["tests"]:
            yield group, case


def label(path: Path) -> str:
    return f"{path.parts[-3]}-{path.stem}"


def ec_key(group: dict[str, Any]) -> tuple[keys.PublicKey, int]:
    curve, size = CURVES[group["publicKey"]["curve"]]
    # Wycheproof writes integers with a sign byte, and some without leading zeros.
    point = {
        name: base64url.encode(int(group["publicKey"][f"w{name}"], 16).to_bytes(size, "big"))
        for name in ("x", "y")
    }
    return keys.from_jwk(KID, {"kty": "EC", "crv": curve, **point}), size


@pytest.mark.parametrize(
    "path",
    both("ecdsa_secp256r1_sha256_p1363_test", "ecdsa_secp384r1_sha384_p1363_test"),
    ids=label,
)
def test_group_05_raw_ecdsa_signatures_get_their_verdict(path: Path) -> None:
    for group, case in cases(path):
        key, _ = ec_key(group)
        good = key.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
        assert good is (case["result"] == "valid"), case


@pytest.mark.parametrize(
    "path", both("ecdsa_secp256r1_sha256_test", "ecdsa_secp384r1_sha384_test"), ids=label
)
def test_group_05_ecdsa_signatures_in_der_are_refused_and_their_numbers_judged(path: Path) -> None:
    """JOSE writes r and s raw: DER is never taken; the same two numbers get the verdict."""
    for group, case in cases(path):
        key, size = ec_key(group)
        given, data = bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
        assert not key.verify(given, data), case
        try:
            raw = b"".join(part.to_bytes(size, "big") for part in decode_dss_signature(given))
        except (ValueError, OverflowError):
            assert case["result"] != "valid", case
            continue
        assert key.verify(raw, data) is (case["result"] == "valid"), case


@pytest.mark.parametrize("path", both("ed25519_test"), ids=label)
def test_group_05_ed25519_signatures_get_their_verdict(path: Path) -> None:
    for group, case in cases(path):
        try:
            key = keys.from_ed25519_bytes(KID, bytes.fromhex(group["publicKey"]["pk"]))
        except MalformedError:
            assert case["result"] != "valid", case
            continue
        good = key.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
        assert good is (case["result"] == "valid"), case


@pytest.mark.parametrize("path", both("mldsa_44_verify_test", "mldsa_65_verify_test"), ids=label)
def test_ml_dsa_signatures_get_their_verdict(path: Path) -> None:
    """With a context they do not apply: JOSE signs with an empty one (RFC 9964 §4)."""
    name = f"ML-DSA-{path.stem[6:8]}"
    for group, case in cases(path):
        pub = base64url.encode(bytes.fromhex(group["publicKey"]))
        try:
            key = keys.from_stranger(KID, {"kty": "AKP", "alg": name, "pub": pub})
        except MalformedError:
            assert case["result"] == "invalid", case
            continue
        good = key.verify(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
        if case.get("ctx"):
            assert not good, case
        else:
            assert good is (case["result"] == "valid"), case


def jwks(group: dict[str, Any]) -> list[dict[str, Any]]:
    given = group.get("public", group["private"])
    return given.get("keys", [given])


def signs(case: dict[str, Any], jwk: dict[str, Any]) -> bool:
    """Whether this key, as a stranger's identifier would name it, made the signature."""
    text = case["jws"] if isinstance(case["jws"], str) else json.dumps(case["jws"])
    try:
        key = keys.from_stranger(KID, {m: value for m, value in jwk.items() if m != "d"})
        header, payload, signature = text.split(".")
        named = json.loads(base64url.decode(header))["alg"]
        if named not in keys.ALGORITHMS[key.algorithm].header_names:
            return False
        return key.verify(base64url.decode(signature), f"{header}.{payload}".encode())
    except (TradeError, ValueError, KeyError):
        return False


@pytest.mark.parametrize(
    "path",
    both("json_web_signature_test", "json_web_key_test", "json_web_crypto_test"),
    ids=label,
)
def test_group_01_json_web_signatures_are_never_taken_unless_valid(path: Path) -> None:
    """All lack a typ, so no reader takes any; signatures of our kinds get their verdict as well."""
    for group, case in cases(path):
        if "jws" not in case:
            continue
        text = case["jws"] if isinstance(case["jws"], str) else json.dumps(case["jws"])
        with pytest.raises(TradeError):
            jws.parse(text, typ="vc+jwt")
        with pytest.raises(TradeError):
            envelope.parse(text.encode(), legacy=True)
        for jwk in jwks(group):
            if jwk.get("use", "sig") != "sig" or "key_ops" in jwk or "kid" in jwk:
                with pytest.raises(MalformedError):  # a key says what it is, not what it is for
                    keys.from_jwk(KID, jwk)
        if case["result"] == "valid":
            ours = [k for k in jwks(group) if k.get("crv") == "P-256"]
            assert all(signs(case, jwk) for jwk in ours), case
        else:
            assert not any(signs(case, jwk) for jwk in jwks(group)), case


@pytest.mark.parametrize(
    "path",
    both(
        "ecdsa_secp256k1_sha256_p1363_test",
        "rsa_pss_2048_sha256_mgf1_32_test",
        "x25519_jwk_test",
    ),
    ids=label,
)
def test_r3_keys_of_no_row_are_refused(path: Path) -> None:
    tried = 0
    for group, case in cases(path):
        jwk = group.get("publicKeyJwk", case.get("public"))
        with pytest.raises(MalformedError):
            keys.from_jwk(KID, jwk, foreign=True)
        tried += 1
    assert tried > 50


def test_r2_cctv_ed25519_is_libsodiums_rule_case_by_case() -> None:
    """No key of small or mixed order, no small R, no second spelling, no cofactor.

    The corpus is signatures on which verifiers differ, so this strict one refuses each of them.
    """
    vectors = json.loads(
        shared_path("vectors/security/cctv-ed25519/ed25519vectors.json").read_bytes()
    )
    refused = {"low_order_A", "low_order_component_A", "low_order_R", "low_order_residue"}
    refused |= {"non_canonical_A", "non_canonical_R"}
    assert len(vectors) > 400
    for vector in vectors:
        try:
            key = keys.from_ed25519_bytes(KID, bytes.fromhex(vector["key"]))
            good = key.verify(bytes.fromhex(vector["sig"]), vector["msg"].encode())
        except MalformedError:
            good = False
        assert good is not bool(refused & set(vector["flags"] or ())), vector
