"""The parts of a bundle's verification that look into members: lists, documents, titles, report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from protocols import jws, member_list, times
from protocols.credentials import status_list
from protocols.evidence import contents
from protocols.evm import title_proof as evm_title_proof
from protocols.fields import Fields
from protocols.members.trust import CLOCK_SKEW
from protocols.title import registry_freeze
from protocols.title.operation import document_checksum, read_manifest
from protocols.title.proof import read_proof, verify_proof
from protocols.title.registry import arbiter_of
from protocols.verify.anchor_steps import STEPS as ANCHOR_STEPS
from protocols.verify.case import Case, Receipt
from protocols.verify.receipt_steps import STEPS as LOG_STEPS
from protocols.verify.receipt_steps import CheckedCheckpoints, origin_of
from protocols.verify.run import examine_document
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError
from schemas.findings import Check, Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from protocols.evm.proof import Header
    from protocols.evm.title_proof import EvmTitleProof
    from protocols.member_list import MemberList
    from protocols.title.machine import TitleState
    from protocols.title.operation import IssuanceManifest
    from protocols.title.proof import TitleProof
    from protocols.title.registry_freeze import Freezes
    from protocols.verify.case import Document

STATUS_STEP = "CRED-10"
RECOGNITION_STEP = "CRED-11"
STAMP_STEPS = ("TST-01", "TST-02")
MAX_ANCHOR = 4 * 1024 * 1024


def as_text(data: bytes, name: str) -> str:
    """A member as UTF-8 text; raises MalformedError `evidence_malformed`."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError(contents.CODE, "a member is not text", pointer=name) from None


def link(lists: Sequence[bytes], held: MemberList) -> MemberList | None:
    """The last of `lists` as far as it links to `held` (R5); None when there is none.

    Up to the version held, each list is authenticated by the digest its successor names; later
    ones by the signatures of the roots before them (R4). Raises what `member_list.advance` raises,
    and RefusedError `evidence_other_list` when nothing links.
    """
    unsigned = [_unsigned(signed) for signed in lists]
    for older, newer in pairwise(unsigned):
        if newer.version != older.version + 1 or newer.previous != older.digest:
            raise RefusedError("evidence_other_list", "one list does not follow the other")
    past = [item for item in unsigned if item.version <= held.version]
    if not past:
        return None
    if past[-1].version < held.version:
        return past[-1]
    if past[-1].digest != held.digest:
        raise RefusedError("evidence_other_list", "it is not the list held")
    return member_list.open_chain(lists, held)


def _unsigned(signed: bytes) -> MemberList:
    envelope = jws.parse_multi(signed, typ=member_list.TYP)
    if envelope.to_bytes() != signed:
        raise MalformedError(contents.CODE, "a member list is not in its canonical form")
    return member_list.read_payload(envelope.payload, signed)


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """One document of a bundle, verified at the moment of the export.

    report:      all but what a country makes of it, which no exporter can say for every verifier
    recognition: the check of that, where a country asks
    """

    name: str
    report: Report
    has_receipt: bool
    document: Document | None
    has_stamp: bool = False
    recognition: Check | None = None

    @property
    def consignment(self) -> str:
        """The UCR that the document names, "" when it names none."""
        if self.document is None:
            return ""
        return self.document.claims.consignment or self.document.view.consignment or ""

    def is_bill_of(self, manifest: IssuanceManifest) -> bool:
        """Whether the carrier's manifest is about this document (DCSA PINT 3.0.0)."""
        if self.document is None:
            return False
        claims, payload = self.document.claims, self.document.file.payload
        if (claims.issuer, claims.number) != (manifest.carrier, manifest.reference):
            return False
        try:
            return document_checksum(strict_json.loads(payload)) == manifest.document_checksum
        except TradeError:
            return False

    @property
    def digest(self) -> str:
        """Hex digest of the document, "" when it could not be opened."""
        return self.report.subject

    @property
    def verdict(self) -> str:
        """The verdict of its report, as the exporter's report must say too."""
        return self.report.verdict.value

    @property
    def status(self) -> Check:
        """The status step's check."""
        found = self.report.check(STATUS_STEP)
        assert found is not None
        return found

    @property
    def fault(self) -> Check | None:
        """The first credential step, status apart, that did not pass; failures first."""
        return _first_wrong(
            each
            for each in self.report.checks
            if each.id not in (STATUS_STEP, *LOG_STEPS, *ANCHOR_STEPS, *STAMP_STEPS)
        )

    @property
    def receipt_fault(self) -> Check | None:
        """The first log step that did not pass."""
        return _first_wrong(each for each in self.report.checks if each.id in LOG_STEPS)

    @property
    def anchor_fault(self) -> Check | None:
        """The first step about its anchor that did not pass."""
        return _first_wrong(each for each in self.report.checks if each.id in ANCHOR_STEPS)

    @property
    def anchored(self) -> bool:
        """Whether its receipt has an anchor, sound or not."""
        return self.report.check(ANCHOR_STEPS[0]) is not None

    @property
    def stamp_fault(self) -> Check | None:
        """The first step about its time-stamp that did not pass."""
        return _first_wrong(each for each in self.report.checks if each.id in STAMP_STEPS)


def _first_wrong(checks: Iterable[Check]) -> Check | None:
    wrong = [each for each in checks if each.outcome is not Outcome.PASSED]
    failed = [each for each in wrong if each.outcome is Outcome.FAILED]
    return next(iter(failed or wrong), None)


def check_documents(
    members: Mapping[str, bytes],
    lists: MemberList,
    at: datetime,
    *,
    stamped_until: datetime | None = None,
    logs: MemberList | None = None,
    country: str | None = None,
) -> tuple[CheckedDocument, ...]:
    """Every document of the bundle, verified at `at` with the bundle's status lists.

    stamped_until: until when their own time-stamps must hold: a renewal's moment, or now
    logs: the newest list held, where `lists` is the one of another moment
    country: of the verifier (alpha-2); without it recognition is not asked
    """
    statuses, checked = _statuses(members), CheckedCheckpoints(logs or lists)
    cases = {
        name: Case(
            members[name],
            lists,
            at,
            verifier_country=country,
            stamped_until=stamped_until,
            logs=logs,
            checked=checked,
        )
        for name in sorted(members)
        if contents.document_of(name)
    }
    return tuple(_check_document(name, cases[name], members, statuses) for name in cases)


def _statuses(members: Mapping[str, bytes]) -> dict[str, str]:
    """Signed status lists by URL; two for one URL are refused."""
    found: dict[str, str] = {}
    for name in sorted(members):
        if not name.startswith("status/"):
            continue
        text = as_text(members[name], name)
        url = status_list.parse_list(text)[1].url
        if url in found:
            raise MalformedError(contents.CODE, "two status lists have one name", pointer=name)
        found[url] = text
    return found


def _check_document(
    name: str, case: Case, members: Mapping[str, bytes], statuses: Mapping[str, str]
) -> CheckedDocument:
    named = contents.document_of(name)
    assert named is not None
    case.receipt = _receipt(named[0], members)
    case.timestamp = members.get(f"timestamps/{named[0]}.tsr")
    case.open()
    entries = case.claims.statuses if case.claims else ()
    case.status = tuple(statuses[entry.list_url] for entry in entries if entry.list_url in statuses)
    report, document = examine_document(case, historical=True)
    if case.claims is not None and case.claims.document_type != named[1]:
        raise MalformedError(
            contents.CODE, "a document has another type than its name", pointer=name
        )
    return CheckedDocument(
        name,
        replace(report, checks=tuple(one for one in report.checks if one.id != RECOGNITION_STEP)),
        case.receipt is not None,
        document,
        case.timestamp is not None,
        report.check(RECOGNITION_STEP),
    )


def _receipt(number: str, members: Mapping[str, bytes]) -> Receipt | None:
    entry = members.get(f"receipts/{number}.leaf")
    proof = members.get(f"receipts/{number}.tlog-proof")
    if entry is None or proof is None:
        return None
    anchor = members.get(f"anchors/{number}.json")
    return Receipt(
        entry,
        as_text(proof, f"receipts/{number}.tlog-proof"),
        None if anchor is None else strict_json.loads_object(anchor, max_bytes=MAX_ANCHOR),
    )


def stray_receipts(members: Mapping[str, bytes]) -> str:
    """A receipt's, anchor's or time-stamp's member without its document or other half, or ""."""
    numbers = {named[0] for name in members if (named := contents.document_of(name))}
    for name in sorted(members):
        if name.startswith("timestamps/") and name[11:14] not in numbers:
            return name
        if name.startswith("anchors/") and f"receipts/{name[8:11]}.leaf" not in members:
            return name
        if not name.startswith("receipts/"):
            continue
        number = name.removeprefix("receipts/").partition(".")[0]
        halves = {f"receipts/{number}.leaf", f"receipts/{number}.tlog-proof"}
        if number not in numbers or not halves <= members.keys():
            return name
    return ""


def check_title(
    data: bytes,
    issuance: str,
    lists: MemberList,
    at: datetime,
    documents: Sequence[CheckedDocument],
    freezes: Freezes,
) -> dict[str, str]:
    """What a title proof proves, under the registry that the list names, and of which bill.

    unsealed: first block of a chain that no listed validators sealed, if there is one: what stands
              on it is as yet unknown, and only that chain can tell

    freezes: the ended arbiters that are known, by documents that the roots have signed

    Raises RefusedError `evidence_title` when no listed arbiter proves it, it is of later than
    the export, or it is not the title of a document in the bundle (R19); `title_other_arbiter`
    when no signed hand-over leads from the arbiter that issued it to the one that proves it,
    `arbiter_frozen` when it is of after that one's end (R21).
    """
    proven = _proven(data, lists)
    if proven.at - at > CLOCK_SKEW:
        raise RefusedError("evidence_title", "the proof is of later than the export")
    manifest = _manifest(issuance, proven, lists)
    _require_turn(manifest.arbiter, proven, freezes)
    bill = next((each for each in documents if each.is_bill_of(manifest)), None)
    if bill is None:
        raise RefusedError("evidence_title", "it is the title of no document in the bundle")
    return {
        "document": bill.digest,
        "title": proven.state.title.hex(),
        "state": str(proven.state.state.value),
        "asOf": times.to_text(proven.at),
        **({"unsealed": str(proven.unsealed[0])} if proven.unsealed else {}),
    }


@dataclass(frozen=True, slots=True)
class _Proven:
    """What a proof of either kind of arbiter proves.

    place:    entries of a registry's log, or the number of the last block that moved the title
    unsealed: blocks that nobody vouches for
    """

    arbiter: bytes
    state: TitleState
    at: datetime
    place: int
    on_chain: bool = False
    unsealed: tuple[int, ...] = ()


def _require_turn(issued_by: bytes, proven: _Proven, freezes: Freezes) -> None:
    """That it was that arbiter's turn: the title's id names the first one for ever (R19, R21)."""
    if not proven.on_chain:
        registry_freeze.require_turns([issued_by], proven.arbiter, proven.place, freezes)
        return
    if issued_by != proven.arbiter:
        raise RefusedError("title_other_arbiter", "titles on a chain do not move")
    registry_freeze.require_before_end(proven.arbiter, proven.place, freezes)


def _manifest(issuance: str, proven: _Proven, lists: MemberList) -> IssuanceManifest:
    """The carrier's word which document the title stands for, signed with its title key."""
    parsed, manifest = read_manifest(issuance)
    key = lists.key(parsed.kid)
    if key is None or key.did != manifest.carrier or key.purpose != "title":
        raise RefusedError("evidence_title", "its manifest is not signed by the carrier")
    jws.verify(parsed, key.public)
    if (manifest.title(), manifest.carrier) != (proven.state.title, proven.state.issuer.did):
        raise RefusedError("evidence_title", "the manifest is another title's")
    return manifest


def _proven(data: bytes, lists: MemberList) -> _Proven:
    """The proof checked under the listed arbiter that it names."""
    told = strict_json.loads_object(data, max_bytes=evm_title_proof.MAX_BYTES)
    if evm_title_proof.is_chain_proof(told):
        return _proven_on_chain(evm_title_proof.read_proof(data), lists)
    return _proven_in_log(read_proof(data), lists)


def _proven_on_chain(proof: EvmTitleProof, lists: MemberList) -> _Proven:
    entry = lists.arbiter(proof.arbiter)
    if entry is None:
        raise RefusedError("evidence_title", "its arbiter is not in the member list")
    unsealed: list[int] = []

    def vouch(header: Header) -> None:
        unsealed.append(header.number)

    found = evm_title_proof.verify_proof(proof, entry=entry, members=lists, vouch=vouch)
    last = found.places[-1].block
    return _Proven(
        proof.arbiter, found.state, found.at, last, on_chain=True, unsealed=tuple(unsealed)
    )


def _proven_in_log(proof: TitleProof, lists: MemberList) -> _Proven:
    origin = origin_of(proof.proof)
    registry = lists.registry(origin)
    if registry is None:
        raise RefusedError("evidence_title", "its registry is not in the member list")
    arbiter = arbiter_of(registry)
    found = verify_proof(proof, arbiter=arbiter, members=lists)
    return _Proven(arbiter.id, found.state, found.at, found.log.size)


def read_report(data: bytes) -> dict[str, str]:
    """Document digest → verdict, from report.json; raises MalformedError `evidence_malformed`."""
    fields = Fields(strict_json.loads_object(data), contents.CODE)
    return {
        item.digest("digest").hex(): item.text("verdict")
        for item in fields.children("documents", 2000)
    }


def read_history(data: bytes) -> int:
    """How many events history.json tells; they must be in order of time."""
    events = strict_json.loads(data)
    if not isinstance(events, list):
        raise MalformedError(
            contents.CODE, "the history is a list of events", pointer=contents.HISTORY
        )
    moments = []
    for number, event in enumerate(events):
        if not isinstance(event, dict):
            raise MalformedError(
                contents.CODE, "an event is an object", pointer=f"{contents.HISTORY}/{number}"
            )
        moments.append(Fields(event, contents.CODE, f"/{number}").time("at"))
    if moments != sorted(moments):
        raise MalformedError(contents.CODE, "the events are not in order", pointer=contents.HISTORY)
    return len(moments)
