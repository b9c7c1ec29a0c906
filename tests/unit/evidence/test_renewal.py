"""Bundles with stamps and renewals: valid for as long as each stamp covered the one before."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.digest import sha256
from protocols.evidence import archive, contents, renewal
from protocols.evidence.renewal import Record
from protocols.evidence.verification import verify_bundle
from protocols.member_list import MemberList, MemberListDraft, advance, sign_list
from schemas.catalogue import explain
from schemas.errors import RefusedError, TradeError
from schemas.findings import Outcome, Report
from tests.support import certified, pki
from tests.support import evidence_world as world
from tests.support.certified import TIME_ROOT, time_anchor
from tests.support.title_world import NOW, ecdsa

YEAR = timedelta(days=365)
SEEN = NOW + timedelta(minutes=2)
LISTED = world.following(anchors=(time_anchor(),))


def server(end: datetime) -> pki.Server:
    return pki.server(TIME_ROOT, end=end)


def bundle(stamper: pki.Server | None = None) -> bytes:
    """A bundle under `LISTED`, its first document stamped by `stamper`."""
    made = world.export(
        lists=(world.MEMBERS, LISTED), at=SEEN, seen_at=SEEN, statuses=(world.status(at=SEEN),),
        documents=(world.issued(),), titles=(),
    )  # fmt: skip
    held = made.contents()
    if stamper is not None:
        stamp = stamper.stamp(world.issued().credential.encode(), NOW)
        held = replace(held, documents=(replace(held.documents[0], timestamp=stamp),))
    return made.seal(contents.prepare(held))


def renewed(data: bytes, stamper: pki.Server, at: datetime, others: int = 2) -> bytes:
    """The bundle with one renewal, in a batch with others."""
    digests = [sha256(b"other %d" % number) for number in range(others)]
    batch = renewal.plan([*digests, sha256(data)])
    return renewal.attach(data, batch.records[-1], stamper.stamp(batch.stamped, at))


def verify(data: bytes, now: datetime, held: MemberList = LISTED) -> Report:
    return verify_bundle(data, held, now=now)


def outcome(report: Report, check_id: str) -> tuple[str, str]:
    check = report.check(check_id)
    assert check is not None
    assert not check.code or explain(check.code)
    return check.outcome.value, check.code


def test_a_stamped_bundle_passes_while_its_server_counts() -> None:
    stamped = bundle(server(NOW + YEAR))
    report = verify(stamped, SEEN)
    assert report.verdict is Outcome.PASSED, report.to_json()
    check = report.check("EVI-14")
    assert check is not None
    assert check.evidence == {"stamped": 1}
    late = verify(stamped, NOW + 2 * YEAR)
    assert outcome(late, "EVI-14") == ("FAILED", "evidence_timestamp")


def test_group_25_a_chain_of_renewals_keeps_a_bundle_for_many_years() -> None:
    data = bundle(server(NOW + YEAR))
    data = renewed(data, server(NOW + 3 * YEAR), NOW + YEAR / 2)
    data = renewed(data, server(NOW + 8 * YEAR), NOW + 2 * YEAR)
    report = verify(data, NOW + 7 * YEAR)
    assert report.verdict is Outcome.PASSED, report.to_json()
    check = report.check("EVI-13")
    assert check is not None
    assert len(check.evidence["renewed"]) == 2
    assert outcome(verify(data, NOW + 9 * YEAR), "EVI-13") == ("FAILED", "tsa_expired")


def test_group_25_a_renewal_that_came_too_late_does_not_bring_a_stamp_back() -> None:
    data = renewed(bundle(server(NOW + YEAR)), server(NOW + 8 * YEAR), NOW + 2 * YEAR)
    assert outcome(verify(data, NOW + 3 * YEAR), "EVI-14") == ("FAILED", "evidence_timestamp")
    first = renewed(bundle(), server(NOW + YEAR), NOW + YEAR / 2)
    second = renewed(first, server(NOW + 8 * YEAR), NOW + 2 * YEAR)
    assert outcome(verify(second, NOW + 3 * YEAR), "EVI-13") == ("FAILED", "tsa_expired")


def test_a_renewal_of_another_file_or_place_or_server_is_refused() -> None:
    data = bundle()
    good = server(NOW + 8 * YEAR)
    batch = renewal.plan([sha256(b"x"), sha256(data)])
    stamp = good.stamp(batch.stamped, NOW + YEAR)
    swapped = renewal.attach(data, batch.records[0], stamp)
    assert outcome(verify(swapped, NOW + YEAR), "EVI-13")[0] == "FAILED"
    other = renewal.attach(data, batch.records[1], good.stamp(b"other", NOW + YEAR))
    assert outcome(verify(other, NOW + YEAR), "EVI-13") == ("FAILED", "tsa_other_digest")
    stranger = pki.server(pki.root("Stranger"))
    unlisted = renewed(data, stranger, NOW + YEAR)
    assert outcome(verify(unlisted, NOW + YEAR), "EVI-13") == (
        "INDETERMINATE",
        "certificate_unknown_root",
    )


def test_renewals_out_of_order_are_refused() -> None:
    good = server(NOW + 8 * YEAR)
    data = renewed(renewed(bundle(), good, NOW + 2 * YEAR), good, NOW + YEAR)
    assert outcome(verify(data, NOW + 3 * YEAR), "EVI-13") == ("FAILED", "evidence_renewal_order")


def test_half_a_renewal_or_a_gap_is_refused() -> None:
    members, _ = archive.read(renewed(bundle(), server(NOW + YEAR), NOW))
    for name in ("renewals/001.json", "renewals/001.tsr"):
        data = archive.write({key: value for key, value in members.items() if key != name})
        assert outcome(verify(data, NOW), "EVI-13") == ("FAILED", "evidence_malformed")
    moved = {name.replace("001.json", "002.json"): data for name, data in members.items()}
    assert outcome(verify(archive.write(moved), NOW), "EVI-13")[0] == "FAILED"


@given(st.data())
def test_a_changed_byte_of_a_renewal_or_below_it_never_passes(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(RENEWED)))
    original = RENEWED[name]
    place = data.draw(st.integers(0, min(len(original), 4000) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != original[place]))
    changed = original[:place] + bytes([value]) + original[place + 1 :]
    report = verify(archive.write({**RENEWED, name: changed}), SEEN)
    if name == "renewals/002.tsr":  # the outermost one: some of its bytes are not signed
        assert report.check("EVI-13") is not None
    else:
        assert report.verdict is not Outcome.PASSED


RENEWED, _ = archive.read(
    renewed(
        renewed(bundle(), server(NOW + YEAR), SEEN + timedelta(days=1)),
        server(NOW + YEAR),
        SEEN + timedelta(days=2),
    )
)


def test_a_stamp_of_no_document_is_refused() -> None:
    made = world.export()
    prepared = contents.prepare(made.contents())
    stray = {**prepared.members, "timestamps/009.tsr": b"x"}
    index = contents.write_index(world.MEMBERS.network, world.UCR, stray)
    report = verify_bundle(made.seal(contents.Prepared(stray, index)), world.MEMBERS)
    assert outcome(report, "EVI-10") == ("FAILED", "evidence_receipt")


@given(st.integers(1, 40), st.data())
def test_every_bundle_of_a_batch_finds_its_way_to_the_stamp(size: int, data: st.DataObject) -> None:
    digests = [sha256(b"%d" % number) for number in range(size)]
    batch = renewal.plan(digests)
    at = data.draw(st.integers(0, size - 1))
    record = renewal.read_record(batch.records[at].to_bytes())
    assert record.stamped(digests[at]) == batch.stamped
    other = sha256(b"not in it")
    try:
        assert record.stamped(other) != batch.stamped
    except RefusedError:
        pytest.fail("a path of the right length always gives a root")


def test_records_batches_and_attaching_have_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RefusedError, match="renewal_empty"):
        renewal.plan([])
    record = Record(0, 1, ())
    twice = renewal.plan([bytes(32)] * 4).records[0]
    assert renewal.read_record(twice.to_bytes()) == twice
    for wrong in (
        b"{}",
        b'{"v":1,"index":0,"size":1}',
        record.to_bytes() + b" ",
        b'{"v":1,"index":1,"size":1,"path":[]}',
    ):
        with pytest.raises(TradeError):
            renewal.read_record(wrong)
    with pytest.raises(RefusedError, match="renewal_not_exact"):
        renewal.attach(bundle() + b"x", record, b"")
    monkeypatch.setattr(renewal, "MAX_BATCH", 1)
    with pytest.raises(RefusedError, match="renewal_too_many"):
        renewal.plan([bytes(32), bytes(32)])
    monkeypatch.setattr(renewal, "MAX_RENEWALS", 0)
    with pytest.raises(RefusedError, match="renewal_too_many"):
        renewal.attach(bundle(), record, b"")


# --- the list of that time ----------------------------------------------------------------------


def later(**changes: object) -> MemberList:
    """Version 3, years later."""
    base = MemberListDraft.after(LISTED, issued_at=NOW + YEAR, expires=NOW + 2 * YEAR)
    signed = sign_list(replace(base, **changes).payload(), [ecdsa("founder", "root")])
    return advance(LISTED, signed, now=NOW + YEAR)


def test_r5_an_old_bundle_is_judged_by_the_list_of_its_time_for_who_holds_it() -> None:
    newest, data = later(), bundle()
    alone = verify_bundle(data, newest, now=NOW + YEAR)
    assert outcome(alone, "EVI-05") == ("INDETERMINATE", "evidence_list_older")
    report = verify_bundle(data, newest, now=NOW + YEAR, earlier=(world.MEMBERS, LISTED))
    assert report.verdict is Outcome.PASSED, report.to_json()


def test_r17_a_compromise_told_later_is_not_forgotten_for_an_old_bundle() -> None:
    key = LISTED.key(ecdsa("cn-cert", "credential").kid)
    assert key is not None
    told = replace(
        key, compromised_from=NOW - timedelta(hours=3), compromise_announced=NOW + YEAR / 2
    )
    base = MemberListDraft.after(LISTED, issued_at=NOW + YEAR, expires=NOW + 2 * YEAR)
    draft = base.with_key(told)
    newest = advance(LISTED, sign_list(draft.payload(), [ecdsa("founder", "root")]), now=None)
    report = verify_bundle(bundle(), newest, now=NOW + YEAR, earlier=(world.MEMBERS, LISTED))
    assert outcome(report, "EVI-08")[0] != "PASSED"


def test_group_03_a_bundle_with_the_stamp_accepts_a_key_that_had_ended_by_the_export() -> None:
    """The key ends between the stamp and the export; without the stamp the bundle fails."""
    ended = NOW + timedelta(minutes=1)
    key = world.MEMBERS.key(ecdsa("cn-cert", "credential").kid)
    assert key is not None
    base = MemberListDraft.after(
        world.MEMBERS, issued_at=NOW, expires=NOW + timedelta(days=60)
    ).with_key(replace(key, valid_until=ended))
    signed = sign_list(
        replace(base, anchors=(time_anchor(),)).payload(), [ecdsa("founder", "root")]
    )
    listed = advance(world.MEMBERS, signed, now=None)
    made = world.export(
        lists=(world.MEMBERS, listed), at=SEEN, seen_at=SEEN, documents=(world.issued(),),
        titles=(), statuses=(world.status(at=NOW),),
    )  # fmt: skip
    held = made.contents()
    without = replace(held, documents=(replace(held.documents[0], entry=b"", proof=""),))
    plain = verify_bundle(made.seal(contents.prepare(without)), listed, now=SEEN)
    assert "CRED-02 key_not_current" in plain.check("EVI-08").reason
    stamp = certified.stamp(world.issued(), NOW)
    one = replace(without.documents[0], timestamp=stamp)
    with_stamp = made.seal(contents.prepare(replace(without, documents=(one,))))
    report = verify_bundle(with_stamp, listed, now=SEEN)
    assert outcome(report, "EVI-14") == ("PASSED", "")
    assert outcome(report, "EVI-08") == ("PASSED", "")
