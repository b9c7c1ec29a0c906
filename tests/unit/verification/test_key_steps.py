"""CRED-02 and CRED-12: the key that signed, in its time, and the list that names it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from protocols import jws
from protocols.credentials import status_list
from protocols.member_list import MemberList
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.support.title_world import NOW, did, ecdsa, ed
from tests.unit.verification.documents import FILE, only, opened_status, verify, wrong


def with_key(name: str, purpose: str, **changes: object) -> MemberList:
    """The list with one key's fields replaced."""
    kid = ecdsa(name, purpose).kid
    nodes = tuple(
        replace(
            node,
            keys=tuple(replace(key, **changes) if key.kid == kid else key for key in node.keys),
        )
        for node in world.MEMBERS.nodes
    )
    return replace(world.MEMBERS, nodes=nodes)


def test_r7_an_unlisted_key_is_indeterminate_and_never_looked_up() -> None:
    nodes = tuple(node for node in world.MEMBERS.nodes if node.did != did("cn-cert"))
    report, _ = verify(members=replace(world.MEMBERS, nodes=nodes))
    assert wrong(report)["CRED-02"] == ("INDETERMINATE", "key_not_listed")
    assert wrong(report)["CRED-06"] == ("INDETERMINATE", "issuer_not_listed")
    assert report.verdict is Outcome.INDETERMINATE


def test_r1_a_key_of_another_purpose_signs_no_credential() -> None:
    file = world.issued(signer=ecdsa("cn-cert", "exchange"))
    report, _ = verify(file.to_bytes())
    only(report, "CRED-02", "FAILED", "key_wrong_purpose")


def test_cred_04_a_key_of_another_member_signs_for_nobody_else() -> None:
    file = world.issued(signer=ecdsa("nhl", "credential"))
    report, _ = verify(file.to_bytes())
    assert wrong(report)["CRED-04"][0] == "FAILED"


def test_r17_a_rotated_key_counts_only_with_a_witnessed_receipt_from_its_time() -> None:
    members = with_key("cn-cert", "credential", valid_until=NOW + timedelta(hours=1))
    later, fresh = NOW + timedelta(hours=2), {"status": opened_status(NOW + timedelta(hours=2))}
    report, _ = verify(members=members, at=later, **fresh)
    only(report, "CRED-02", "FAILED", "key_not_current")
    report, verified = verify(members=members, at=later, receipt=world.receipt(FILE), **fresh)
    assert verified is not None
    report, _ = verify(members=members, at=later, receipt=world.receipt(FILE, ()), **fresh)
    only(report, "CRED-02", "FAILED", "key_not_current")


def test_a_key_that_is_not_valid_yet_is_refused() -> None:
    members = with_key("cn-cert", "credential", valid_from=NOW + timedelta(hours=1))
    report, _ = verify(members=members, status=opened_status(NOW))
    only(report, "CRED-02", "FAILED", "key_not_yet_valid")


def test_r17_between_compromise_and_announcement_is_indeterminate_earlier_witnessed_stands() -> (
    None
):
    doubt, told = NOW + timedelta(hours=1), NOW + timedelta(hours=3)
    members = with_key("cn-cert", "credential", compromised_from=doubt, compromise_announced=told)
    during, after = NOW + timedelta(hours=2), NOW + timedelta(hours=4)
    report, _ = verify(members=members, at=during, status=renewed_status(during))
    only(report, "CRED-02", "INDETERMINATE", "key_doubtful")
    report, _ = verify(members=members, at=after, status=renewed_status(after))
    only(report, "CRED-02", "FAILED", "key_compromised")
    receipt = world.receipt(FILE, at=NOW)
    report, verified = verify(
        members=members, at=after, status=renewed_status(after), receipt=receipt
    )
    assert verified is not None


def renewed_status(at: object) -> status_list.StatusList:
    """As `opened_status`, by a key about which there is no doubt."""
    return replace(opened_status(at), kid=ecdsa("nl-customs", "credential").kid)


def test_r17_a_list_held_from_before_its_key_fell_into_doubt_says_nothing_any_more() -> None:
    """Whoever stole the key could have signed it, with a long life, before anybody knew."""
    doubt, told = NOW + timedelta(hours=1), NOW + timedelta(hours=3)
    members = with_key("cn-cert", "credential", compromised_from=doubt, compromise_announced=told)
    forged = world.status(at=NOW + timedelta(hours=2), ttl=timedelta(days=100))
    held = status_list.open_list(forged, members=world.MEMBERS, now=NOW + timedelta(hours=2))
    receipt = world.receipt(FILE, at=NOW)
    at = NOW + timedelta(hours=4)
    report, verified = verify(members=members, at=at, status=held, receipt=receipt)
    only(report, "CRED-10", "INDETERMINATE", "status_key_refused")
    assert verified is None


def test_moments_at_the_end_of_time_are_compared_and_never_overflow() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    for at in (last, datetime.min.replace(tzinfo=UTC)):
        report, _ = verify(at=at, status=None, historical=True)
        assert report.verdict is not Outcome.PASSED


def test_the_log_key_of_the_world_is_not_a_credential_key() -> None:
    assert ed("cn-cert", "log").kid != ecdsa("cn-cert", "credential").kid


def test_r17_a_key_listed_within_the_witnessed_second_is_not_too_young() -> None:
    members = with_key("cn-cert", "credential", valid_from=NOW + timedelta(milliseconds=500))
    receipt = world.receipt(FILE)
    _, verified = verify(
        members=members, at=NOW + timedelta(seconds=2), status=opened_status(NOW), receipt=receipt
    )
    assert verified is not None


# --- CRED-12: the list -----------------------------------------------------------------------


def test_r6_reading_goes_on_for_seven_days_and_then_nothing_is_known() -> None:
    expired = expired_since(NOW - timedelta(days=1))
    report, _ = verify(members=expired, status=opened_status(NOW))
    assert wrong(report) == {}
    check = report.check("CRED-12")
    assert check is not None
    assert check.code == "list_reading_only"
    stale = expired_since(NOW - timedelta(days=8))
    report, verified = verify(members=stale, status=opened_status(NOW))
    only(report, "CRED-12", "INDETERMINATE", "list_stale")
    assert verified is None


def expired_since(end: datetime) -> MemberList:
    """The list with that end; its keys began long before."""
    early = timedelta(days=400)
    nodes = tuple(
        replace(node, keys=tuple(replace(k, valid_from=k.valid_from - early) for k in node.keys))
        for node in world.MEMBERS.nodes
    )
    return replace(world.MEMBERS, nodes=nodes, expires=end)


def test_r6_grace_is_for_known_keys_and_a_new_one_fails_closed() -> None:
    expired = replace(world.MEMBERS, expires=NOW - timedelta(days=1))
    kid = jws.parse(FILE.to_bytes().decode(), typ="vc+jwt").kid
    began = world.MEMBERS.key(kid)
    assert began is not None
    assert began.valid_from >= expired.expires, "the key began after the list had ended"
    report, verified = verify(members=expired, status=opened_status(NOW))
    only(report, "CRED-12", "INDETERMINATE", "list_stale_for_new_key")
    assert verified is None


def test_r4_a_list_of_a_later_moment_answers_for_none_before_it() -> None:
    later = replace(world.MEMBERS, issued_at=NOW + timedelta(minutes=2))
    report, _ = verify(members=later)
    only(report, "CRED-12", "INDETERMINATE", "list_not_yet")
