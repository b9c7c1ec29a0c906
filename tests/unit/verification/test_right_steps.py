"""CRED-05, CRED-06 and CRED-11: the network, the issuer's right, and who recognises it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from protocols.credentials import credential
from protocols.digest import sha256
from protocols.member_list import IssuerEntry
from tests.support import evidence_world as world
from tests.support.title_world import NOW, did, ecdsa
from tests.unit.verification.documents import FILE, only, opened_status, verify, wrong


def test_r1_a_credential_of_another_network_is_refused() -> None:
    file = world.issued(network=sha256(b"another"))
    report, _ = verify(file.to_bytes())
    only(report, "CRED-05", "FAILED", "other_network")


def test_cred_06_an_issuer_without_the_right_is_refused() -> None:
    report, _ = verify(members=replace(world.MEMBERS, issuers=()))
    assert wrong(report)["CRED-06"] == ("FAILED", "issuer_without_right")


def test_cred_06_a_right_that_ended_counts_only_for_what_is_proven_older() -> None:
    ends = NOW + timedelta(hours=1)
    start = NOW - timedelta(days=1)
    right = IssuerEntry(did("cn-cert"), "quality-certificate", "CN", start, ends)
    members, later = replace(world.MEMBERS, issuers=(right,)), NOW + timedelta(hours=2)
    status = opened_status(later)
    report, _ = verify(members=members, at=later, status=status)
    assert wrong(report)["CRED-06"] == ("FAILED", "issuer_without_right")
    report, verified = verify(members=members, at=later, status=status, receipt=world.receipt(FILE))
    assert verified is not None


def test_cred_06_a_right_for_another_country_does_not_cover() -> None:
    right = replace(world.MEMBERS.issuers[0], country="KR")
    report, _ = verify(members=replace(world.MEMBERS, issuers=(right,)))
    assert wrong(report)["CRED-06"] == ("FAILED", "issuer_without_right")


def test_cred_06_the_role_of_a_node_is_enough_where_the_list_says_nothing_more() -> None:
    payload = packing_list()
    file = world.issued(payload, "packing-list", "nhl")
    report, verified = verify(file.to_bytes(), status=world.status("nhl"))
    assert verified is not None, wrong(report)
    check = report.check("CRED-11")
    assert check is not None
    assert check.code == "recognition_not_needed"
    listed = IssuerEntry(did("cn-port"), "packing-list", "CN", NOW - timedelta(days=1))
    members = replace(world.MEMBERS, issuers=(*world.MEMBERS.issuers, listed))
    report, _ = verify(file.to_bytes(), status=world.status("nhl"), members=members)
    only(report, "CRED-06", "FAILED", "issuer_without_right")


def packing_list() -> bytes:
    document = json.loads(world.quality("P-1"))
    for name in ("inspectedAt", "results", "verdict"):
        del document[name]
    document |= {
        "documentType": "packing-list",
        "importCountry": "NL",
        "invoice": {"number": "INV-1", "date": "2026-11-17"},
        "parties": {
            "seller": {"name": "A"},
            "buyer": {"name": "B"},
            "consignor": {"name": "A"},
            "consignee": {"name": "B"},
        },
        "containers": [{"number": world.BOX}],
        "totals": {
            "packages": 1890,
            "netWeight": {"value": "24570", "unit": "KGM"},
            "grossWeight": {"value": "26460", "unit": "KGM"},
        },
        "goods": [
            {
                "sequence": 1,
                "description": "Fresh ginger",
                "hs": "091011",
                "packages": {"count": 1890, "packageType": "CT"},
                "netWeight": {"value": "24570", "unit": "KGM"},
                "grossWeight": {"value": "26460", "unit": "KGM"},
            }
        ],
    }
    return json.dumps(document).encode()


def test_cred_06_and_09_an_unknown_type_is_named() -> None:
    made = world.claims(world.quality(), "quality-certificate", "cn-cert")
    made = replace(made, document_type="no-such-paper")
    file = credential.issue(made, world.quality(), ecdsa("cn-cert", "credential"))
    report, _ = verify(file.to_bytes())
    assert wrong(report)["CRED-06"] == ("FAILED", "unknown_document_type")
    assert wrong(report)["CRED-09"] == ("FAILED", "unknown_document_type")


# --- CRED-11: recognition --------------------------------------------------------------------


def test_cred_11_without_an_agreement_it_is_not_recognised() -> None:
    report, _ = verify(verifier_country="KZ")
    only(report, "CRED-11", "FAILED", "not_recognised")
    assert verify(verifier_country="CN")[1] is not None  # a country accepts its own issuers
