"""Verifying a file with nothing but a member list: no node, no home, no network (DESIGN §1.2).

Beside the file may lie its status list (``NAME.status.jwt``, or ``.cwt`` for a Token Status List
in CWT form; those of other moments are ``NAME.status.<anything>.jwt``), its receipt (``NAME.leaf``
and ``NAME.tlog-proof``), its time-stamp (``NAME.tsr``) and, of a ship certificate, its register's
answer (``NAME.register.jwt``); without them the report says what is not known.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING

from node.verification.canonicaliser import OfflineCanonicaliser
from node.verification.contexts import ContextStore
from protocols import member_list
from protocols.credentials import status_list
from protocols.credentials.canonical_forms import Rdf
from protocols.credentials.credential import MAX_FILE_BYTES
from protocols.evidence import archive
from protocols.evidence.verification import verify_bundle
from protocols.log import receipt as log_receipt
from protocols.members import export, history
from protocols.verify import Case, Receipt, foreign_steps, verify_document
from schemas.errors import MalformedError, TooLargeError, TradeError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from protocols.credentials.key_binding import Challenge
    from protocols.credentials.status_list import GivenList, StatusLists
    from protocols.member_list import MemberList
    from schemas.findings import Report

MAX_BUNDLE = archive.MAX_ARCHIVE + 4 * 1024 * 1024
MAX_BESIDE = 10_000
_ZIP = b"PK\x03\x04"


def read_capped(path: Path, limit: int) -> bytes:
    """The file's bytes; raises MalformedError `file_unreadable` or TooLargeError."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise MalformedError("file_unreadable", f"{path.name}: {error.strerror}") from None
    if len(data) > limit:
        raise TooLargeError("document_too_large", f"{path.name}: more than {limit} bytes")
    return data


def read_text(path: Path, limit: int) -> str:
    """The file's UTF-8 text; raises MalformedError `file_unreadable` or TooLargeError."""
    try:
        return read_capped(path, limit).decode()
    except UnicodeDecodeError:
        raise MalformedError("file_unreadable", f"{path.name}: it is not text") from None


def read_trust(path: Path, now: datetime | None = None) -> MemberList:
    """The newest member list of a ``--trust`` file; raises as `read_versions`."""
    return read_versions(path, now)[-1]


def read_versions(path: Path, now: datetime | None = None) -> list[MemberList]:
    """Every version in a ``--trust`` file, each verified by the one before it.

    Raises MalformedError `trust_list_unreadable`, RefusedError when its signatures do not hold.
    """
    data = read_capped(path, export.MAX_BYTES)
    try:
        return member_list.open_versions(data, now=now)
    except MalformedError as error:
        raise MalformedError("trust_list_unreadable", f"{path.name}: {error.detail}") from None


def verify_file(
    path: Path,
    *,
    trust: Path,
    now: datetime,
    at: datetime | None = None,
    country: str | None = None,
    challenge: Challenge | None = None,
    contexts: Path | None = None,
    receipt: Path | None = None,
    blocks: frozenset[bytes] = frozenset(),
) -> Report:
    """The report on a document file, or on an evidence bundle, under the list in `trust`.

    at: another moment than now gives a historical report (R25); country: of the verifier;
    challenge: what the holder must have signed; contexts: a folder of JSON-LD context files, or
    a home's, for proofs over RDF; receipt: its receipt file; blocks: hashes of blocks got elsewhere
    """
    versions = read_versions(trust, now)
    newest = versions[-1]
    data = read_capped(path, MAX_BUNDLE)
    if is_bundle(data):
        if challenge or contexts or receipt or blocks:
            raise bundle_question()
        return verify_bundle(data, newest, now=now, earlier=versions[:-1], at=at, country=country)
    historical = at is not None
    members = newest if at is None else history.in_force(versions, at)
    report, _ = verify_document(
        data[: MAX_FILE_BYTES + 1],
        members=members,
        at=at or now,
        status=_status_beside(path, newest, now),
        receipt=_receipt_beside(path) if receipt is None else read_receipt(receipt),
        blocks=blocks,
        verifier_country=country,
        historical=historical,
        challenge=challenge,
        logs=newest,
        timestamp=_beside(path, ".tsr"),
        rdf=_rdf(Case(data, members, at or now), contexts),
        register=_register_beside(path),
    )
    return replace(report, historical=historical)


def is_bundle(data: bytes) -> bool:
    """Whether the file is an evidence bundle, not a document."""
    return data.startswith(_ZIP)


def bundle_question() -> MalformedError:
    """A bundle answers with what it holds and nothing beside it."""
    told = "of the options, a bundle is verified with --at and --country only"
    return MalformedError("bundle_question", told)


def _rdf(case: Case, folder: Path | None) -> Rdf | None:
    if folder is None:
        return None
    if not folder.exists():
        raise MalformedError("file_unreadable", f"{folder.name}: there is no such folder")
    contexts = ContextStore.of_files(folder)
    with OfflineCanonicaliser() as canonicaliser:
        forms = canonicaliser.forms(foreign_steps.rdf_inputs(case), contexts)
    return Rdf(contexts.bodies, forms, contexts.resources)


def _beside(path: Path, ending: str) -> bytes | None:
    file = path.with_suffix(ending)
    return read_capped(file, MAX_FILE_BYTES) if file.is_file() else None


def _register_beside(path: Path) -> str | None:
    """``NAME.register.jwt``: what its issuer's register of ship certificates answered."""
    answer = _beside(path, ".register.jwt")
    return None if answer is None else answer.decode("ascii", "replace").strip()


def _status_beside(path: Path, members: MemberList, now: datetime) -> StatusLists:
    """The lists beside the file, each verified; the steps choose the version of the moment."""
    found = tuple(_opened(file, members, now) for file in _status_files(path))
    return found or None


def _status_files(path: Path) -> list[Path]:
    """``NAME.status.jwt``, and ``NAME.status.<anything>.jwt`` for other moments; also ``.cwt``."""
    stem = f"{path.stem}.status"
    names = tuple(f"{stem}{more}.{form}" for more in ("", ".*") for form in ("jwt", "cwt"))
    folder = path.parent
    files = (file for file in islice(folder.iterdir(), MAX_BESIDE) if file.is_file())
    return sorted(file for file in files if any(fnmatchcase(file.name, name) for name in names))


def _opened(file: Path, members: MemberList, now: datetime) -> GivenList:
    """The list, verified as of when it was signed, or as it is signed when it does not verify."""
    data = read_capped(file, MAX_FILE_BYTES)
    if file.suffix == ".cwt":
        return data
    text = data.decode("ascii", "replace").strip()
    try:
        # A list speaks for other moments too, as long as it was in order when it was signed.
        _, unverified = status_list.parse_list(text)
        # One second later: a key and a list may begin in the same moment.
        signed_at = min(unverified.valid_from, now - timedelta(seconds=1)) + timedelta(seconds=1)
        return status_list.open_list(text, members=members, now=signed_at)
    except TradeError:
        return text


def read_receipt(path: Path) -> Receipt:
    """The receipt of a receipt file; raises MalformedError, TooLargeError."""
    return opened_receipt(read_capped(path, log_receipt.MAX_BYTES))


def opened_receipt(data: bytes) -> Receipt:
    """The receipt in a receipt file's bytes; raises MalformedError `receipt_file_malformed`."""
    file = log_receipt.read(data)
    return Receipt(file.entry, file.proof, file.anchor, file)


def _receipt_beside(path: Path) -> Receipt | None:
    entry, proof = _beside(path, ".leaf"), _beside(path, ".tlog-proof")
    if entry is None or proof is None:
        return None
    return Receipt(entry, proof.decode("utf-8", "replace"))
