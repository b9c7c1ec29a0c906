"""Another moment is judged by the list, the keys and the status of that moment (R17, R25)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from protocols import member_list
from protocols.evidence.verification import verify_bundle
from protocols.member_list import KeyStanding, MemberList, MemberListDraft
from protocols.members import history
from protocols.members.drafting import ended
from protocols.verify import verify_document
from schemas.errors import RefusedError
from schemas.findings import Outcome, Report
from tests.support import evidence_world as world
from tests.support.title_world import NOW, did, ecdsa

FILE = world.issued()
FIRST = world.MEMBERS
TOMORROW = NOW + timedelta(hours=1)
ISSUER = did("cn-cert")
KID = f"{ISSUER}#credential-1"


def advanced(base: MemberList, at: datetime, **changes: object) -> MemberList:
    """The next version of a list, issued at `at`."""
    draft = MemberListDraft.after(base, issued_at=at, expires=at + timedelta(days=60))
    signed = member_list.sign_list(replace(draft, **changes).payload(), [ecdsa("founder", "root")])
    return member_list.advance(base, signed, now=at)


def second(**changes: object) -> MemberList:
    return advanced(FIRST, TOMORROW, **changes)


def key_changed(**changes: object) -> tuple[object, ...]:
    def node(entry: object) -> object:
        keys = tuple(replace(k, **changes) if k.kid == KID else k for k in entry.keys)
        return replace(entry, keys=keys)

    return tuple(node(entry) for entry in FIRST.nodes)


def verdict(versions: list[MemberList], at: datetime, **more: object) -> Report:
    """The report about `at`, with the status list signed shortly before it."""
    report, _ = verify_document(
        FILE.to_bytes(),
        members=history.in_force(versions, at),
        at=at,
        logs=versions[-1],
        status=world.status(at=at - timedelta(minutes=1)),
        verifier_country="NL",
        historical=True,
        **more,
    )
    return report


def code_of(report: Report, check_id: str) -> str:
    check = report.check(check_id)
    assert check is not None
    return "" if check.outcome is Outcome.PASSED else check.code


LATER = TOMORROW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("changes", "check", "code"),
    [
        ({"nodes": key_changed(valid_until=TOMORROW)}, "CRED-02", "key_not_current"),
        (
            {"issuers": tuple(ended(one, TOMORROW) for one in FIRST.issuers)},
            "CRED-06",
            "issuer_without_right",
        ),
        (
            {"agreements": tuple(ended(one, TOMORROW) for one in FIRST.agreements)},
            "CRED-11",
            "not_recognised",
        ),
    ],
)
def test_r25_what_ended_today_stood_yesterday(
    changes: dict[str, object], check: str, code: str
) -> None:
    versions = [FIRST, second(**changes)]
    yesterday = verdict(versions, NOW)
    assert yesterday.verdict is Outcome.PASSED, yesterday.to_json()
    assert yesterday.historical
    assert verdict(versions, NOW) == yesterday
    told = yesterday.check("CRED-12")
    assert told is not None
    assert told.evidence["version"] == 1
    today = verdict(versions, LATER)
    assert today.verdict is Outcome.FAILED
    assert code_of(today, check) == code
    told = today.check("CRED-12")
    assert told is not None
    assert told.evidence["version"] == 2


def test_what_was_witnessed_before_its_right_ended_stands_after_it() -> None:
    """A custom end date ends a right, and no document of before."""
    changes = {
        "issuers": tuple(ended(one, TOMORROW) for one in FIRST.issuers),
        "agreements": tuple(ended(one, TOMORROW) for one in FIRST.agreements),
    }
    versions = [FIRST, second(**changes)]
    assert verdict(versions, LATER, receipt=world.receipt(FILE)).verdict is Outcome.PASSED
    assert verdict(versions, LATER).verdict is Outcome.FAILED
    # So does the signature of a key that ended; the status then needs a list by the next key.
    versions = [FIRST, second(nodes=key_changed(valid_until=TOMORROW))]
    witnessed = verdict(versions, LATER, receipt=world.receipt(FILE))
    assert code_of(witnessed, "CRED-02") == ""
    assert code_of(witnessed, "CRED-10") == "status_key_refused"


def test_before_the_agreement_there_was_no_recognition() -> None:
    without = replace(FIRST, agreements=())
    versions = [without, second()]
    assert code_of(verdict(versions, NOW), "CRED-11") == "not_recognised"


def test_before_the_founding_nothing_is_known() -> None:
    early = verdict([FIRST, second()], FIRST.issued_at - timedelta(minutes=5))
    assert code_of(early, "CRED-12") == "list_not_yet"


def test_r17_a_compromise_told_later_is_known_of_every_earlier_list() -> None:
    since = NOW - timedelta(minutes=1)
    told = {"compromised_from": since, "compromise_announced": TOMORROW, "valid_until": TOMORROW}
    versions = [FIRST, second(nodes=key_changed(**told))]
    members = history.in_force(versions, NOW)
    assert (members.version, members.digest) == (1, FIRST.digest)
    key = members.key(KID)
    assert key is not None
    # Between the compromise and its announcement: not known; before it, only what is witnessed.
    assert key.standing(NOW, proven=True) is KeyStanding.DOUBTFUL
    assert key.standing(since - timedelta(minutes=1), proven=True) is KeyStanding.VALID
    assert key.standing(since - timedelta(minutes=1), proven=False) is KeyStanding.DOUBTFUL
    assert code_of(verdict(versions, NOW), "CRED-02") == "key_doubtful"
    assert code_of(verdict(versions, LATER), "CRED-02") in {"key_doubtful", "key_compromised"}


def test_key_rotation_with_overlap_keeps_both_keys_good() -> None:
    rotated = key_changed(valid_until=TOMORROW + timedelta(days=1))
    versions = [FIRST, second(nodes=rotated)]
    assert verdict(versions, LATER).verdict is Outcome.PASSED
    after = verdict(versions, TOMORROW + timedelta(days=1))
    assert code_of(after, "CRED-02") == "key_not_current"


def test_r5_a_stored_version_is_known_by_its_digest() -> None:
    assert member_list.reopen(FIRST.signed, FIRST.digest) == FIRST
    with pytest.raises(RefusedError) as caught:
        member_list.reopen(second().signed, FIRST.digest)
    assert caught.value.code == "member_list_altered"


def test_r25_a_bundle_answers_for_another_moment_by_the_list_of_then() -> None:
    gone = second(agreements=(), issuers=())
    bundle = world.export(documents=(FILE,), titles=()).build()
    then = verify_bundle(bundle, FIRST, at=NOW)
    assert code_of(then, "EVI-15") == ""
    assert then.at.startswith("2026-11-18T06:00")
    after = verify_bundle(bundle, gone, earlier=[FIRST], at=LATER)
    assert code_of(after, "EVI-15") == "evidence_document_then"
    assert verify_bundle(bundle, gone, earlier=[FIRST], at=NOW).check("EVI-15") == then.check(
        "EVI-15"
    )
