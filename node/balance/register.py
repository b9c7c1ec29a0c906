"""The register of a certificate's balance, at the node that the certificate names (R23)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from node.balance import rows
from node.documents import documents
from node.documents.documents import ISSUED
from node.store import events
from node.verification import judging
from protocols import balance, times
from protocols.balance import Action, Outcome
from schemas import strict_json
from schemas.documents.preferential_certificate_of_origin import PARTIES
from schemas.errors import RefusedError, TradeError
from schemas.fields import text
from schemas.findings import Outcome as Verdict

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from protocols.balance import Answer, Balance, Part, Request

#: Who declares goods or issues on an original: nobody else draws on a certificate.
ROLES = frozenset({"customs", "issuer"})
EVENTS = {
    Action.RESERVE: "balance-reserved",
    Action.WRITE_OFF: "balance-written-off",
    Action.RELEASE: "balance-released",
}


def operate(conn: Connection, node: Node, request: Request, by: str) -> Answer:
    """Apply an operation, in the caller's transaction; the signed answer, granted or refused.

    Raises UnavailableError `balance_busy`: nothing is known, it is tried again.
    """
    kept: Balance | None = None
    try:
        kept, certificate = _kept(conn, node, request.certificate)
        require_entitled(node, certificate, by)
        _require_standing(certificate, request.action, node.clock.now_ms())
        at = times.from_ms(node.clock.now_ms())
        applied = balance.apply(kept, request, by=by, at=at)
    except TradeError as error:
        if error.retryable:
            raise
        return _refused(conn, node, kept, request, by, error)
    if applied.changed:
        rows.swap(conn, kept.seq, applied.balance, applied.use)
        tell(conn, node, certificate, EVENTS[request.action], request, by)
    granted = replace(
        _answer(node, applied.balance, request), outcome=Outcome.GRANTED, request=request, by=by,
        use=applied.use,
    )  # fmt: skip
    return signed(node, granted)


def state(conn: Connection, node: Node, certificate: bytes, by: str) -> Answer:
    """The signed balance as it is now, with the asker's own newest use.

    Raises NotFoundError `document_not_here`, RefusedError `balance_not_kept`, ForbiddenError.
    """
    kept, stored = _kept(conn, node, certificate)
    require_entitled(node, stored, by)
    own = [use for use in kept.uses if use.by == by]
    return signed(node, replace(_answer(node, kept), by=by, use=own[-1] if own else None))


def signed(node: Node, answer: Answer) -> Answer:
    """The answer with its signature by this node's exchange key."""
    return replace(answer, text=balance.sign(answer, node.keys.signer("exchange")))


def _kept(conn: Connection, node: Node, digest: bytes) -> tuple[Balance, StoredDocument]:
    """The balance, begun at its first use, and its certificate.

    Raises NotFoundError `document_not_here`, RefusedError `balance_not_kept`.
    """
    stored = documents.require(conn, digest)
    found = rows.get(conn, digest, hold=True)
    if found is not None:
        return found, stored
    if stored.origin != ISSUED and stored.verdict != Verdict.PASSED.value:
        raise RefusedError("balance_not_kept", "the certificate was not verified here")
    named = balance.named_in(strict_json.loads_object(stored.payload), stored.issuer)
    if named.register != node.did:
        raise RefusedError("balance_not_kept", f"its register is {named.register}")
    return rows.open_(conn, digest, named), stored


def require_entitled(node: Node, certificate: StoredDocument, by: str) -> None:
    """Customs or an issuing body of the importing country or of a Party to the agreement.

    Raises RefusedError `balance_not_entitled`.
    """
    if by in (node.did, certificate.issuer):
        return
    entry = judging.members_of(node).node(by)
    kind = text(strict_json.loads_object(certificate.payload), "kind") or ""
    countries = {certificate.import_country} | PARTIES.get(kind, frozenset())
    if entry is None or ROLES.isdisjoint(entry.roles) or entry.country not in countries:
        raise RefusedError("balance_not_entitled", f"{by} draws on no certificate of this kind")


def _require_standing(certificate: StoredDocument, action: Action, now_ms: int) -> None:
    """What no longer counts is not used; what was reserved may still be released.

    Raises RefusedError `balance_revoked`, `balance_suspended`, `balance_expired`.
    """
    if action is Action.RELEASE:
        return
    number = certificate.number
    if certificate.revoked_at is not None:
        raise RefusedError("balance_revoked", number)
    if certificate.suspended_at is not None:
        raise RefusedError("balance_suspended", number)
    if action is Action.RESERVE and certificate.valid_until < now_ms:
        raise RefusedError("balance_expired", number)


def _answer(node: Node, kept: Balance, request: Request | None = None) -> Answer:
    """How it stands: the line that a request was about, or all of them."""
    network = judging.members_of(node).network.hex()
    at = times.from_ms(node.clock.now_ms())
    lines = kept.parts() if request is None else _about(kept, request)
    return balance.answer(kept, network=network, register=node.did, at=at, lines=lines)


def _about(kept: Balance, request: Request) -> tuple[Part, ...]:
    try:
        line = balance.line_of(kept.quantity, kept.lines, request.line)
    except RefusedError:
        return ()
    return kept.parts(line.number) if line is not None else ()


def _refused(
    conn: Connection,
    node: Node,
    kept: Balance | None,
    request: Request,
    by: str,
    error: TradeError,
) -> Answer:
    """The signed refusal; where the balance is used, it names the first use."""
    if kept is None:
        empty = balance.Answer(
            network=judging.members_of(node).network.hex(),
            register=node.did,
            certificate=request.certificate,
            at=times.from_ms(node.clock.now_ms()),
        )
    else:
        empty = _answer(node, kept, request)
    first = None
    if kept is not None and error.code == "balance_used":
        first = kept.first_use(empty.lines[0].line if empty.lines else None)
    made = replace(
        empty,
        outcome=Outcome.REFUSED,
        request=request,
        by=by,
        code=error.code,
        detail=error.detail,
        first_use=first,
    )
    stored = documents.get(conn, request.certificate)
    if stored is not None:
        tell(conn, node, stored, "balance-refused", request, by, code=error.code)
    return signed(node, made)


def tell(
    conn: Connection,
    node: Node,
    certificate: StoredDocument,
    kind: str,
    request: Request,
    by: str,
    **more: str,
) -> None:
    """The event of one operation."""
    detail = {
        "type": certificate.type,
        "number": certificate.number,
        "declaration": request.declaration,
        **({"line": request.line} if request.line else {}),
        **({"quantity": request.quantity.to_json()} if request.quantity else {}),
        **more,
    }
    events.record(
        conn,
        kind=kind,
        at=node.clock.now_ms(),
        document=certificate.digest,
        consignment=certificate.consignment,
        actor=by,
        detail=detail,
    )
