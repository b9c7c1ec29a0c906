"""Our own calls to carriers and platforms: kept first, made until they are answered (R2, R13).

No answer, an overload and a refused key are tried again, slower and slower, for days; any other
refusal is final and its reason is kept. 409 on a call that was made before means that it arrived.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from node.ebl import rows
from node.ebl.issuance_carrier import tell
from node.ebl.rows import PENDING
from protocols.pint.answers import read_error
from schemas.errors import NotFoundError, TradeError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from node.ebl.rows import Call, Issuance
    from node.runtime import Node
    from protocols.seams import Answer

DAY_MS = 24 * 3600 * 1000
#: What trying again may change: time-outs, overload, a key that the operators will put right.
_AGAIN = frozenset({401, 403, 404, 408, 425, 429})
#: 404 is the last word about what was asked, except where the other side may learn of it later.
_LATER = frozenset({"response", "answer"})
_CONFLICT = 409
MAX_REASON = 500


async def make(node: Node, call: Call) -> None:
    """Make one call and write down what came of it."""
    try:
        to = node.ebl.counterparts.named(call.counterpart)
        answer = await node.ebl.counterparts.call(to, call.method, call.path, call.body)
    except NotFoundError as error:
        await node.store.write(_settle, node, call, "refused", None, error.code)
        return
    except TradeError as error:
        await node.store.write(_postpone, node, call, None, error.code)
        return
    if 200 <= answer.status < 300 or _arrived_before(call, answer.status):
        await node.store.write(_settle, node, call, "done", answer.status, None)
    elif answer.status >= 500 or _may_change(call, answer.status):
        await node.store.write(_postpone, node, call, answer.status, reason_of(answer))
    else:
        await node.store.write(_settle, node, call, "refused", answer.status, reason_of(answer))


def _arrived_before(call: Call, status: int) -> bool:
    """An answer is given once: 409 says that it is there. A request may only have been repeated."""
    return status == _CONFLICT and (call.tries > 0 or call.about in _LATER)


def _may_change(call: Call, status: int) -> bool:
    return status in _AGAIN and (status != 404 or call.about in _LATER)


def reason_of(answer: Answer) -> str:
    """Why, as the other side says: its ErrorResponse, or the status alone."""
    try:
        found = read_error(answer.body)
    except TradeError:
        return f"HTTP {answer.status}"
    first = found.errors[0]
    return f"{first.text}: {first.message}"[:MAX_REASON]


def _settle(
    conn: Connection, node: Node, call: Call, state: str, status: int | None, reason: str | None
) -> None:
    values = {"state": state, "tries": call.tries + 1, "status": status, "answer": reason}
    rows.change_call(conn, call.number, values)
    if state != "done":
        _refused(conn, node, call, reason)


def _postpone(
    conn: Connection, node: Node, call: Call, status: int | None, reason: str | None
) -> None:
    settings, now = node.settings.ebl, node.clock.now_ms()
    if now - call.created_at > settings.retry_days * DAY_MS:
        _settle(conn, node, call, "given-up", status, reason)
        return
    pause = min(settings.retry_cap, settings.retry_base * 2 ** min(call.tries, 30))
    # Jitter: nobody is called by everybody at once after an outage.
    again = now + int(pause * 1000 * random.uniform(0.5, 1.0))  # noqa: S311 jitter
    values = {"tries": call.tries + 1, "again_at": again, "status": status, "answer": reason}
    rows.change_call(conn, call.number, values)


def _refused(conn: Connection, node: Node, call: Call, reason: str | None) -> None:
    """What was asked for is not to be had; an answer that came meanwhile counts all the same."""
    now = node.clock.now_ms()
    if call.about == "issuance":
        values = {"state": "rejected", "answered_at": now}
        rows.change_issuance(conn, call.subject, values, only=(PENDING,))
    elif call.about == "surrender":
        values = {"state": "refused", "answered_at": now}
        rows.change_surrender(conn, call.subject, values, only=("asked",))
    if call.about != "notice":
        detail = {"area": "ebl", "code": "ebl_call_refused", "about": call.about, "why": reason}
        tell(conn, node, _bill_of(conn, call), "alarm", detail)


def _bill_of(conn: Connection, call: Call) -> Issuance:
    if call.about in {"surrender", "answer"}:
        return rows.issuance(conn, rows.surrender(conn, call.subject).issuance)
    return rows.issuance(conn, call.subject)
