"""NIST's Public Key Interoperability Test Suite against our path validation (RFC 5280 §6)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from protocols.x509 import path as x509_path
from protocols.x509.names import same
from protocols.x509.path import Purpose
from protocols.x509.policy import ANY_POLICY, PolicyInput
from schemas.errors import TradeError
from tests.corpora import files
from tests.shared import shared_path
from tests.support.vectors import BY_CRL, BY_DSA

AT = datetime(2020, 1, 1, tzinfo=UTC)


def cases() -> list[dict[str, Any]]:
    found = files("vectors/security/pkits", "pkits.json")
    return json.loads(found[0].read_bytes()) if found else []


def certificate(name: str) -> bytes:
    return shared_path(f"vectors/security/pkits-support/certs/{name}").read_bytes()


def chains(chain: list[bytes], rest: list[bytes]) -> Iterator[list[bytes]]:
    """Every order in which the given certificates could follow each other by name."""
    yield chain
    for one in rest:
        try:
            fits = same(x509_path.load(one).subject, x509_path.load(chain[-1]).issuer)
        except TradeError:
            continue
        if fits:
            yield from chains([*chain, one], [each for each in rest if each != one])


def holds(case: dict[str, Any]) -> bool:
    given = case.get("params", {})
    policies = PolicyInput(
        frozenset(given.get("user_initial_policy_set", [ANY_POLICY])),
        given.get("initial_explicit_policy", False),
        given.get("initial_policy_mapping_inhibit", False),
        given.get("initial_any_policy_inhibit", False),
    )
    others = [certificate(name) for name in case.get("other_certs", [])]
    anchors = [certificate("TrustAnchorRootCertificate.crt")]
    for chain in chains([certificate(case["cert"])], others):
        try:
            x509_path.validate(chain, anchors, AT, purpose=Purpose.PLATFORM, policies=policies)
        except TradeError:
            continue
        return True
    return False


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case['id']}-{case['name']}")
def test_group_04_a_path_of_the_suite_gets_its_verdict(case: dict[str, Any]) -> None:
    wanted = "error" not in case or case["id"] in BY_CRL
    assert holds(case) is (wanted and case["id"] not in BY_DSA)


def test_the_suite_is_whole() -> None:
    shared_path("vectors/security/pkits/pkits.json")
    assert len(cases()) == 102
    assert sum(case["id"] in BY_CRL for case in cases()) == len(BY_CRL)


@pytest.mark.parametrize("number", range(4))
def test_group_04_policy_notices_do_not_disturb_a_path(number: int) -> None:
    text = shared_path("vectors/security/pkits/pkits-user-notice.json").read_bytes()
    assert holds(json.loads(text)[number])
