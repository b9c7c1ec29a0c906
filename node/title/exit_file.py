"""The exit file: one file that proves a title when every node of the network is gone.

It holds the arbiter's proof of the final state, the whole signed history, the carrier's manifest,
the transport document, the chain of platforms where there is one, and the member lists. Whoever
holds a member list of the network verifies it without any network; nothing in it is believed for
itself (R5). EXIT-01 … EXIT-08 are the numbered steps. It says what was so as of its proof: it is
the holder's evidence, and no release accepts it (R25).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from node.title import news
from protocols import times
from protocols.evm.title_proof import EvmTitleProof, no_voucher, stand_in
from protocols.fields import DID, Fields
from protocols.member_list import open_versions
from protocols.pint.chain import open_entry
from protocols.pint.platforms import MemberKeyring
from protocols.pint.reading import compact
from protocols.title import machine as title
from protocols.title.machine import Kind
from protocols.title.operation import document_checksum
from protocols.title.registry_freeze import NO_FREEZES, Freezes
from schemas import laws, strict_json, titled
from schemas.errors import RefusedError, TradeError
from schemas.findings import Check, Outcome, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from node.title.news import TitleNews
    from protocols.member_list import MemberList
    from protocols.title.machine import Operation, TitleState

CODE = "title_exit_malformed"
TYPE = "urn:pratique:title-exit"
MAX_BYTES = 64 * 1024 * 1024
MAX_MEMBERS = 2_000_000
PASSED, FAILED, UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.INDETERMINATE


@dataclass(frozen=True, slots=True)
class ExitFile:
    """The parts. news: a title's message as nodes tell it; document: the transport document's
    bytes; chain: the platforms' entries; lists: an export of the member lists.
    """

    network: bytes
    exporter: str
    at: datetime
    news: dict[str, Any]
    document: bytes
    lists: bytes
    chain: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """RFC 8785 bytes."""
        return strict_json.canonical(
            {
                "type": TYPE,
                "v": 1,
                "network": self.network.hex(),
                "exporter": self.exporter,
                "at": times.to_text(self.at),
                "title": self.news,
                "document": base64.b64encode(self.document).decode("ascii"),
                "lists": base64.b64encode(self.lists).decode("ascii"),
                "chain": list(self.chain),
            }
        )


def read(data: bytes) -> ExitFile:
    """An exit file, not yet verified; raises MalformedError `title_exit_malformed` or json_*."""
    members = strict_json.loads_object(data, max_bytes=MAX_BYTES, max_members=MAX_MEMBERS)
    fields = Fields(members, CODE)
    if fields.text("type") != TYPE:
        raise fields.fault("type", "this is no exit file of a title")
    fields.integer("v", 1, 1)
    chain = members.get("chain")
    if not isinstance(chain, list) or len(chain) > 255:
        raise fields.fault("chain", "a list of at most 255 entries")
    items = Fields({str(at): item for at, item in enumerate(chain)}, CODE, "/chain")
    return ExitFile(
        network=fields.digest("network"),
        exporter=fields.text("exporter", pattern=DID),
        at=fields.time("at"),
        news=dict(fields.child("title").members),
        document=_bytes(fields, "document"),
        lists=_bytes(fields, "lists"),
        chain=tuple(compact(items, str(at)) for at in range(len(chain))),
    )


def _bytes(fields: Fields, name: str) -> bytes:
    try:
        return base64.b64decode(fields.text(name, max_length=MAX_BYTES), validate=True)
    except (ValueError, binascii.Error):
        raise fields.fault(name, f"{name} is standard base64") from None


@dataclass(slots=True)
class _Case:
    """A file under verification; found: the title, once it is proven."""

    file: ExitFile
    versions: Sequence[MemberList]
    freezes: Freezes
    found: TitleNews | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def members(self) -> MemberList:
        return self.versions[-1]

    @property
    def title(self) -> TitleNews:
        assert self.found is not None
        return self.found


def _exit_01_network(case: _Case) -> Check:
    """EXIT-01: the file is of the network whose member list is held."""
    if case.file.network != case.members.network:
        raise RefusedError("title_exit_other_network", "the file is of another network")
    return Check("EXIT-01", PASSED, evidence={"exporter": case.file.exporter})


def _exit_02_lists(case: _Case) -> Check:
    """EXIT-02: the lists in the file are the held one's own earlier or later versions (R5)."""
    inside = {one.version: one.digest for one in open_versions(case.file.lists)}
    held = {one.version: one.digest for one in case.versions}
    common = sorted(inside.keys() & held.keys())
    if any(inside[version] != held[version] for version in common):
        raise RefusedError("title_exit_other_network", "a list of the same version differs")
    if not common:
        return Check("EXIT-02", UNKNOWN, code="title_exit_list_unlinked")
    return Check("EXIT-02", PASSED, evidence={"versions": sorted(inside), "held": sorted(held)})


def _exit_03_control(case: _Case) -> Check:
    """EXIT-03: the arbiter's proof of the state holds, and the history is all of it (R22)."""
    told = Fields(case.file.news, news.CODE)
    arbiter = told.digest("arbiter")
    case.found = news.check_news(told, arbiter, case.members, no_voucher, case.freezes)
    state, proof = case.found.state, case.found.proof
    evidence = {
        "title": state.title.hex(),
        "arbiter": arbiter.hex(),
        "seq": state.seq,
        "operations": len(case.found.operations),
        "asOf": times.to_text(times.from_ms(case.found.at)),
        "on": "chain" if isinstance(proof, EvmTitleProof) else "log",
    }
    return Check("EXIT-03", PASSED, evidence=evidence)


def _exit_04_history(case: _Case) -> Check:
    """EXIT-04: executed again from ISSUE, the operations come to that very state."""
    if isinstance(case.title.proof, EvmTitleProof):
        return Check("EXIT-04", PASSED, "re-executed with the chain's proof")
    state = execute([operation for operation, _ in case.title.operations])
    if state != case.title.state:
        raise RefusedError("title_history_mismatch", "the operations come to another state")
    return Check("EXIT-04", PASSED, evidence={"operations": state.seq})


def execute(operations: Sequence[Operation]) -> TitleState:
    """The state after all operations of a log's title, each in its time; the first is ISSUE.

    When exactly each counted the batch says; the machine asks for a moment within its terms only.
    Raises as `protocols.title.machine.apply`.
    """
    state: TitleState | None = None
    for operation in operations:
        at = operation.deadline
        if operation.kind is Kind.ACCEPT_OFFER and state is not None and state.offer is not None:
            at = min(at, state.offer.expires)
        elif operation.kind is Kind.OFFER and operation.expires is not None:
            at = min(at, operation.expires - timedelta(milliseconds=1))
        state = title.apply(state, operation, at, replaced=stand_in(operation))
    assert state is not None
    return state


def _exit_05_document(case: _Case) -> Check:
    """EXIT-05: the document is the one that the carrier's manifest names (RFC 8785)."""
    manifest = case.title.manifest
    if manifest is None:
        return Check("EXIT-05", UNKNOWN, code="title_exit_no_manifest")
    document = strict_json.loads_object(case.file.document)
    if document_checksum(document) != manifest.document_checksum:
        raise RefusedError("title_exit_other_document", "the manifest names another document")
    evidence = {"reference": manifest.reference, "carrier": manifest.carrier}
    return Check("EXIT-05", PASSED, evidence=evidence)


def _exit_06_law(case: _Case) -> Check:
    """EXIT-06: the manifest names a known governing law, and the rules by their digest."""
    manifest = case.title.manifest
    if manifest is None or manifest.law is None or manifest.rulebook is None:
        return Check("EXIT-06", UNKNOWN, code="title_exit_no_law")
    if manifest.law not in laws.laws():
        return Check("EXIT-06", UNKNOWN, manifest.law, "title_law_unlisted")
    packaged = manifest.rulebook == laws.rulebook_digest()
    evidence = {"law": manifest.law, "rulebook": manifest.rulebook.hex(), "packaged": packaged}
    basis = titled.legal_basis(strict_json.loads_object(case.file.document))
    if basis is not None:
        evidence["legalBasis"] = basis.value
    return Check("EXIT-06", PASSED, evidence=evidence)


def _exit_07_chain(case: _Case) -> Check:
    """EXIT-07: the platforms' chain, where there is one, is signed, linked and of this bill."""
    if not case.file.chain:
        return Check("EXIT-07", PASSED, "the bill never left its platform")
    keyring, previous, manifest = MemberKeyring(case.members), None, case.title.manifest
    for text in case.file.chain:
        item = open_entry(text)
        signatory = keyring.platform(item.entry.platform)
        if signatory is None:
            return Check("EXIT-07", UNKNOWN, item.entry.platform, "pint_platform_unknown")
        signatory.verify(item.jws, min(item.last.at, case.file.at))
        of_bill = manifest is None or item.entry.document == manifest.document_checksum
        if item.entry.previous != previous or not of_bill:
            raise RefusedError("pint_chain_broken", "an entry does not follow, or is of another")
        previous = item.jws.checksum
    return Check("EXIT-07", PASSED, evidence={"entries": len(case.file.chain)})


def _exit_08_control(case: _Case) -> Check:
    """EXIT-08: who was in control as of the proof, with which key."""
    state = case.title.state
    if state.possessor is None:
        ending = state.ending.value if state.ending else ""
        return Check("EXIT-08", PASSED, "ended", evidence={"ending": ending})
    evidence = {
        "possessor": state.possessor.did,
        "key": state.possessor.key,
        "titleholder": state.holder.did if state.holder else None,
        "state": state.state.value,
        "bill": state.bill.value,
    }
    return Check("EXIT-08", PASSED, evidence=evidence)


STEPS: dict[str, Callable[[_Case], Check]] = {
    "EXIT-01": _exit_01_network,
    "EXIT-02": _exit_02_lists,
    "EXIT-03": _exit_03_control,
    "EXIT-04": _exit_04_history,
    "EXIT-05": _exit_05_document,
    "EXIT-06": _exit_06_law,
    "EXIT-07": _exit_07_chain,
    "EXIT-08": _exit_08_control,
}
#: Without these nothing later means anything.
_NEEDED = frozenset({"EXIT-01", "EXIT-03"})
_UNPROVEN = frozenset({"evm_block_unsealed", "registry_members_unknown"})


def verify(data: bytes, versions: Sequence[MemberList], freezes: Freezes = NO_FREEZES) -> Report:
    """All steps over a file. versions: of the member list held here, verified, the newest last.

    freezes: ends of arbiters that are known here. Raises as `read` for what is no exit file.
    """
    file = read(data)
    case, checks, stopped = _Case(file, versions, freezes), list[Check](), False
    for step_id, step in STEPS.items():
        if stopped:
            checks.append(Check(step_id, UNKNOWN, code="not_reached"))
            continue
        try:
            checks.append(step(case))
        except TradeError as error:
            outcome = UNKNOWN if error.retryable or error.code in _UNPROVEN else FAILED
            checks.append(Check(step_id, outcome, error.detail, error.code))
            stopped = step_id in _NEEDED
    subject = case.found.state.title.hex() if case.found else ""
    return Report(subject, times.to_text(file.at), tuple(checks), (), historical=True)
