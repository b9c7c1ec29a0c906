"""Taking a record: who signed it, what it may follow, and one transaction for all it changes (R8).

The signature is the caller's whole authority; nothing is kept before it holds. A bill is opened by
the first chain entry, which shows that its carrier issued it under this very registry: nobody can
occupy another's bill by knowing its checksum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ledger import log
from node.pint.platforms import keyring
from node.store import events
from node.title.partners import members_of
from node.tracking import native, policy, rows
from node.tracking.rows import Kept
from protocols import times
from protocols.log.leaf import LeafKind
from protocols.pint.chain import ISSUANCE_TYPES, open_entry, open_manifest
from protocols.pint.checks import SKEW
from protocols.pint.tracking import (
    PlatformRecord,
    RecordAction,
    RegistryRecord,
    open_platform_record,
)
from protocols.pint.tracking_proof import commit_of, subject_of
from protocols.pint.tracking_state import Marks, Tracked, advance, mark, replay
from schemas.errors import ConflictError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.runtime import Node
    from protocols.pint.platforms import Keyring
    from protocols.pint.signed import Signed


DISPUTING = frozenset({RecordAction.DISPUTE, RecordAction.RESOLVED})


@dataclass(frozen=True, slots=True)
class Handed:
    """A record that somebody hands in, its signature verified.

    opening: the chain's first entry, where it came along and opens this bill
    """

    signed: Signed
    record: PlatformRecord
    opening: str | None = None


def examine(node: Node, text: str, entry: str | None) -> Handed:
    """Verify a record, and the first chain entry if one came along; looks at nothing stored.

    Raises as `open_platform_record` and `Signatory.verify`, RefusedError `pint_platform_unknown`,
    `tracking_from_the_future`, `tracking_opening_mismatch`, ConflictError
    `tracking_native_title`, UnavailableError `pint_list_expired`.
    """
    parsed, record = open_platform_record(text)
    keys = keyring(node)
    for code in {record.actor, record.receiver or record.actor}:
        if keys.platform(code) is None:
            raise RefusedError("pint_platform_unknown", "a platform that is named is not listed")
    now = node.clock.now()
    signatory = keys.platform(record.actor)
    assert signatory is not None
    signatory.verify(parsed, now)
    if record.at > now + SKEW:
        raise RefusedError("tracking_from_the_future", "the record is of the future")
    if entry is not None:
        _require_opening(node, keys, record, entry)
    return Handed(parsed, record, entry)


def _require_opening(node: Node, keys: Keyring, record: PlatformRecord, text: str) -> None:
    """The entry is signed by the record's platform, holds the carrier's manifest, names us."""
    signed = open_entry(text)
    entry, issue = signed.entry, signed.entry.transactions[0]
    now = node.clock.now()
    at = min(signed.last.at, now)
    keeper = policy.keepers(members_of(node)).get(entry.registry or "")
    fits = entry.platform == record.actor and entry.document == record.ebl
    if not fits or entry.previous is not None or keeper is None or keeper.did != node.did:
        raise RefusedError("tracking_opening_mismatch", "the entry is of another bill or registry")
    signatory, carrier = keys.platform(entry.platform), keys.carrier(issue.actor)
    if signatory is None or carrier is None or entry.issuance is None:
        raise RefusedError("tracking_opening_mismatch", "no listed carrier issued this bill")
    signatory.verify(signed.jws, at)
    manifest_text, manifest = open_manifest(entry.issuance)
    if manifest_text.typ in ISSUANCE_TYPES:
        # Its carrier gave it a title under an arbiter of this network, and that is the one (R19).
        raise ConflictError("tracking_native_title", "the bill was issued with a title")
    carrier.verify(manifest_text, min(issue.at, now))
    if manifest.document != record.ebl:
        raise RefusedError("tracking_opening_mismatch", "the carrier issued another document")


def keep(conn: Connection, node: Node, handed: Handed) -> tuple[Kept, bool]:
    """Keep a record in one transaction with its leaf and event; and whether it is new.

    The same statement again gives the record that was kept. Raises as `advance` and `mark`, and
    RefusedError `tracking_opening_missing`.
    """
    record_id, payload = handed.signed.checksum, handed.signed.payload_digest
    found = rows.known(conn, record_id, payload)
    if found is not None:
        return found, False
    ebl, now_ms = handed.record.ebl, node.clock.now_ms()
    kept = rows.of_bill(conn, ebl)
    _admit(conn, node, handed, [one.record for one in kept])
    leaf = log.remember(
        conn, LeafKind.TITLE_OPERATION_SEEN, subject_of(ebl), commit_of(ebl, record_id), now_ms
    )
    record = RegistryRecord(
        len(kept), handed.record.actor, times.from_ms(now_ms), handed.signed.text
    )
    new = Kept(ebl, record, leaf.hash)
    rows.add(conn, new, payload)
    _tell(conn, handed.record, record_id, leaf.hash, now_ms)
    return new, True


def _admit(
    conn: Connection, node: Node, handed: Handed, before: Sequence[RegistryRecord]
) -> Tracked | Marks:
    members, record = members_of(node), handed.record
    own = members.node(node.did)
    register = own.platform if own is not None and own.platform else ""
    record_id = handed.signed.checksum
    found = native.find(conn, members, record.ebl)
    opened = rows.opening(conn, record.ebl)
    if found is not None and opened is None:
        marks = marks_of(before)
        return mark(marks, record_id, record, native.platforms(members, found), register)
    if opened is None:
        if handed.opening is None:
            raise RefusedError("tracking_opening_missing", "the chain's first entry is missing")
        state = advance(None, record_id, record, register)
        rows.add_opening(conn, record.ebl, handed.opening, node.clock.now_ms())
        return state
    if found is not None and record.action not in DISPUTING:
        # The carrier said both; until that is settled nothing moves here.
        raise ConflictError("tracking_native_title", "a title for the same document is known")
    return advance(replay(before, register), record_id, record, register)


def marks_of(records: Sequence[RegistryRecord]) -> Marks:
    """The disputes recorded about a title of this network; they were judged when they came."""
    marks = Marks()
    for kept in records:
        _, record = open_platform_record(kept.text)
        marks = mark(marks, kept.id, record, frozenset({record.actor}), record.actor)
    return marks


def disputed_titles(conn: Connection) -> frozenset[bytes]:
    """The titles of this network whose bill has an open dispute recorded here."""
    found: set[bytes] = set()
    for ebl in rows.unopened(conn):
        marks = marks_of([one.record for one in rows.of_bill(conn, ebl)])
        if marks.dispute is not None:
            found.update(rows.titles_of(conn, ebl))
    return frozenset(found)


def _tell(
    conn: Connection, record: PlatformRecord, record_id: bytes, leaf: bytes, now_ms: int
) -> None:
    disputed = record.action in DISPUTING
    detail = {"bill": record.ebl.hex(), "action": record.action.value, "record": record_id.hex()}
    events.record(
        conn,
        kind="alarm" if record.action is RecordAction.DISPUTE else "tracked",
        at=now_ms,
        actor=record.actor,
        leaf=leaf,
        detail=detail | ({"code": "tracking_disputed"} if disputed else {}),
    )
