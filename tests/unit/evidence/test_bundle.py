"""An evidence bundle passes offline, and no altered, mixed, stale or forged one ever does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, jws
from protocols.digest import sha256
from protocols.evidence import archive, contents, verification
from protocols.evidence.contents import INDEX, REPORT, STATEMENT, STATEMENT_PROOF, Prepared
from protocols.evidence.verification import verify_bundle
from protocols.member_list import MemberList, MemberListDraft, open_founding, sign_list
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import TradeError
from schemas.findings import Outcome, Report
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa, ed

GOOD = world.export().build()
MEMBERS, _ = archive.read(GOOD)


def wrong(report: Report) -> dict[str, tuple[str, str]]:
    return {
        check.id: (check.outcome.value, check.code)
        for check in report.checks
        if check.outcome is not Outcome.PASSED and check.code != "not_reached"
    }


def rebuilt(members: dict[str, bytes]) -> bytes:
    """The archive of these members with an index that is consistent with them."""
    index = contents.write_index(world.MEMBERS.network, world.UCR, members)
    return archive.write({**members, INDEX: index})


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


def sealed(
    members: dict[str, bytes], held: MemberList = world.MEMBERS, **changes: object
) -> Report:
    """The report on these members under a true statement by a listed exporter."""
    index = contents.write_index(world.MEMBERS.network, world.UCR, members)
    bundle = world.export(**changes).seal(Prepared(members, index))
    return verify_bundle(bundle, held)


def plain() -> dict[str, bytes]:
    return {name: data for name, data in MEMBERS.items() if name not in contents.PROVING}


# --- status ----------------------------------------------------------------------------------


def test_a_status_list_older_than_the_witnessed_export_allows_never_passes() -> None:
    old = world.status(at=NOW - timedelta(minutes=16))
    report = verify_bundle(world.export(statuses=(old,)).build(), world.MEMBERS)
    assert wrong(report)["EVI-09"] == ("INDETERMINATE", "evidence_status")
    late = world.export(seen_at=NOW + timedelta(minutes=16)).build()
    report = verify_bundle(late, world.MEMBERS)
    assert wrong(report)["EVI-09"] == ("INDETERMINATE", "evidence_status")


def test_a_bundle_without_the_status_of_a_document_never_passes() -> None:
    report = verify_bundle(world.export(statuses=()).build(), world.MEMBERS)
    assert wrong(report)["EVI-09"] == ("INDETERMINATE", "evidence_status")


def test_two_status_lists_of_one_name_are_refused() -> None:
    both = (world.status(), world.status(at=NOW - timedelta(minutes=1)))
    made = world.export(statuses=(both[0],))
    prepared = contents.prepare(replace(made.contents(), statuses=both))
    report = verify_bundle(made.seal(prepared), world.MEMBERS)
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_malformed")


def test_a_report_that_hides_a_revocation_is_caught() -> None:
    members = plain()
    told = strict_json.loads_object(members[REPORT])
    for item in told["documents"]:
        item["verdict"] = "PASSED"
    assert wrong(sealed({**members, REPORT: strict_json.canonical(told)})) == {
        "EVI-12": ("FAILED", "evidence_report_differs")
    }


# --- lists, keys and logs ---------------------------------------------------------------------


def test_r5_a_bundle_under_an_older_list_than_the_verifiers_never_passes() -> None:
    report = verify_bundle(GOOD, world.following())
    assert wrong(report) == {"EVI-05": ("INDETERMINATE", "evidence_list_older")}
    assert report.verdict is Outcome.INDETERMINATE


def attackers(**changes: object) -> MemberList:
    """The founding list signed by other roots: the attacker's own network."""
    root = ecdsa("attacker", "root")
    draft = replace(
        world.draft(), roots=replace(world.MEMBERS.roots, keys=(root.public(),)), **changes
    )
    return open_founding(sign_list(draft.payload(), [root]))


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


# --- documents, receipts, titles, report -------------------------------------------------------


def test_a_document_that_does_not_verify_is_named_with_its_step() -> None:
    bad = world.issued(world.quality("Q-4"), number="Q-5")
    report = verify_bundle(world.export(documents=(bad,)).build(), world.MEMBERS)
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_document")
    check = report.check("EVI-08")
    assert check is not None
    assert "CRED-09" in check.reason


def test_a_bundle_of_no_documents_proves_nothing() -> None:
    report = verify_bundle(world.export(documents=()).build(), world.MEMBERS)
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_without_documents")


def test_a_document_under_another_type_or_without_form_is_refused() -> None:
    name = "documents/001-quality-certificate.vc"
    members = plain()
    data = members.pop(name)
    report = sealed({**members, "documents/001-bill-of-lading.vc": data})
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_malformed")
    report = sealed({**members, name: b"nothing"})
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_document")


@pytest.mark.parametrize("name", ["receipts/001.leaf", "receipts/002.tlog-proof"])
def test_half_a_receipt_is_refused(name: str) -> None:
    members = plain()
    del members[name]
    assert wrong(sealed(members)) == {"EVI-10": ("FAILED", "evidence_receipt")}


def test_a_receipt_of_no_document_is_refused_and_a_document_may_lack_one() -> None:
    members = plain()
    entry, proof = members["receipts/001.leaf"], members["receipts/001.tlog-proof"]
    strays = {"receipts/009.leaf": entry, "receipts/009.tlog-proof": proof}
    assert wrong(sealed({**members, **strays})) == {"EVI-10": ("FAILED", "evidence_receipt")}
    del members["receipts/001.leaf"], members["receipts/001.tlog-proof"]
    assert sealed(members).verdict is Outcome.PASSED


def test_r22_a_title_proof_must_hold_under_a_listed_registry_and_not_be_younger() -> None:
    members = {**plain(), "titles/001.json": b"{}"}
    assert wrong(sealed(members))["EVI-11"][0] == "FAILED"
    without = open_founding(
        sign_list(replace(world.draft(), registries=()).payload(), [ecdsa("founder", "root")])
    )
    assert without.network != world.MEMBERS.network
    early = NOW - timedelta(hours=1)
    bundle = world.export(at=early, seen_at=early, statuses=(world.status(at=early),)).build()
    assert wrong(verify_bundle(bundle, world.MEMBERS))["EVI-11"] == ("FAILED", "evidence_title")


def test_r22_a_registry_that_the_list_does_not_name_proves_no_title() -> None:
    unnamed = world.following(registries=())
    later = NOW + timedelta(minutes=2)
    statuses = (world.status(at=later),)
    made = world.export(lists=(world.MEMBERS, unnamed), at=later, seen_at=later, statuses=statuses)
    report = verify_bundle(made.build(), world.MEMBERS)
    assert wrong(report) == {"EVI-11": ("FAILED", "evidence_title")}


@pytest.mark.parametrize(
    "history",
    [
        b"{}",
        b"[1]",
        b'[{"at":"x"}]',
        b"not json",
        b'[{"at":"2026-11-18T06:00:00.000Z"},{"at":"2026-11-17T06:00:00.000Z"}]',
    ],
)
def test_a_history_that_is_none_or_out_of_order_is_refused(history: bytes) -> None:
    assert wrong(sealed({**plain(), contents.HISTORY: history}))["EVI-12"][0] == "FAILED"


def test_members_that_are_not_text_or_not_known_are_refused() -> None:
    members = plain()
    report = sealed({**members, "status/002.jwt": b"\xff"})
    assert wrong(report)["EVI-08"] == ("FAILED", "evidence_malformed")
    report = sealed({**members, "extra.txt": b"x"})
    assert wrong(report) == {"EVI-01": ("FAILED", "evidence_unknown_member")}
    for name in (STATEMENT, STATEMENT_PROOF):
        report = verify_bundle(archive.write({**MEMBERS, name: b"\xff"}), world.MEMBERS)
        assert report.verdict is Outcome.FAILED


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


def test_r1_a_receipt_or_another_signed_object_is_no_statement() -> None:
    index = sha256(MEMBERS[INDEX])
    payload = world.export().statement(index).to_bytes()
    text = jws.sign(payload, typ="px-receipt+jws", signer=ecdsa("nl-port", "exchange"))
    report = verify_bundle(archive.write({**MEMBERS, STATEMENT: text.encode()}), world.MEMBERS)
    assert wrong(report)["EVI-04"] == ("FAILED", "jws_typ_unexpected")


def test_an_ended_epoch_or_unlisted_log_of_a_document_is_indeterminate() -> None:
    gone = tuple(entry for entry in world.MEMBERS.logs if entry.did != "did:web:nl-port.example")
    held = replace(world.MEMBERS, logs=gone)
    report = verify_bundle(GOOD, held)
    assert report.verdict is not Outcome.PASSED


# --- the container ----------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_no_bytes_ever_raise(data: bytes) -> None:
    report = verify_bundle(data, world.MEMBERS)
    assert report.verdict is Outcome.FAILED
    assert wrong(report).keys() == {"EVI-01"}


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\0",
        lambda data: b"MZ" + data,
        lambda data: data[:-22] + data[-22:-2] + b"\x01\x00x",
        lambda data: data[:-1],
        lambda data: data[:20],
        lambda data: data[:60],
        lambda data: data[:8] + b"\x08\x00" + data[10:],
    ],
)
def test_archives_with_anything_beside_their_members_are_refused(change: object) -> None:
    report = verify_bundle(change(GOOD), world.MEMBERS)
    assert wrong(report)["EVI-01"][0] == "FAILED"


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a//b", "a/b/c", "", "a\\b", "ä", "a/..", "x" * 400]
)
def test_names_that_could_leave_the_folder_are_neither_written_nor_read(name: str) -> None:
    with pytest.raises(TradeError):
        archive.write({name: b""})


def test_two_members_of_one_name_or_with_a_hostile_name_are_refused() -> None:
    one = archive.write({"a": b"1", "b": b"2"})
    for find, put in ((b"b", b"a"), (b"b", b"/")):
        with pytest.raises(TradeError):
            archive.read(one.replace(find, put))


def test_caps_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MAX_MEMBERS", 1), ("MAX_MEMBER", 1), ("MAX_ARCHIVE", 3)):
        with monkeypatch.context() as patched:
            patched.setattr(archive, name, value)
            with pytest.raises(TradeError):
                archive.write({"a": b"12", "b": b"34"})
    good = archive.write({"a": b"12", "b": b"34"})
    for name, value in (("MAX_MEMBERS", 1), ("MAX_MEMBER", 1)):
        with monkeypatch.context() as patched:
            patched.setattr(archive, name, value)
            with pytest.raises(TradeError):
                archive.read(good)
    with monkeypatch.context() as patched:
        patched.setattr(archive, "MAX_ARCHIVE", 1)
        patched.setattr(archive, "MAX_MEMBERS", 0)
        with pytest.raises(TradeError):
            archive.read(good)


def test_the_archive_is_a_plain_zip_for_everybody_else() -> None:
    import io
    import zipfile

    with zipfile.ZipFile(io.BytesIO(GOOD)) as opened:
        assert opened.testzip() is None
        assert {name: opened.read(name) for name in opened.namelist()} == MEMBERS


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
