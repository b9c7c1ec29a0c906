"""Whose bundle it is: the lists it travels with, who signs it and which log saw it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from protocols import base64url, jws
from protocols.digest import sha256
from protocols.evidence import archive
from protocols.evidence.contents import INDEX, STATEMENT, STATEMENT_PROOF
from protocols.evidence.verification import verify_bundle
from protocols.member_list import MemberListDraft, sign_list
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa
from tests.unit.evidence.bundles import GOOD, MEMBERS, attackers, plain, sealed, wrong


def test_r5_a_bundle_under_an_older_list_than_the_verifiers_never_passes() -> None:
    report = verify_bundle(GOOD, world.following())
    assert wrong(report) == {"EVI-05": ("INDETERMINATE", "evidence_list_older")}
    assert report.verdict is Outcome.INDETERMINATE


def test_r5_the_attackers_own_list_never_counts() -> None:
    own = attackers()
    report = verify_bundle(world.export(lists=(own,)).build(), world.MEMBERS)
    assert wrong(report)["EVI-05"][0] == "FAILED"
    assert verify_bundle(GOOD, own).verdict is Outcome.FAILED


def test_r5_a_next_list_that_the_roots_did_not_sign_never_counts() -> None:
    base = MemberListDraft.after(world.MEMBERS, issued_at=NOW, expires=NOW + timedelta(days=60))
    weak = replace(world.log_entry("nl-port"), policy="")
    payload = replace(base, logs=(weak,)).payload()
    forged = sign_list(payload, [ecdsa("attacker", "root")])
    version_2 = replace(world.MEMBERS, version=2, signed=forged, digest=sha256(payload))
    report = verify_bundle(world.export(lists=(world.MEMBERS, version_2)).build(), world.MEMBERS)
    assert wrong(report)["EVI-05"] == ("FAILED", "member_list_threshold")


def test_r5_lists_with_a_gap_or_of_another_line_are_refused() -> None:
    second = world.following()
    other = world.following(name="Another name")
    report = verify_bundle(world.export(lists=(second,)).build(), world.MEMBERS)
    assert wrong(report)["EVI-05"] == ("FAILED", "evidence_other_list")
    report = verify_bundle(world.export(lists=(world.MEMBERS, other)).build(), second)
    assert wrong(report)["EVI-05"] == ("FAILED", "evidence_other_list")
    report = verify_bundle(world.export(lists=(second, world.MEMBERS)).build(), world.MEMBERS)
    assert wrong(report)["EVI-05"][0] == "FAILED"
    twice = replace(world.MEMBERS, version=2)
    report = verify_bundle(world.export(lists=(world.MEMBERS, twice)).build(), world.MEMBERS)
    assert wrong(report)["EVI-05"] == ("FAILED", "evidence_other_list")


def test_a_list_in_another_spelling_is_refused() -> None:
    spelled = replace(world.MEMBERS, signed=world.MEMBERS.signed + b"\n")
    report = verify_bundle(world.export(lists=(spelled,)).build(), world.MEMBERS)
    assert wrong(report)["EVI-05"] == ("FAILED", "evidence_malformed")


def test_a_statement_under_another_list_than_the_bundles_is_refused() -> None:
    members = {**plain()}
    report = sealed(members, lists=(world.MEMBERS, world.following()))
    assert wrong(report)["EVI-05"] == ("FAILED", "evidence_other_list")


@pytest.mark.parametrize(
    "signer",
    [ecdsa("nl-port", "credential"), ecdsa("cn-port", "exchange"), ecdsa("attacker", "exchange")],
)
def test_r1_only_a_listed_exchange_key_of_the_exporter_signs(signer: object) -> None:
    report = verify_bundle(world.export(signer=signer).build(), world.MEMBERS)
    assert wrong(report) == {"EVI-06": ("FAILED", "evidence_key_refused")}


def test_a_key_that_had_ended_signs_nothing() -> None:
    early = NOW - timedelta(days=2)
    statuses = (world.status(at=early),)
    report = verify_bundle(world.export(at=early, statuses=statuses).build(), world.MEMBERS)
    assert wrong(report)["EVI-06"] == ("FAILED", "evidence_key_refused")


def test_a_forged_signature_of_the_statement_is_refused() -> None:
    head, body, _ = MEMBERS[STATEMENT].decode().split(".")
    forged = f"{head}.{body}.{base64url.encode(bytes(64))}".encode()
    report = verify_bundle(archive.write({**MEMBERS, STATEMENT: forged}), world.MEMBERS)
    assert wrong(report) == {"EVI-06": ("FAILED", "bad_signature")}


def test_r17_an_unwitnessed_export_proves_no_time() -> None:
    report = verify_bundle(world.export(witnesses=("cn-port",)).build(), world.MEMBERS)
    assert wrong(report) == {"EVI-07": ("INDETERMINATE", "unwitnessed")}
    assert report.at == ""


def test_an_export_in_another_log_or_seen_before_it_was_made_is_refused() -> None:
    report = verify_bundle(world.export(log="cn-cert").build(), world.MEMBERS)
    assert wrong(report) == {"EVI-07": ("FAILED", "evidence_other_log")}
    early = world.export(seen_at=NOW - timedelta(hours=1)).build()
    assert wrong(verify_bundle(early, world.MEMBERS)) == {
        "EVI-07": ("FAILED", "evidence_from_future")
    }


def test_a_strange_signature_line_in_a_proof_is_refused() -> None:
    proof = MEMBERS[STATEMENT_PROOF].decode()
    line = proof.strip().splitlines()[-1]
    doubled = (proof + line + "\n").encode()
    report = verify_bundle(archive.write({**MEMBERS, STATEMENT_PROOF: doubled}), world.MEMBERS)
    assert wrong(report)["EVI-07"][0] == "FAILED"


def test_r1_a_receipt_or_another_signed_object_is_no_statement() -> None:
    index = sha256(MEMBERS[INDEX])
    payload = world.export().statement(index).to_bytes()
    text = jws.sign(payload, typ="px-receipt+jws", signer=ecdsa("nl-port", "exchange"))
    report = verify_bundle(archive.write({**MEMBERS, STATEMENT: text.encode()}), world.MEMBERS)
    assert wrong(report)["EVI-04"] == ("FAILED", "jws_typ_unexpected")
