"""An evidence bundle passes offline, and none with an altered or exchanged member ever does."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import jws
from protocols.digest import sha256
from protocols.evidence import archive, contents, verification
from protocols.evidence.contents import INDEX, REPORT, STATEMENT, STATEMENT_PROOF, Prepared
from protocols.evidence.verification import verify_bundle
from schemas.catalogue import explain
from schemas.findings import Outcome
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa, ed
from tests.unit.evidence.bundles import GOOD, MEMBERS, attackers, plain, rebuilt, sealed, wrong


def test_a_good_bundle_passes_every_check_and_is_marked_historical() -> None:
    report = verify_bundle(GOOD, world.MEMBERS)
    assert [check.id for check in report.checks] == [
        *(f"EVI-{n:02d}" for n in range(1, 15)),
        "EVI-16",
        "EVI-17",
    ]
    assert report.verdict is Outcome.PASSED, wrong(report)
    assert report.subject == world.UCR
    assert report.historical


def test_the_same_contents_give_the_same_bytes() -> None:
    assert world.export().build() == GOOD


def test_r5_a_newer_list_in_the_bundle_counts_because_it_links_to_the_one_held() -> None:
    later = NOW + timedelta(minutes=2)
    second = world.following()
    bundle = world.export(
        lists=(world.MEMBERS, second), at=later, seen_at=later, statuses=(world.status(at=later),)
    ).build()
    assert verify_bundle(bundle, world.MEMBERS).verdict is Outcome.PASSED
    assert verify_bundle(bundle, second).verdict is Outcome.PASSED


# --- one changed byte ------------------------------------------------------------------------

EXPECTED = {
    INDEX: {"EVI-02", "EVI-03", "EVI-04"},
    STATEMENT: {"EVI-04", "EVI-05", "EVI-06"},
    STATEMENT_PROOF: {"EVI-07"},
}


@given(st.data())
def test_any_changed_byte_of_any_member_fails_with_the_right_check(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(MEMBERS)))
    original = MEMBERS[name]
    place = data.draw(st.integers(0, len(original) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != original[place]))
    changed = original[:place] + bytes([value]) + original[place + 1 :]
    _assert_named(name, {**MEMBERS, name: changed})


def _assert_named(name: str, members: dict[str, bytes]) -> None:
    report = verify_bundle(archive.write(members), world.MEMBERS)
    assert report.verdict is not Outcome.PASSED, name
    assert EXPECTED.get(name, {"EVI-03"}) & wrong(report).keys(), (name, wrong(report))
    if name not in EXPECTED:
        check = report.check("EVI-03")
        assert check is not None
        assert check.reason == name


@pytest.mark.parametrize(
    ("name", "last"), [(INDEX, "EVI-04"), (STATEMENT, "EVI-06"), (STATEMENT_PROOF, "EVI-07")]
)
def test_every_byte_of_the_proving_members_counts(
    name: str, last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps up to the one that must see it are enough; those after it cost most."""
    order = [check_id for check_id, _ in verification.STEPS]
    monkeypatch.setattr(verification, "STEPS", verification.STEPS[: order.index(last) + 1])
    assert verify_bundle(GOOD, world.MEMBERS).verdict is Outcome.PASSED
    original = MEMBERS[name]
    for place in range(0, len(original), 1 if name == INDEX else 3):
        changed = bytearray(original)
        changed[place] ^= 1
        _assert_named(name, {**MEMBERS, name: bytes(changed)})


def test_any_changed_byte_of_the_file_is_caught_and_the_member_named() -> None:
    for place in range(0, len(GOOD), 211):
        changed = bytearray(GOOD)
        changed[place] ^= 0x40
        report = verify_bundle(bytes(changed), world.MEMBERS)
        assert wrong(report)["EVI-01"][0] == "FAILED", place
    start = GOOD.index(MEMBERS[REPORT])
    report = verify_bundle(GOOD[:start] + b"[" + GOOD[start + 1 :], world.MEMBERS)
    assert wrong(report)["EVI-01"] == ("FAILED", "archive_not_exact")
    assert wrong(report)["EVI-03"] == ("FAILED", "evidence_member_altered")


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_a_member_left_out_is_missed(name: str) -> None:
    members = {key: data for key, data in MEMBERS.items() if key != name}
    assert verify_bundle(archive.write(members), world.MEMBERS).verdict is Outcome.FAILED


@pytest.mark.parametrize("name", sorted(set(MEMBERS) - {STATEMENT, STATEMENT_PROOF, INDEX}))
def test_with_the_index_rebuilt_a_changed_or_missing_member_still_never_passes(name: str) -> None:
    changed = MEMBERS[name][:-1] + bytes([MEMBERS[name][-1] ^ 1])
    report = verify_bundle(rebuilt({**MEMBERS, name: changed}), world.MEMBERS)
    assert wrong(report)["EVI-04"] == ("FAILED", "evidence_other_index")
    members = {key: data for key, data in MEMBERS.items() if key != name}
    report = verify_bundle(rebuilt(members), world.MEMBERS)
    assert wrong(report)["EVI-04"] == ("FAILED", "evidence_other_index")


# --- members of other bundles ----------------------------------------------------------------


def other_bundle() -> dict[str, bytes]:
    third = world.issued(world.quality("Q-3"))
    made = world.export(documents=(third,), statuses=(world.status(at=NOW - timedelta(minutes=1)),))
    return archive.read(made.build())[0]


@pytest.mark.parametrize(
    "name",
    ["documents/001-quality-certificate.vc", "status/001.jwt", "receipts/001.tlog-proof", REPORT],
)
def test_members_of_another_valid_bundle_never_pass_with_the_index_rebuilt(name: str) -> None:
    mixed = {**MEMBERS, name: other_bundle()[name]}
    report = verify_bundle(rebuilt(mixed), world.MEMBERS)
    assert report.verdict is Outcome.FAILED
    assert wrong(report)["EVI-04"] == ("FAILED", "evidence_other_index")


def test_the_statement_of_another_bundle_does_not_carry_over() -> None:
    other = other_bundle()
    for names in ([STATEMENT], [STATEMENT_PROOF], [STATEMENT, STATEMENT_PROOF]):
        mixed = {**MEMBERS, **{name: other[name] for name in names}}
        assert verify_bundle(archive.write(mixed), world.MEMBERS).verdict is Outcome.FAILED


def test_even_a_listed_exporter_cannot_exchange_a_document_under_its_receipt() -> None:
    """A dishonest exporter signs a new index: the documents and receipts still speak."""
    other = other_bundle()
    members = {name: data for name, data in MEMBERS.items() if name not in contents.PROVING}
    swapped = {**members, "receipts/001.tlog-proof": other["receipts/001.tlog-proof"]}
    assert wrong(sealed(swapped))["EVI-10"] == ("FAILED", "evidence_receipt")
    swapped = {
        **members,
        "documents/001-quality-certificate.vc": other["documents/001-quality-certificate.vc"],
    }
    assert wrong(sealed(swapped))["EVI-10"] == ("FAILED", "evidence_receipt")


# --- statement and index ---------------------------------------------------------------------


def test_statement_and_index_have_one_spelling() -> None:
    members = plain()
    index = contents.write_index(world.MEMBERS.network, world.UCR, members)
    loose = world.export().seal(Prepared(members, index + b" "))
    assert wrong(verify_bundle(loose, world.MEMBERS))["EVI-02"] == ("FAILED", "evidence_malformed")
    statement = world.export().statement(sha256(index)).to_bytes().replace(b'"v":1', b'"v": 1')
    text = jws.sign(statement, typ=contents.TYP, signer=ecdsa("nl-port", "exchange"))
    bundle = archive.write({**MEMBERS, STATEMENT: text.encode()})
    assert wrong(verify_bundle(bundle, world.MEMBERS))["EVI-04"] == ("FAILED", "evidence_malformed")


def test_a_statement_about_another_subject_or_network_is_refused() -> None:
    index = contents.write_index(world.MEMBERS.network, "another", plain())
    bundle = world.export().seal(Prepared(plain(), index))
    assert wrong(verify_bundle(bundle, world.MEMBERS))["EVI-04"] == (
        "FAILED",
        "evidence_other_index",
    )
    report = verify_bundle(GOOD, attackers())
    assert wrong(report)["EVI-05"] == ("FAILED", "evidence_other_network")


def test_every_check_and_code_is_explained_in_both_languages() -> None:
    reports = [verify_bundle(GOOD, world.MEMBERS), verify_bundle(b"", world.MEMBERS)]
    reports.append(verify_bundle(GOOD, world.following()))
    for check in [check for report in reports for check in report.checks]:
        for code in filter(None, (check.id, check.code)):
            entry = explain(code)
            assert entry is not None, code
            assert entry.en
            assert entry.zh
    assert ed("nl-port", "log").kid
