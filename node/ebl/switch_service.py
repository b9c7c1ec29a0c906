"""The operator's door to the test switches, open on networks flagged `test` only (R7).

`docs/dcsa-notes.md` says which switch a conformance toolkit needs and why.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from node.ebl.switches import (
    MAX_CERTIFICATES,
    MAX_PARTIES,
    MAX_PEERS,
    SwitchedParty,
    SwitchedPeer,
    Switches,
    read_certificate,
)
from node.http.helpers import json_response, read_json
from node.http.routes import JSON, Auth, Route
from protocols.fields import Fields
from protocols.pint.parties import MAX_NAME, read_code
from protocols.pint.reading import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

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
        "parties": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": _TEXT,
                    "identifyingCodes": {"type": "array", "items": _CODE},
                },
            },
        },
    },
}


class SwitchService:
    """`node.switches`: holds what was told, and the routes by which it is told."""

    name = "switches"

    def __init__(self, node: Node) -> None:
        """Nothing is told yet."""
        self._node = node
        self.held = Switches(lambda: node.members.current)

    def routes(self) -> Sequence[Route]:
        """Operator routes; each refuses outside test networks."""
        tag, operator = "test switches", Auth.OPERATOR
        return (
            Route("GET", BASE, self._show, operator, "What was told for a test", tag),
            Route("PUT", BASE, self._tell, operator,
                  "Tell of peers, carriers and parties that no member list has; replaces all", tag,
                  request={JSON: _TOLD}),
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
            parties=[read_party(item) for item in fields.children("parties", MAX_PARTIES)],
        )
        self._node.telemetry.log.warning("switches.told", peers=len(self.held.to_json()["peers"]))
        return json_response(self.held.to_json())


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


def read_party(fields: Fields) -> SwitchedParty:
    """One party; raises MalformedError `test_switch_malformed`."""
    codes = tuple(read_code(item) for item in fields.children("identifyingCodes", 16))
    return SwitchedParty(fields.text("name", max_length=MAX_NAME), codes)


def _certificates(fields: Fields, name: str) -> tuple[bytes, ...]:
    value: Any = fields.members.get(name, [])
    if not isinstance(value, list) or len(value) > MAX_CERTIFICATES:
        raise fields.fault(name, f"{name} is a list of at most {MAX_CERTIFICATES} certificates")
    return tuple(read_certificate(str(text)) for text in value)
