"""The operator's door to the test switches, open on networks flagged `test` only (R7).

`docs/dcsa-notes.md` says which switch a conformance toolkit needs and why.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from aiohttp import web

from node.ebl.faulty_sender import MAX_DOCUMENTS, Fault, FaultySender, Order, Step
from node.ebl.switches import (
    MAX_CERTIFICATES,
    MAX_PEERS,
    SwitchedPeer,
    Switches,
    read_certificate,
)
from node.http.helpers import json_response, read_json
from node.http.routes import JSON, Auth, Route
from node.pint.client import PlatformClient
from node.store import events
from node.store.metadata import metadata
from protocols.fields import Fields
from protocols.pint.parties import read_code, read_party
from protocols.pint.reading import PLATFORM, word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from node.runtime import Node

CODE = "test_switch_malformed"
BASE = "/v1/test/ebl"
_URL = re.compile(r"(?a:https?://[A-Za-z0-9.\[\]:-]{1,255}(?:/[A-Za-z0-9._~%-]{1,100}){0,16})")
_HEADER = re.compile(r"(?a:[A-Za-z][A-Za-z0-9-]{0,99})")
_VALUE = re.compile(r"(?a:[\x21-\x7e]{1,500})")
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_CODE = {
    "type": "object",
    "properties": dict.fromkeys(("codeListProvider", "partyCode", "codeListName"), _TEXT),
}
_TOLD = {
    "type": "object",
    "properties": {
        "peers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "code": _TEXT,
                    "certificates": _TEXTS,
                    "url": _TEXT,
                    "headers": {"type": "object"},
                    "beta": {"type": "boolean"},
                },
            },
        },
        "carriers": _TEXTS,
    },
}


_TRANSFER = {
    "type": "object",
    "properties": {
        "platform": _TEXT,
        "document": {"type": "object"},
        "recipient": {"type": "object"},
        "hops": {"type": "integer"},
        "documents": {"type": "integer"},
        "fault": {"enum": [one.value for one in Fault]},
    },
}
_ISSUANCE = {
    "type": "object",
    "properties": {
        "counterpart": _TEXT,
        "document": {"type": "object"},
        "issueTo": {"type": "object"},
    },
}
_VALIDATION = {"type": "object", "properties": {"platform": _TEXT, "code": _CODE}}
#: What a reset forgets; accounts are an operator's own words and stay.
_FORGOTTEN, _KEPT = ("pint_", "ebl_"), "pint_accounts"


class SwitchService:
    """`node.switches`: holds what was told, and the routes by which it is told."""

    name = "switches"

    def __init__(self, node: Node) -> None:
        """Nothing is told yet."""
        self._node = node
        self.held = Switches(lambda: node.members.current)
        self._sender = FaultySender(node)

    def routes(self) -> Sequence[Route]:
        """Operator routes; each refuses outside test networks."""
        tag, operator = "test switches", Auth.OPERATOR
        return (
            Route("GET", BASE, self._show, operator, "What was told for a test", tag),
            Route("PUT", BASE, self._tell, operator,
                  "Tell of peers and carriers that no member list has; replaces all", tag,
                  request={JSON: _TOLD}),
            Route("POST", BASE + "/reset", self._reset, operator,
                  "Forget all bills, chains, transfers, issuances and surrenders", tag,
                  responses={204: "Forgotten"}),
            Route("POST", BASE + "/transfers", self._begin, operator,
                  "Send an envelope for a bill made up for the test", tag,
                  request={JSON: _TRANSFER}),
            Route("POST", BASE + "/transfers/{transfer}/{step}", self._step, operator,
                  "Send one more call of it: again, signed-again, altered, document, corrupted, "
                  "unrelated or finish", tag),
            Route("POST", BASE + "/issuances", self._issue, operator,
                  "Put a bill before a platform that no carrier would put there", tag,
                  request={JSON: _ISSUANCE}),
            Route("POST", BASE + "/receiver-validation", self._validate, operator,
                  "Ask another platform whom a code names", tag, request={JSON: _VALIDATION}),
        )  # fmt: skip

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """It never holds the node back."""
        return None

    async def _show(self, _request: web.Request) -> web.Response:
        self.held.require()
        return json_response(self.held.to_json())

    async def _tell(self, request: web.Request) -> web.Response:
        self.held.require()
        fields = Fields(await read_json(request), CODE)
        self.held.tell(
            peers=[read_peer(item) for item in fields.children("peers", MAX_PEERS)],
            carriers=_certificates(fields, "carriers"),
        )
        self._node.telemetry.log.warning("switches.told", peers=len(self.held.to_json()["peers"]))
        return json_response(self.held.to_json())

    async def _reset(self, _request: web.Request) -> web.Response:
        self.held.require()
        self._sender.clear()
        await self._node.store.write(forget, self._node.clock.now_ms())
        return web.Response(status=204)

    async def _begin(self, request: web.Request) -> web.Response:
        self.held.require()
        order = read_order(Fields(await read_json(request), CODE))
        return json_response(await self._sender.begin(order))

    async def _step(self, request: web.Request) -> web.Response:
        self.held.require()
        step = word(Fields(request.match_info, CODE), "step", Step)
        return json_response(await self._sender.step(request.match_info["transfer"], step))

    async def _issue(self, request: web.Request) -> web.Response:
        self.held.require()
        fields = Fields(await read_json(request), CODE)
        document, issue_to = (dict(fields.child(name).members) for name in ("document", "issueTo"))
        platform = self._node.ebl.counterparts.named(fields.text("counterpart"))
        return json_response(await self._sender.issue(platform, document, issue_to))

    async def _validate(self, request: web.Request) -> web.Response:
        self.held.require()
        fields = Fields(await read_json(request), CODE)
        platform = fields.text("platform", pattern=PLATFORM, max_length=4)
        name = await PlatformClient(self._node).validate(platform, read_code(fields.child("code")))
        return json_response({"partyName": name})


def forget(conn: Connection, now_ms: int) -> None:
    """Empties what this node keeps as platform and as carrier; titles and documents stay."""
    events.record(conn, kind=events.RESET, at=now_ms)
    for table in reversed(metadata.sorted_tables):
        if table.name.startswith(_FORGOTTEN) and table.name != _KEPT:
            conn.execute(table.delete())


def read_order(fields: Fields) -> Order:
    """What to send; raises MalformedError `test_switch_malformed`."""
    return Order(
        platform=fields.text("platform", pattern=PLATFORM, max_length=4),
        document=dict(fields.child("document").members),
        recipient=read_party(fields.child("recipient")),
        hops=fields.integer("hops", 1, 2) if fields.has("hops") else 1,
        documents=fields.integer("documents", 0, MAX_DOCUMENTS) if fields.has("documents") else 0,
        fault=word(fields, "fault", Fault) if fields.has("fault") else Fault.NONE,
    )


def read_peer(fields: Fields) -> SwitchedPeer:
    """One peer; raises MalformedError `test_switch_malformed`, `certificate_malformed`."""
    named = fields.optional_child("headers")
    headers = {} if named is None else named.members
    if not all(
        _HEADER.fullmatch(name) and isinstance(value, str) and _VALUE.fullmatch(value)
        for name, value in headers.items()
    ):
        raise fields.fault("headers", "a header has a name and one visible line of text")
    return SwitchedPeer(
        code=fields.text("code", pattern=PLATFORM, max_length=4),
        certificates=_certificates(fields, "certificates"),
        url=(fields.optional_text("url", pattern=_URL) or "").rstrip("/"),
        headers={name: str(value) for name, value in headers.items()},
        beta=fields.has("beta") and fields.boolean("beta"),
    )


def _certificates(fields: Fields, name: str) -> tuple[bytes, ...]:
    value: Any = fields.members.get(name, [])
    if not isinstance(value, list) or len(value) > MAX_CERTIFICATES:
        raise fields.fault(name, f"{name} is a list of at most {MAX_CERTIFICATES} certificates")
    return tuple(read_certificate(str(text)) for text in value)
