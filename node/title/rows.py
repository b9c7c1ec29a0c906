"""The store functions of titles: synchronous, over a passed connection."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from sqlalchemy import CompoundSelect, Connection, delete, insert, or_, select, union, update

from node.documents.tables import documents, recipients
from node.store import dialect
from node.title.tables import bills, history, keys, notices, submissions, titles
from protocols.evm.proof import read_header
from protocols.evm.title_proof import is_chain_proof, read_proof_json
from protocols.log import checkpoint, note
from protocols.log import proof as log_proof
from protocols.title.json_forms import read_state_bytes, state_bytes
from protocols.title.machine import ACCOUNT
from schemas import strict_json

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from protocols.evm.holder_keys import HolderKey
    from protocols.title.machine import Operation, TitleState
    from protocols.title.operation import IssuanceManifest

OPEN = ("pending", "accepted")
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 500, 3_000
MAX_TITLES = 20


@dataclass(frozen=True, slots=True)
class StoredTitle:
    """A title's final state. at: time of the proven batch, ms UTC; proof: canonical JSON."""

    title: bytes
    arbiter: bytes
    state: TitleState
    at: int
    proof: str


@dataclass(frozen=True, slots=True)
class StoredBill:
    """What a title stands for. document: digest of the bill of lading, if it is here."""

    title: bytes
    document: bytes | None
    checksum: bytes
    reference: str
    carrier: str
    issuance: str


@dataclass(frozen=True, slots=True)
class Submission:
    """An operation handed in through this node; see `node.title.tables`."""

    digest: bytes
    title: bytes
    seq: int
    kind: str
    text: str
    status: str
    code: str | None
    refusal: str | None
    tries: int
    created_at: int
    again_at: int

    def rests(self, now_ms: int) -> bool:
        """Whether it was refused for now and is not to be handed in again yet."""
        return self.status in OPEN and self.refusal is not None and now_ms < self.again_at


# -- final states ------------------------------------------------------------------------------

_TITLE = (titles.c.title, titles.c.arbiter, titles.c.state, titles.c.at, titles.c.proof)


def _title(title: bytes, arbiter: bytes, state: str, at: int, proof: str) -> StoredTitle:
    return StoredTitle(bytes(title), bytes(arbiter), read_state_bytes(state.encode()), at, proof)


def find(conn: Connection, title: bytes) -> StoredTitle | None:
    """The final state of a title, as far as it is known here."""
    row = conn.execute(select(*_TITLE).where(titles.c.title == title)).one_or_none()
    return None if row is None else _title(*row)


def page(
    conn: Connection, *, after: bytes | None = None, limit: int = 100, status: str | None = None
) -> list[StoredTitle]:
    """Titles in order of their id."""
    query = select(*_TITLE).order_by(titles.c.title).limit(limit)
    if after is not None:
        query = query.where(titles.c.title > after)
    if status is not None:
        query = query.where(titles.c.status == status)
    return [_title(*row) for row in conn.execute(query)]


def of_document(conn: Connection, document: bytes) -> StoredTitle | None:
    """The final state of the title of a bill of lading that is here, or None.

    A document that has two titles is its carrier's equivocation: the first that was known is
    shown, none releases anything (see `all_of_document`).
    """
    found = all_of_document(conn, document)
    return found[0] if found else None


def all_of_document(conn: Connection, document: bytes) -> list[StoredTitle]:
    """The final states of all titles of a bill that is here, those apart that another replaced.

    In the order in which they were known; more than one is the carrier's equivocation (R19).
    """
    query = (
        select(*_TITLE)
        .join(bills, bills.c.title == titles.c.title)
        .where(bills.c.document == document)
        .order_by(bills.c.created_at, titles.c.title)
        .limit(MAX_TITLES)
    )
    found = [_title(*row) for row in conn.execute(query)]
    replaced = {each.state.replaces for each in found}
    return [each for each in found if each.title not in replaced]


def put(
    conn: Connection, arbiter: bytes, state: TitleState, at: int, proof: str, now_ms: int
) -> int | None:
    """Keep a newer final state; the seq that was held before (0 for none), None if not newer."""
    held = find(conn, state.title)
    if held is not None and (state.seq, at) <= (held.state.seq, held.at):
        return None
    values = {
        "title": state.title,
        "arbiter": arbiter,
        "seq": state.seq,
        "state": state_bytes(state).decode(),
        "status": state.state.value,
        "at": at,
        "proof": proof,
        "updated_at": now_ms,
    }
    dialect.upsert(conn, titles, values, key=["title"])
    return held.state.seq if held else 0


def void_after(conn: Connection, arbiter: bytes, place: int) -> list[bytes]:
    """Forget final states that are proven only beyond the end of their arbiter: they are void.

    place: entries of a registry's log that count, or the last block of a chain that does
    What the title was before is asked for again, of whoever continues the registry (R21).
    """
    found = conn.execute(select(*_TITLE).where(titles.c.arbiter == arbiter)).all()
    beyond = [row[0] for row in found if proven_at(row[4]) > place]
    for title in beyond:
        void(conn, title)
    return [bytes(title) for title in beyond]


def void(conn: Connection, title: bytes) -> None:
    """Forget the final state of one title, its history, and who was told."""
    for table in (titles, history, notices):
        conn.execute(delete(table).where(table.c.title == title))


def proven_at(proof: str) -> int:
    """Entries under the checkpoint of a registry's proof; of a chain's the last move's block."""
    told = strict_json.loads_object(proof.encode())
    if is_chain_proof(told):
        return read_header(read_proof_json(told).steps[-1].event.header).number
    text = told.get("proof")
    return _head_size(text) if isinstance(text, str) else 0


def _head_size(proof: str) -> int:
    return checkpoint.parse_body(note.parse(log_proof.parse(proof).checkpoint).text).size


def named(conn: Connection, state: TitleState, proof: str) -> bool:
    """Put names to addresses of a state on a chain that is held already: when its statements come
    later than its events, nothing has happened but that it is known who they are."""
    held = find(conn, state.title)
    if held is None or held.state.head != state.head or _strangers(held.state) <= _strangers(state):
        return False
    values = {"state": state_bytes(state).decode(), "proof": proof}
    conn.execute(update(titles).where(titles.c.title == state.title).values(values))
    return True


def _strangers(state: TitleState) -> int:
    offered = state.offer.recipient if state.offer else None
    parties = (state.possessor, state.holder, state.shipper, state.surrendered_by, offered)
    named = [state.issuer, *(party for party in parties if party is not None)]
    return sum(party.did.startswith(ACCOUNT) for party in named)


def put_history(
    conn: Connection, operations: Sequence[tuple[Operation, str]], now_ms: int
) -> list[Operation]:
    """Keep operations that became final; those that were not known."""
    new = []
    for operation, text in operations:
        values = {
            "title": operation.title,
            "seq": operation.seq,
            "digest": operation.digest,
            "text": text,
            "at": now_ms,
        }
        if dialect.insert_or_ignore(conn, history, values):
            new.append(operation)
    return new


def texts(conn: Connection, title: bytes) -> list[str]:
    """The signed operations of a title, first to last."""
    query = select(history.c.text).where(history.c.title == title).order_by(history.c.seq)
    return list(conn.execute(query).scalars())


def dated_texts(conn: Connection, title: bytes) -> list[tuple[str, int]]:
    """The signed operations of a title with the moments at which they were final here, ms UTC."""
    query = select(history.c.text, history.c.at).where(history.c.title == title)
    return [(text, at) for text, at in conn.execute(query.order_by(history.c.seq))]


# -- what titles stand for ---------------------------------------------------------------------

_BILL = (
    bills.c.title,
    bills.c.document,
    bills.c.checksum,
    bills.c.reference,
    bills.c.carrier,
    bills.c.issuance,
)


def _bill(
    title: bytes, document: bytes | None, checksum: bytes, reference: str, carrier: str, text: str
) -> StoredBill:
    digest = None if document is None else bytes(document)
    return StoredBill(bytes(title), digest, bytes(checksum), reference, carrier, text)


def put_bill(
    conn: Connection, manifest: IssuanceManifest, text: str, document: bytes | None, now_ms: int
) -> bool:
    """Keep what a title stands for; False when it was known."""
    values = {
        "title": manifest.title(),
        "document": document,
        "checksum": manifest.document_checksum,
        "reference": manifest.reference,
        "carrier": manifest.carrier,
        "issuance": text,
        "created_at": now_ms,
    }
    return dialect.insert_or_ignore(conn, bills, values)


def bill(conn: Connection, title: bytes) -> StoredBill | None:
    """What a title stands for, if that was disclosed here."""
    row = conn.execute(select(*_BILL).where(bills.c.title == title)).one_or_none()
    return None if row is None else _bill(*row)


def titles_of(conn: Connection, document: bytes) -> list[bytes]:
    """The titles ever made for a document, final or not."""
    query = select(bills.c.title).where(bills.c.document == document).order_by(bills.c.created_at)
    return [bytes(title) for title in conn.execute(query).scalars()]


def titles_named(conn: Connection, reference: str, carrier: str | None = None) -> list[bytes]:
    """The titles of bills with that transport document reference, whoever issued them."""
    query = select(bills.c.title).where(bills.c.reference == reference).limit(MAX_TITLES)
    if carrier is not None:
        query = query.where(bills.c.carrier == carrier)
    return [bytes(title) for title in conn.execute(query).scalars()]


def replacing(conn: Connection, title: bytes) -> bytes | None:
    """The title that was issued in place of an ended one, if its final state is known here."""
    told = f'"replaces":"{title.hex()}"'
    query = select(titles.c.title).where(titles.c.state.contains(told, autoescape=True)).limit(1)
    found = conn.execute(query).scalar_one_or_none()
    return None if found is None else bytes(found)


def arrived(
    conn: Connection, types: Collection[str], limit: int = 200
) -> list[tuple[bytes, bytes]]:
    """(title, document) where a document of a title's reference and carrier is here, not tied."""
    same = (documents.c.number == bills.c.reference) & (documents.c.issuer == bills.c.carrier)
    query = (
        select(bills.c.title, documents.c.digest)
        .join(documents, same)
        .where(bills.c.document.is_(None), documents.c.type.in_(types))
        .limit(limit)
    )
    return [(bytes(title), bytes(digest)) for title, digest in conn.execute(query)]


def link(conn: Connection, title: bytes, document: bytes) -> None:
    """The document of a bill has arrived."""
    conn.execute(update(bills).where(bills.c.title == title).values(document=document))


# -- submissions -------------------------------------------------------------------------------

_SUBMISSION = tuple(submissions.c[one.name] for one in fields(Submission))


def submit(conn: Connection, operation: Operation, text: str, now_ms: int) -> Submission:
    """Keep an operation before it is handed in; an operation that is known stays as it is."""
    values = {
        "digest": operation.digest,
        "title": operation.title,
        "seq": operation.seq,
        "kind": operation.kind.value,
        "text": text,
        "status": "pending",
        "created_at": now_ms,
        "again_at": now_ms + FIRST_PAUSE_MS,
        "tries": 0,
    }
    dialect.insert_or_ignore(conn, submissions, values)
    found = submission(conn, operation.digest)
    assert found is not None
    return found


def submission(conn: Connection, digest: bytes) -> Submission | None:
    """The submission of that operation."""
    query = select(*_SUBMISSION).where(submissions.c.digest == digest)
    row = conn.execute(query).one_or_none()
    return None if row is None else _submission(*row)


def _submission(digest: bytes, title: bytes, *rest: Any) -> Submission:
    return Submission(bytes(digest), bytes(title), *rest)


def decide(
    conn: Connection,
    digest: bytes,
    status: str,
    *,
    code: str | None = None,
    refusal: str | None = None,
) -> None:
    """What became of a submission; what was decided stays, unless the operation is final after all:
    a chain may apply what it refused before, when somebody hands it in again."""
    settled = update(submissions).where(submissions.c.digest == digest)
    if status != "final":
        settled = settled.where(submissions.c.status.in_(OPEN))
    conn.execute(settled.values(status=status, code=code, refusal=refusal))


def postpone(conn: Connection, held: Submission, code: str, now_ms: int) -> None:
    """Try again later, less and less often."""
    pause = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** min(held.tries, 10))
    _later(conn, held, code=code, again_at=now_ms + pause)


def refused_for_now(
    conn: Connection, held: Submission, code: str, refusal: str, again_at: int
) -> None:
    """Not decided, with the evidence of why it did not hold this time; handed in again then."""
    _later(conn, held, code=code, again_at=again_at, refusal=refusal)


def _later(conn: Connection, held: Submission, **values: Any) -> None:
    query = update(submissions).where(submissions.c.digest == held.digest)
    still = query.where(submissions.c.status.in_(OPEN))
    conn.execute(still.values(tries=held.tries + 1, **values))


def due(conn: Connection, now_ms: int, limit: int) -> list[Submission]:
    """Undecided submissions whose turn it is, oldest first."""
    query = (
        select(*_SUBMISSION)
        .where(submissions.c.status.in_(OPEN), submissions.c.again_at <= now_ms)
        .order_by(submissions.c.created_at)
        .limit(limit)
    )
    return [_submission(*row) for row in conn.execute(query)]


def overtaken(conn: Connection, code: str, since_ms: int, limit: int) -> list[Submission]:
    """Submissions that lost their place to another whose final state is not known here yet."""
    seen = titles.c.seq > submissions.c.seq
    query = (
        select(*_SUBMISSION)
        .outerjoin(titles, (titles.c.title == submissions.c.title) & seen)
        .where(
            submissions.c.status == "refused",
            submissions.c.code == code,
            submissions.c.created_at >= since_ms,
            titles.c.title.is_(None),
        )
        .order_by(submissions.c.created_at)
        .limit(limit)
    )
    return [_submission(*row) for row in conn.execute(query)]


def submissions_of(conn: Connection, title: bytes) -> list[Submission]:
    """What was handed in here for a title, oldest first."""
    query = select(*_SUBMISSION).where(submissions.c.title == title)
    return [_submission(*row) for row in conn.execute(query.order_by(submissions.c.created_at))]


# -- keys on chains ----------------------------------------------------------------------------

CARRIERS = bytes(32)
"""Stands for the title in the statement of a carrier's key, which serves all its titles."""


def put_statement(conn: Connection, statement: HolderKey, text: str) -> bool:
    """Keep whose an address is; False when it was known."""
    values = {
        "title": statement.title or CARRIERS,
        "address": statement.address,
        "did": statement.did,
        "text": text,
    }
    return dialect.insert_or_ignore(conn, keys, values)


def statements(conn: Connection, title: bytes) -> list[str]:
    """The statements about a title's addresses, and those of carriers' keys."""
    query = select(keys.c.text).where(keys.c.title.in_((title, CARRIERS)))
    return list(conn.execute(query.order_by(keys.c.title, keys.c.address, keys.c.did)).scalars())


def statements_about(conn: Connection, title: bytes, addresses: Sequence[bytes]) -> list[str]:
    """The statements about these addresses alone."""
    query = select(keys.c.text).where(
        keys.c.title.in_((title, CARRIERS)), keys.c.address.in_(addresses)
    )
    return list(conn.execute(query.order_by(keys.c.title, keys.c.address, keys.c.did)).scalars())


def text_of(conn: Connection, title: bytes, digest: bytes) -> str | None:
    """A title's signed operation with that digest, if it is here: final, or handed in."""
    for table in (history, submissions):
        text: str | None = conn.execute(
            select(table.c.text).where(table.c.title == title, table.c.digest == digest)
        ).scalar()
        if text is not None:
            return text
    return None


def known_titles() -> CompoundSelect[tuple[bytes]]:
    """Every title that concerns this node: a bill, a state, an operation or a key is here."""
    held = (bills.c.title, titles.c.title, submissions.c.title, keys.c.title)
    return union(*(select(column) for column in held))


# -- notices -----------------------------------------------------------------------------------


def told(conn: Connection, title: bytes) -> dict[str, int]:
    """DID → the seq that node was told last."""
    query = select(notices.c.did, notices.c.seq).where(notices.c.title == title)
    return {row.did: row.seq for row in conn.execute(query)}


def tell(conn: Connection, title: bytes, did: str, seq: int) -> None:
    """Remember that a node was told, or told us, that state."""
    changed = update(notices).where(notices.c.title == title, notices.c.did == did)
    if conn.execute(changed.values(seq=seq)).rowcount == 0:
        conn.execute(insert(notices).values(title=title, did=did, seq=seq))


def untold(conn: Connection, limit: int = 200) -> list[bytes]:
    """Titles whose bill went to somebody who was not told their final state."""
    heard = (notices.c.title == titles.c.title) & (notices.c.did == recipients.c.did)
    query = (
        select(titles.c.title)
        .join(bills, bills.c.title == titles.c.title)
        .join(recipients, recipients.c.digest == bills.c.document)
        .outerjoin(notices, heard)
        .where(or_(notices.c.seq.is_(None), notices.c.seq < titles.c.seq))
        .distinct()
        .limit(limit)
    )
    return [bytes(title) for title in conn.execute(query).scalars()]
