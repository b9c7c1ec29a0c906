"""Bundles by an exporter that is listed and lies, and by whoever rebuilt an index (issue 2, 4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from protocols import base64url
from protocols.evidence import archive, contents
from protocols.evidence.contents import INDEX, STATEMENT, STATEMENT_PROOF
from protocols.evidence.verification import verify_bundle
from protocols.log import policy as log_policy
from protocols.member_list import LogEntry, MemberList
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.support.title_world import NOW, did, ecdsa
from tests.unit.evidence.bundles import GOOD, MEMBERS, rebuilt, sealed, wrong

LATER = NOW + timedelta(minutes=2)


def _kind(name: str) -> str:
    return name.partition("/")[0]


def _class(byte: int) -> str:
    letter = chr(byte)
    if not letter.isascii():
        return "beyond ASCII"
    tests = {"digit": str.isdigit, "upper": str.isupper, "lower": str.islower}
    return next((name for name, holds in tests.items() if holds(letter)), letter)


def test_the_bundle_of_these_tests_has_a_member_of_every_kind() -> None:
    """Else the properties over "every member" would be about less than they say."""
    assert {_kind(name) for name in MEMBERS} == {
        "documents",
        "receipts",
        "members",
        "status",
        "titles",
        contents.HISTORY,
        contents.REPORT,
        INDEX,
        STATEMENT,
        STATEMENT_PROOF,
    }


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_every_class_of_byte_of_every_member_counts(name: str) -> None:
    """First, last, middle, and one of each class of characters the member is made of."""
    original = MEMBERS[name]
    classes = {_class(byte): place for place, byte in enumerate(original)}
    for place in sorted({0, len(original) - 1, len(original) // 2, *classes.values()}):
        for mask in (0x01, 0x20, 0x80):
            changed = bytearray(original)
            changed[place] ^= mask
            report = verify_bundle(archive.write({**MEMBERS, name: bytes(changed)}), world.MEMBERS)
            assert report.verdict is not Outcome.PASSED, (name, place, mask)


@pytest.mark.parametrize("change", [b"", b"\n", b"\x00", b" "])
def test_no_member_may_grow_or_shrink_by_a_byte(change: bytes) -> None:
    for name, data in MEMBERS.items():
        other = data + change if change else data[:-1]
        report = verify_bundle(archive.write({**MEMBERS, name: other}), world.MEMBERS)
        assert report.verdict is not Outcome.PASSED, name


def test_all_members_of_another_bundle_but_its_proof_never_pass() -> None:
    """Every pair of (documents, status, receipts, proving members) of two genuine bundles."""
    third = world.issued(world.quality("Q-3"))
    other, _ = archive.read(
        world.export(documents=(third,), statuses=(world.status(),), titles=()).build()
    )
    for kind in sorted({_kind(name) for name in other}):
        mixed = {name: data for name, data in MEMBERS.items() if _kind(name) != kind}
        mixed |= {name: data for name, data in other.items() if _kind(name) == kind}
        for bundle in (archive.write(mixed), rebuilt(mixed)):
            if bundle == GOOD:
                continue
            same = {name: MEMBERS.get(name) for name in mixed} == mixed
            assert verify_bundle(bundle, world.MEMBERS).verdict is not Outcome.PASSED or same, kind


def test_r17_an_exporter_whose_key_has_ended_cannot_date_its_statement_back() -> None:
    """It stated NOW; the witnesses saw it after the key was taken from it."""
    ended = _with_ended_exchange_key()
    statuses = (world.status(at=LATER),)
    made = world.export(
        lists=(world.MEMBERS, ended), at=NOW, seen_at=LATER, statuses=statuses, titles=()
    ).build()
    report = verify_bundle(made, world.MEMBERS)
    assert wrong(report)["EVI-07"] == ("FAILED", "evidence_key_refused")
    assert report.verdict is Outcome.FAILED


def _with_ended_exchange_key() -> MemberList:
    kid = ecdsa("nl-port", "exchange").kid
    end = NOW + timedelta(minutes=1)
    nodes = tuple(
        replace(
            node,
            keys=tuple(
                replace(key, valid_until=end) if key.kid == kid else key for key in node.keys
            ),
        )
        for node in world.MEMBERS.nodes
    )
    return world.following(nodes=nodes)


def _epoch(number: int, witnesses: tuple[str, ...], quorum: int) -> LogEntry:
    key = world.log_key("nl-port")
    keys = [(world.witness_key(name), "") for name in witnesses]
    policy = log_policy.threshold_policy(key, keys, quorum)
    since = 1 if number > 1 else None
    return LogEntry(key.name, did("nl-port"), key.to_text(), number, policy, since)


def test_r16_the_witnesses_of_an_earlier_epoch_prove_no_export_of_today() -> None:
    """The list in force asks for two; one that it dropped must not do instead."""
    now = ("cn-port", "sg-port")
    logs = (_epoch(1, world.WITNESSES, 1), _epoch(2, now, 2), world.log_entry("cn-cert"))
    second = world.following(logs=logs)
    for witnesses, wanted in (
        (now, {}),
        (now[:1], {"EVI-07": ("INDETERMINATE", "unwitnessed")}),
        (("kz-rail",), {"EVI-07": ("INDETERMINATE", "unwitnessed")}),
    ):
        made = world.export(
            lists=(world.MEMBERS, second),
            at=LATER,
            seen_at=LATER,
            statuses=(world.status(at=LATER, revoked=(world.issued(world.quality("Q-2")),)),),
            witnesses=witnesses,
        ).build()
        report = verify_bundle(made, world.MEMBERS)
        assert wrong(report).items() >= wanted.items(), wrong(report)
        assert (report.verdict is Outcome.PASSED) == (not wanted), wrong(report)


def test_r19_a_genuine_title_of_another_bill_is_not_this_bills_title() -> None:
    """Both are proven by the registry; only the carrier's manifest tells which bill is whose."""
    own, other = world.title_proof(), world.title_proof("NHLX0002")
    for titles in ((other,), (own, other), ((own[0], other[1]),), ((other[0], own[1]),)):
        report = verify_bundle(world.export(titles=titles).build(), world.MEMBERS)
        assert wrong(report) == {"EVI-11": ("FAILED", "evidence_title")}
    head, body, _ = own[1].split(".")
    forged = f"{head}.{body}.{base64url.encode(bytes(64))}"
    report = verify_bundle(world.export(titles=((own[0], forged),)).build(), world.MEMBERS)
    assert wrong(report) == {"EVI-11": ("FAILED", "bad_signature")}


@pytest.mark.parametrize("ending", ["json", "jws"])
def test_half_a_title_is_refused(ending: str) -> None:
    members = {name: data for name, data in MEMBERS.items() if name not in contents.PROVING}
    del members[f"titles/001.{ending}"]
    assert wrong(sealed(members))["EVI-11"][0] == "FAILED"


def test_a_genuine_document_of_another_consignment_is_no_evidence_here() -> None:
    elsewhere = world.issued(world.quality("Q-9", consignment="6CN-OTHER"), consignment="6CN-OTHER")
    good = world.issued(world.quality("Q-1"))
    made = world.export(documents=(good, elsewhere), statuses=(world.status(),), titles=()).build()
    assert wrong(verify_bundle(made, world.MEMBERS)) == {
        "EVI-08": ("FAILED", "evidence_other_consignment")
    }
