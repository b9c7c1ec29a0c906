"""CRED-07 and CRED-10: the one moment of a verification, and the status at it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from protocols.credentials import status_list
from protocols.digest import sha256
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.support.title_world import NOW, did, ecdsa
from tests.unit.verification.documents import FILE, only, opened_status, verify, wrong


def test_cred_07_time_is_judged_at_the_one_frozen_moment() -> None:
    later = NOW + timedelta(days=31)
    report, _ = verify(at=later, status=opened_status(NOW))
    assert wrong(report)["CRED-07"] == ("FAILED", "credential_expired")
    file = world.issued(valid_from=NOW + timedelta(hours=1))
    report, _ = verify(file.to_bytes())
    assert wrong(report)["CRED-07"] == ("FAILED", "credential_not_yet_valid")


def test_cred_07_a_document_past_its_own_date_is_expired() -> None:
    file = world.issued(world.quality(validUntil="2026-11-17"))
    report, _ = verify(file.to_bytes())
    assert wrong(report)["CRED-07"] == ("FAILED", "credential_expired")


# --- CRED-10: status --------------------------------------------------------------------------


def test_cred_10_a_revoked_document_fails() -> None:
    report, _ = verify(status=world.status(revoked=(FILE,)))
    only(report, "CRED-10", "FAILED", "revoked")


def test_r25_no_status_and_stale_status_are_indeterminate() -> None:
    report, verified = verify(status=None)
    only(report, "CRED-10", "INDETERMINATE", "status_unknown")
    assert verified is None
    old = world.status(at=NOW - timedelta(minutes=16))
    report, _ = verify(status=old)
    only(report, "CRED-10", "INDETERMINATE", "status_stale")
    assert report.verdict is Outcome.INDETERMINATE


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"issuer": "nhl"}, "status_other_issuer"),
        ({"signer": ecdsa("cn-cert", "exchange")}, "status_key_refused"),
        ({"url": status_list.list_url(did("cn-cert"), "2")}, "status_other_list"),
        ({"network": sha256(b"x")}, "status_other_network"),
        ({"purpose": "suspension"}, "status_other_purpose"),
    ],
)
def test_cred_10_a_list_that_does_not_belong_says_nothing(
    changes: dict[str, object], code: str
) -> None:
    report, _ = verify(status=world.status(**changes))
    only(report, "CRED-10", "INDETERMINATE", code)


def test_cred_10_a_rolled_back_list_says_nothing() -> None:
    held = opened_status(NOW)
    older = world.status(at=NOW - timedelta(minutes=5))
    report, _ = verify(status=older, held_status=held)
    only(report, "CRED-10", "INDETERMINATE", "status_rollback")
    foreign = status_list.open_list(world.status("nhl"), members=world.MEMBERS, now=NOW)
    assert verify(held_status=foreign)[1] is not None


def test_r25_a_historical_report_is_marked_and_verifies_nothing() -> None:
    report, verified = verify(historical=True)
    assert report.verdict is Outcome.PASSED
    assert report.historical
    assert verified is None


def test_a_list_signed_later_speaks_for_the_past_only_while_the_bit_is_clear() -> None:
    later = NOW + timedelta(hours=5)
    report, _ = verify(status=opened_status(later), historical=True)
    assert report.verdict is Outcome.PASSED
    revoked = status_list.open_list(
        world.status(at=later, revoked=(FILE,)), members=world.MEMBERS, now=later
    )
    report, _ = verify(status=revoked, historical=True)
    only(report, "CRED-10", "INDETERMINATE", "status_later")
