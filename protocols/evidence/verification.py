"""EVI-01 … EVI-14, EVI-16, EVI-17: what a bundle proves, checked against the member list held.

Pure and offline. The moment of everything is the *witnessed* time of the export (EVI-07); nobody's
word is taken for it. A list, key or policy in the bundle counts only as far as it links to the
list held (R5). The report is marked historical: it speaks of that moment, and no release accepts
it (R25).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from protocols import jws, times, timestamp
from protocols.credentials.status_list import Status
from protocols.digest import sha256
from protocols.evidence import archive, contents, moment, reading, recognition, renewal
from protocols.evidence.contents import INDEX, STATEMENT, STATEMENT_PROOF
from protocols.evidence.reading import as_text
from protocols.log import epochs as log_epochs
from protocols.member_list import KeyStanding, MemberList
from protocols.members import history
from protocols.members.trust import CLOCK_SKEW
from protocols.title import registry_freeze
from protocols.title.registry_freeze import NO_FREEZES, Freezes
from protocols.verify.case import end_of_second
from protocols.verify.certificate_steps import verify_stamp
from protocols.verify.credential_steps import FAILED, PASSED, UNKNOWN, fault, not_reached
from protocols.verify.receipt_steps import origin_of, verify_in_listed_log
from protocols.verify.status_steps import SUSPENDED
from schemas.errors import MalformedError, RefusedError, TradeError
from schemas.findings import Check, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from protocols.evidence.contents import Index, Statement
    from protocols.evidence.moment import Moment
    from protocols.evidence.reading import CheckedDocument


#: Nothing is known of who is not listed; nothing is wrong with what it vouches for.
_UNLISTED = frozenset({"log_not_listed", "certificate_unknown_root"})


@dataclass(slots=True)
class Bundle:
    """A bundle under verification: given, and found so far."""

    data: bytes
    held: MemberList
    now: datetime | None = None
    earlier: Sequence[MemberList] = ()
    freezes: Freezes = field(default_factory=dict)
    country: str | None = None
    members: dict[str, bytes] = field(default_factory=dict)
    index: Index | None = None
    signed: jws.Jws | None = None
    statement: Statement | None = None
    lists: MemberList | None = None
    at: datetime | None = None
    documents: tuple[CheckedDocument, ...] | None = None
    renewed: tuple[datetime, ...] | None = None
    asked: Moment | None = None

    def text(self, name: str) -> str:
        """A member as ASCII or UTF-8 text; raises MalformedError `evidence_malformed`."""
        if name not in self.members:
            raise MalformedError(contents.CODE, "a member is missing", pointer=name)
        return as_text(self.members[name], name)

    def named(self, folder: str) -> list[str]:
        """The members of a folder, in order of their names."""
        return sorted(name for name in self.members if name.startswith(folder + "/"))


def evi_01_container(bundle: Bundle) -> Check:
    """EVI-01: the file is exactly the archive its members make, with known names only."""
    bundle.members, exact = archive.read(bundle.data)
    strange = sorted(name for name in bundle.members if not contents.known_name(name))
    if strange:
        return Check("EVI-01", FAILED, strange[0], "evidence_unknown_member")
    if not exact:
        return Check("EVI-01", FAILED, code="archive_not_exact")
    return Check("EVI-01", PASSED, evidence={"members": len(bundle.members)})


def evi_02_index(bundle: Bundle) -> Check:
    """EVI-02: index.json is canonical and lists every member, no more and no fewer."""
    if INDEX not in bundle.members:
        return Check("EVI-02", FAILED, INDEX, "evidence_member_missing")
    bundle.index = contents.read_index(bundle.members[INDEX])
    listed = {item.name for item in bundle.index.members}
    present = set(filter(contents.is_listed, bundle.members))
    if listed != present:
        return Check("EVI-02", FAILED, min(listed ^ present), "evidence_index_incomplete")
    return Check("EVI-02", PASSED, evidence={"sha256": sha256(bundle.members[INDEX]).hex()})


def evi_03_members(bundle: Bundle) -> Check:
    """EVI-03: every member has the digest and the length that the index says."""
    if bundle.index is None:
        return not_reached("EVI-03")
    altered = [
        item.name
        for item in bundle.index.members
        if item.name in bundle.members and not _matches(item, bundle.members[item.name])
    ]
    if altered:
        return Check("EVI-03", FAILED, ", ".join(altered[:5]), "evidence_member_altered")
    return Check("EVI-03", PASSED)


def _matches(item: contents.IndexEntry, data: bytes) -> bool:
    return item.length == len(data) and item.sha256 == sha256(data)


def evi_04_statement(bundle: Bundle) -> Check:
    """EVI-04: the exporter's statement is about this index, subject and network."""
    bundle.signed = jws.parse(bundle.text(STATEMENT), typ=contents.TYP, max_bytes=65_536)
    statement = contents.read_statement(bundle.signed)
    bundle.statement = statement
    if statement.index != sha256(bundle.members.get(INDEX, b"")):
        return Check("EVI-04", FAILED, code="evidence_other_index")
    index = bundle.index
    if index is None:
        return not_reached("EVI-04")
    if (statement.network, statement.subject) != (index.network, index.subject):
        return Check("EVI-04", FAILED, code="evidence_other_index")
    evidence = {"from": statement.exporter, "subject": statement.subject}
    return Check("EVI-04", PASSED, evidence=evidence)


def evi_05_member_list(bundle: Bundle) -> Check:
    """EVI-05: the bundle's lists link to the list held, and end at the one stated (R5).

    A bundle made under an older list than the verifier's is judged by that list when the verifier
    holds that version, too, with what is known by now of keys, algorithms and anchors. Else it is
    INDETERMINATE: what has changed since may be just what matters.
    """
    statement, held = bundle.statement, bundle.held
    if statement is None:
        return not_reached("EVI-05")
    if statement.network != held.network:
        return Check("EVI-05", FAILED, code="evidence_other_network")
    lists = [bundle.members[name] for name in bundle.named("members")]
    last = reading.link(lists, held)
    if last is None or (last.version, last.digest) != (
        statement.list_version,
        statement.list_digest,
    ):
        return Check("EVI-05", FAILED, code="evidence_other_list")
    if last.version < held.version:
        known = [each for each in bundle.earlier if each.digest == last.digest]
        if not known:
            told = f"{last.version} < {held.version}"
            return Check("EVI-05", UNKNOWN, told, "evidence_list_older")
        last = _as_known_now(known[0], held)
    bundle.lists = last
    return Check("EVI-05", PASSED, evidence={"version": last.version, "digest": last.digest.hex()})


def _as_known_now(earlier: MemberList, held: MemberList) -> MemberList:
    """The earlier list with the compromises, ended algorithms and anchors of the one held."""
    told = history.as_known_by(earlier, held)
    return replace(told, algorithms=held.algorithms, anchors=held.anchors)


def evi_17_successions(bundle: Bundle) -> Check:
    """EVI-17: every hand-over of a log, and every registry's end, links to the list (R5).

    A log's new witnesses count from a hand-over on that the old and the new quorum have cosigned
    (R16); a registry's end, and who continues its titles, is what the roots have signed (R21).
    """
    if bundle.lists is None:
        return not_reached("EVI-17")
    known = log_epochs.as_known_by(bundle.lists, bundle.held)
    carried = [log_epochs.parse(bundle.members[each]) for each in bundle.named("hand-overs")]
    bundle.lists = log_epochs.with_hand_overs(known, carried)
    documents = [bundle.text(each) for each in bundle.named("freezes")]
    bundle.freezes = registry_freeze.disclosed(documents, bundle.lists, bundle.freezes)
    evidence = {
        "handOvers": [f"{each.origin} {each.before} > {each.after}" for each in carried],
        "ended": [each.hex() for each in bundle.freezes],
    }
    return Check("EVI-17", PASSED, evidence=evidence)


def evi_06_exporter(bundle: Bundle) -> Check:
    """EVI-06: the statement is signed with a listed exchange key of the exporter (R1, R3)."""
    signed, statement, members = bundle.signed, bundle.statement, bundle.lists
    if signed is None or statement is None or members is None:
        return not_reached("EVI-06")
    key = members.key(signed.kid)
    if key is None or key.purpose != "exchange" or key.did != statement.exporter:
        return Check("EVI-06", FAILED, signed.kid, "evidence_key_refused")
    if key.standing(statement.at, proven=True) is not KeyStanding.VALID:
        return Check("EVI-06", FAILED, signed.kid, "evidence_key_refused")
    jws.verify(signed, key.public)
    return Check("EVI-06", PASSED, evidence={"kid": signed.kid})


def evi_07_export_time(bundle: Bundle) -> Check:
    """EVI-07: the statement is in the exporter's own listed log and a quorum saw it there (R17).

    The witnesses' median time is the moment of the bundle.
    """
    statement, members = bundle.statement, bundle.lists
    if statement is None or members is None:
        return not_reached("EVI-07")
    proof = bundle.text(STATEMENT_PROOF)
    listed = members.log(origin_of(proof))
    if listed is None or listed.did != statement.exporter:
        return Check("EVI-07", FAILED, code="evidence_other_log")
    result = verify_in_listed_log(members, statement.entry(), proof)
    if result.witness_time is None:
        return Check("EVI-07", UNKNOWN, code="unwitnessed")
    seen = end_of_second(result.witness_time)
    if statement.at - seen > CLOCK_SKEW:
        return Check("EVI-07", FAILED, code="evidence_from_future")
    key = members.key(bundle.signed.kid) if bundle.signed else None
    if key is not None and key.standing(seen, proven=True) is not KeyStanding.VALID:
        # The exporter chose the date it states; the witnesses saw the statement only now.
        return Check("EVI-07", FAILED, code="evidence_key_refused")
    bundle.at = seen
    evidence = {"time": times.to_text(seen), "witnesses": sorted(result.witness_times)}
    return Check("EVI-07", PASSED, evidence=evidence)


def evi_08_documents(bundle: Bundle) -> Check:
    """EVI-08: every document verifies at that moment, its status apart (CRED-01 … CRED-12)."""
    if bundle.at is None or bundle.lists is None:
        return not_reached("EVI-08")
    until = bundle.renewed[0] if bundle.renewed else bundle.now
    bundle.documents = reading.check_documents(
        bundle.members, bundle.lists, bundle.at, stamped_until=until, country=bundle.country
    )
    if not bundle.documents:
        return Check("EVI-08", FAILED, code="evidence_without_documents")
    for document in bundle.documents:
        wrong = document.fault
        if wrong is not None:
            told = f"{document.name}: {wrong.id} {wrong.code}".strip()
            return Check("EVI-08", wrong.outcome, told, "evidence_document")
        if bundle.statement is None or document.consignment != bundle.statement.subject:
            return Check("EVI-08", FAILED, document.name, "evidence_other_consignment")
    return Check("EVI-08", PASSED, evidence={"documents": len(bundle.documents)})


def evi_09_status(bundle: Bundle) -> Check:
    """EVI-09: for every document a status list of its issuer, fresh at that moment, is there."""
    if bundle.documents is None:
        return not_reached("EVI-09")
    for document in bundle.documents:
        if not _is_known(document.status):
            told = f"{document.name}: {document.status.code}"
            return Check("EVI-09", UNKNOWN, told, "evidence_status")
    revoked = [item.name for item in bundle.documents if item.status.outcome is FAILED]
    return Check("EVI-09", PASSED, evidence={"revoked": revoked})


def _is_known(status: Check) -> bool:
    """Whether the lists told how the document stood: suspended, and not revoked, is known."""
    suspended = status.code == SUSPENDED and status.evidence.get("says") == Status.VALID
    return status.outcome is not UNKNOWN or suspended


def evi_10_receipts(bundle: Bundle) -> Check:
    """EVI-10: every receipt places its document's leaf in a listed log, not after the export."""
    if bundle.documents is None or bundle.at is None:
        return not_reached("EVI-10")
    for document in bundle.documents:
        wrong = document.receipt_fault
        if wrong is not None:
            told = f"{document.name}: {wrong.id} {wrong.code}".strip()
            return Check("EVI-10", wrong.outcome, told, "evidence_receipt")
    stray = reading.stray_receipts(bundle.members)
    if stray:
        return Check("EVI-10", FAILED, stray, "evidence_receipt")
    held = [item for item in bundle.documents if item.has_receipt]
    return Check("EVI-10", PASSED, evidence={"receipts": len(held)})


def evi_11_titles(bundle: Bundle) -> Check:
    """EVI-11: every title proof leads to a witnessed root, or to sealed blocks, of its listed
    arbiter (R21, R22).

    And it is, by its carrier's manifest, the title of a document in the bundle (R19), under the
    arbiter that issued it or one to which signed hand-overs lead from there (R21).
    """
    if bundle.lists is None or bundle.at is None or bundle.documents is None:
        return not_reached("EVI-11")
    numbers = dict.fromkeys(name.rpartition(".")[0] for name in bundle.named("titles"))
    missing = [f"{each}.json" for each in numbers if f"{each}.json" not in bundle.members]
    if missing:
        return Check("EVI-11", FAILED, missing[0], "evidence_member_missing")
    proven = [
        reading.check_title(
            bundle.members[f"{each}.json"],
            bundle.text(f"{each}.jws"),
            bundle.lists,
            bundle.at,
            bundle.documents,
            bundle.freezes,
        )
        for each in numbers
    ]
    unsealed = [each for each in proven if "unsealed" in each]
    if unsealed:
        told = f"title {unsealed[0]['title']}: block {unsealed[0]['unsealed']}"
        return Check("EVI-11", UNKNOWN, told, "evm_block_unsealed", evidence={"titles": proven})
    return Check("EVI-11", PASSED, evidence={"titles": proven})


def evi_12_report(bundle: Bundle) -> Check:
    """EVI-12: the exporter's report and history say what the documents themselves say."""
    if bundle.documents is None:
        return not_reached("EVI-12")
    told = reading.read_report(bundle.members.get(contents.REPORT, b""))
    seen = {item.digest: item.verdict for item in bundle.documents}
    if told != seen:
        return Check("EVI-12", FAILED, code="evidence_report_differs")
    events = reading.read_history(bundle.members.get(contents.HISTORY, b""))
    return Check("EVI-12", PASSED, evidence={"events": events})


def evi_13_renewals(bundle: Bundle) -> Check:
    """EVI-13: each renewal's time-stamp covers the file as it was, while the one before counted.

    Its server is listed in the list held. Without renewals there is nothing to check.
    """
    if bundle.index is None:
        return not_reached("EVI-13")
    numbers = renewal.numbers(bundle.members)
    stamped = [_stamped(bundle, number) for number in numbers]
    moments = [timestamp.read(response).made for _, response in stamped]
    if moments != sorted(moments):
        return Check("EVI-13", FAILED, code="evidence_renewal_order")
    judged = (*moments[1:], bundle.now)
    for (data, response), until in zip(stamped, judged, strict=False):
        verify_stamp(response, data, bundle.held.anchors, judged=until)
    bundle.renewed = tuple(moments)
    return Check("EVI-13", PASSED, evidence={"renewed": list(map(times.to_text, moments))})


def _stamped(bundle: Bundle, number: int) -> tuple[bytes, bytes]:
    """What a renewal's stamp must be over, and the stamp."""
    record, response = renewal.parts(bundle.members, number)
    return record.stamped(renewal.covered(bundle.members, number)), response


def evi_14_timestamps(bundle: Bundle) -> Check:
    """EVI-14: every document's time-stamp holds, until a renewal covered it or until now."""
    if bundle.documents is None:
        return not_reached("EVI-14")
    for document in bundle.documents:
        wrong = document.stamp_fault
        if wrong is not None:
            told = f"{document.name}: {wrong.id} {wrong.code}".strip()
            return Check("EVI-14", wrong.outcome, told, "evidence_timestamp")
    stamped = [item for item in bundle.documents if item.has_stamp]
    return Check("EVI-14", PASSED, evidence={"stamped": len(stamped)})


def evi_16_anchors(bundle: Bundle) -> Check:
    """EVI-16: every anchor leads from its receipt to a listed contract on a chain (R5, R7)."""
    if bundle.documents is None:
        return not_reached("EVI-16")
    for document in bundle.documents:
        wrong = document.anchor_fault
        if wrong is not None:
            told = f"{document.name}: {wrong.id} {wrong.code}".strip()
            return Check("EVI-16", wrong.outcome, told, "evidence_anchor")
    anchored = [item for item in bundle.documents if item.anchored]
    return Check("EVI-16", PASSED, evidence={"anchored": len(anchored)})


#: In the order in which they need each other: hand-overs say whose witnesses count, and a renewal
#: says until when earlier stamps must hold.
STEPS: tuple[tuple[str, Callable[[Bundle], Check]], ...] = (
    ("EVI-01", evi_01_container),
    ("EVI-02", evi_02_index),
    ("EVI-03", evi_03_members),
    ("EVI-04", evi_04_statement),
    ("EVI-05", evi_05_member_list),
    ("EVI-17", evi_17_successions),
    ("EVI-06", evi_06_exporter),
    ("EVI-07", evi_07_export_time),
    ("EVI-13", evi_13_renewals),
    ("EVI-08", evi_08_documents),
    ("EVI-09", evi_09_status),
    ("EVI-10", evi_10_receipts),
    ("EVI-11", evi_11_titles),
    ("EVI-12", evi_12_report),
    ("EVI-14", evi_14_timestamps),
    ("EVI-16", evi_16_anchors),
)


def verify_bundle(
    data: bytes,
    held: MemberList,
    *,
    now: datetime | None = None,
    earlier: Sequence[MemberList] = (),
    at: datetime | None = None,
    freezes: Freezes = NO_FREEZES,
    country: str | None = None,
) -> Report:
    """Verify an evidence bundle against the member list `held`. No network, no clock.

    now:     until when the last time-stamp over it must hold; None asks for no more than that it
             held when it was made, as an exporter does
    earlier: versions before `held` that the verifier holds and has verified
    at:      another moment that is asked about, too (EVI-15)
    freezes: the ended arbiters that the verifier knows of; a bundle can complete, not change them
    country: alpha-2, for which CRED-11 is asked of each document, at `at` or at the export

    Never raises for a bad file. PASSED says: these documents stood, or are shown as revoked, at
    the witnessed moment of the export, for a verifier who holds this list.
    """
    bundle = Bundle(data, held, now, earlier, freezes, country)
    found = [_step(check_id, step, bundle) for check_id, step in STEPS]
    if at is not None:
        found.append(_step(moment.STEP, lambda given: moment.evi_15_moment(given, at), bundle))
    found.sort(key=lambda check: check.id)
    recognised = () if country is None else recognition.checks(bundle, at)
    subject = bundle.statement.subject if bundle.statement else ""
    as_of = at or bundle.at
    when = times.to_text(as_of) if as_of else ""
    return Report(subject, when, (*found, *recognised), historical=True)


def _step(check_id: str, step: Callable[[Bundle], Check], bundle: Bundle) -> Check:
    if not bundle.members and check_id != "EVI-01":
        return not_reached(check_id)
    try:
        return step(bundle)
    except RefusedError as error:
        outcome = UNKNOWN if error.code in _UNLISTED else FAILED
        return fault(check_id, error, outcome)
    except TradeError as error:
        return fault(check_id, error)
