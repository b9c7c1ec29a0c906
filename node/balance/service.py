"""The balance service: certificates kept here, and operations on those that others keep (R23).

Routes: /v1/balances (operator), /px/1/balances (peers). Messages: urn:pratique:balance.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from node.balance import drawing, register, rows
from node.balance.asking import TYPE, Asking, BalanceHandler, Order
from node.documents import documents
from node.http.helpers import hex_digest, json_response, peer, read_json
from node.http.routes import JSON, Auth, Route
from node.verification import judging
from protocols import balance
from protocols.balance import Action
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import TradeError, UnavailableError
from schemas.fields import integer, objects, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from aiohttp import web
    from sqlalchemy import Connection

    from node.balance.rows import Asked
    from node.documents.issuing import Examined
    from node.runtime import Node
    from protocols.balance import Answer, Named
    from schemas.strict_json import JsonValue

CODE = "balance_request_malformed"
SECONDS = 2.0
_ORDER = {
    "type": "object",
    "required": ["action", "declaration"],
    "properties": {
        "action": {"enum": [action.value for action in Action]},
        "declaration": {"type": "string", "maxLength": balance.MAX_DECLARATION},
        "quantity": {
            "type": "object",
            "required": ["value", "unit"],
            "properties": {"value": {"type": "string"}, "unit": {"type": "string"}},
        },
        "line": {"type": "integer", "minimum": 1, "maximum": balance.MAX_LINE},
        "expect": {"type": "integer", "minimum": 0},
    },
}


class BalanceService:
    """`node.balance`."""

    name = "balance"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background: the exchange repeats what is not answered."""
        self._node = node
        self._asking = Asking(node)

    def routes(self) -> Sequence[Route]:
        """Operator routes, and the one by which others see a balance kept here."""
        one, tag = "/v1/balances/{digest}", "balances"
        return (
            Route("GET", one, self._show, Auth.OPERATOR,
                  "A certificate's balance by line, signed by its register, and what was asked",
                  tag),
            Route("POST", one, self._operate, Auth.OPERATOR,
                  "Reserve, write off or release a quantity of a line for a declaration", tag,
                  request={JSON: _ORDER}),
            Route("GET", "/px/1/balances/{digest}", self._tell, Auth.PEER,
                  "A balance kept here, signed", tag),
        )  # fmt: skip

    async def start(self) -> None:
        """Takes part in the exchange."""
        self._node.exchange.on(TYPE, BalanceHandler(self._node, self._asking))

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready: what no register answers is INDETERMINATE."""
        return None

    async def operate(self, order: Order, *, seconds: float | None = None) -> Asked:
        """See `Asking.ask`."""
        return await self._asking.ask(order, seconds=seconds)

    @asynccontextmanager
    async def drawing(self, examined: Examined) -> AsyncIterator[None]:
        """Around the signing of a certificate that stands on an original: see `drawing`."""
        orders = await drawing.reserve(self, examined)
        try:
            yield
        except TradeError:
            await drawing.release(self, orders)
            raise
        # The certificate is signed: what it drew is gone, and told again until that is heard.
        await drawing.write_off(self, orders)

    async def _operate(self, request: web.Request) -> web.Response:
        order = read_order(await read_json(request), hex_digest(request.match_info["digest"]))
        asked = await self.operate(order)
        return json_response(_asked_json(asked))

    async def _show(self, request: web.Request) -> web.Response:
        digest = hex_digest(request.match_info["digest"])
        node = self._node
        stored = await node.store.read(documents.require, digest)
        document = strict_json.loads_object(stored.payload)
        named = balance.named_in(document, stored.issuer)
        body: dict[str, Any] = {
            "certificate": digest.hex(),
            "number": stored.number,
            "register": named.register,
            **({"quantity": named.quantity.to_json()} if named.quantity else {}),
            "lines": _lines(document, named),
        }
        try:
            answer = await self.state(digest, named.register)
            body |= {"standing": "KNOWN", "balance": answer.to_json(), "signed": answer.text}
        except UnavailableError as error:
            body |= {"standing": "INDETERMINATE", "code": "balance_unknown", "reason": error.code}
        asked = await node.store.read(rows.asked_about, digest)
        body["asked"] = [_asked_json(each) for each in asked]
        if named.register == node.did:
            body["uses"] = await node.store.read(_uses, digest)
        return json_response(body)

    async def state(self, digest: bytes, at: str) -> Answer:
        """The balance as its register at `at` signs it now.

        Raises UnavailableError `balance_unknown` when that cannot be had.
        """
        node = self._node
        if at == node.did:
            return await node.store.write(register.state, node, digest, node.did)
        path = f"/px/1/balances/{digest.hex()}"
        got = await node.client.call(at, "GET", path, deadline=SECONDS)
        if got.status != 200:
            raise UnavailableError("balance_unknown", f"the register answered {got.status}")
        try:
            signed = got.body[: balance.MAX_ANSWER].decode("ascii")
            answer = balance.read_answer(signed, judging.members_of(node))
        except (UnicodeDecodeError, TradeError) as error:
            raise UnavailableError("balance_unknown", type(error).__name__) from None
        if (answer.certificate, answer.register) != (digest, at):
            raise UnavailableError("balance_unknown", "another balance was answered")
        return answer

    async def _tell(self, request: web.Request) -> web.Response:
        from aiohttp import web

        digest = hex_digest(request.match_info["digest"])
        answer = await self._node.store.write(register.state, self._node, digest, peer(request))
        return web.Response(text=answer.text, content_type="application/jose")


def _uses(conn: Connection, digest: bytes) -> list[dict[str, Any]]:
    kept = rows.get(conn, digest)
    if kept is None:
        return []
    units: dict[int | None, str] = {line.number: line.quantity.unit for line in kept.lines}
    if kept.quantity is not None:
        units[None] = kept.quantity.unit
    return [balance.use_json(use, units.get(use.line, "")) for use in kept.uses]


def _lines(document: dict[str, JsonValue], named: Named) -> list[dict[str, Any]]:
    """The lines as the certificate has them, for people to know which is which."""
    goods = {integer(line, "sequence"): line for _, line in objects(document, "goods")}
    return [
        {
            "line": line.number,
            "quantity": line.quantity.to_json(),
            "description": text(goods[line.number], "description"),
            "hs": text(goods[line.number], "hs"),
        }
        for line in named.lines
    ]


def _asked_json(asked: Asked) -> dict[str, Any]:
    """What was asked, with what the register said; its signature was checked when it came."""
    body = asked.to_json()
    if asked.answer is not None:
        body["answer"] = balance.read_payload(asked.answer)
    return body


def read_order(body: dict[str, Any], certificate: bytes) -> Order:
    """POST /v1/balances/…; raises MalformedError `balance_request_malformed`."""
    fields = Fields(body, CODE)
    action = fields.text("action", max_length=20)
    if action not in set(Action):
        raise fields.fault("action", f"action is one of {', '.join(Action)}")
    order = Order(
        certificate,
        Action(action),
        fields.text("declaration", max_length=balance.MAX_DECLARATION),
        balance.read_quantity(fields),
        fields.integer("expect", 0, 2**53 - 1) if fields.has("expect") else None,
        balance.read_line(fields),
    )
    if order.action is Action.RESERVE and order.quantity is None:
        raise fields.fault("quantity", "say how much is reserved")
    return order
