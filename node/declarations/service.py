"""The declaration service: POST /v1/declarations (operator).

Before a declaration is signed the rules across documents run over it and everything it is drawn
from: an error refuses it, a warning has to be accepted by its id.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from node.consistency.service import told
from node.documents import documents
from node.documents.orders import IssueOrder
from node.http.helpers import json_response, lang, read_json
from node.http.routes import JSON, Auth, Route
from node.verification.judging import country_of, members_of
from protocols import declaration, times
from protocols.declaration import EXPORT, IMPORT, SOURCES, Drawn, Filing, Source
from protocols.fields import Fields
from schemas import cross, registry, strict_json
from schemas.errors import NotFoundError, RefusedError
from schemas.fields import objects, text
from schemas.findings import Outcome, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.http.routes import Handler
    from node.runtime import Node
    from schemas.findings import Finding

CODE = "declaration_malformed"
SIDES = {"export": EXPORT, "import": IMPORT}
_OFFICE = re.compile(r"[A-Z]{2}[0-9A-Z]{2,8}")
_PROCEDURE = re.compile(r"[0-9A-Z]{2,4}")
_RULE = re.compile(r"XDC-[0-9]{3}")
_ORDER = {
    "type": "object",
    "required": ["consignment", "side", "number", "office", "procedure"],
    "properties": {
        "consignment": {"type": "string"},
        "side": {"enum": ["export", "import"]},
        "number": {"type": "string"},
        "office": {"type": "string"},
        "procedure": {"type": "string"},
        "preference": {"type": "boolean"},
        "accept": {"type": "array", "items": {"type": "string"}},
    },
}


class DeclarationService:
    """`node.declarations`."""

    name = "declarations"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """One operator route."""
        handler: Handler = self._declare
        return (
            Route("POST", "/v1/declarations", handler, Auth.OPERATOR,
                  "Draw an export or import declaration from the signed papers, check, sign it",
                  "declarations", request={JSON: _ORDER}, responses={201: "Signed"}),
        )  # fmt: skip

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    async def _declare(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), CODE)
        side = fields.text("side", max_length=10)
        if side not in SIDES:
            raise fields.fault("side", "export or import")
        accepted = fields.texts("accept") if fields.has("accept") else ()
        filing = self._filing(fields, SIDES[side])
        ucr = fields.text("consignment", max_length=100)
        drawn, findings = await self._node.store.read(self._draw, ucr, filing)
        refuse_unaccepted(findings, frozenset(accepted))
        payload = strict_json.canonical(drawn.document)
        issued = await self._node.documents.issue(IssueOrder(payload, filing.type, ucr))
        body: dict[str, Any] = issued.document.to_json()
        body |= {
            "dataSet": drawn.data_set,
            "declaration": drawn.document,
            "drawnFrom": [
                {"pointer": place, "document": digest, "at": where}
                for place, digest, where in drawn.origins
            ],
            "accepted": [told(each, lang(request)) for each in findings],
        }
        return json_response(body, 201)

    def _filing(self, fields: Fields, kind: str) -> Filing:
        node = self._node
        entry = members_of(node).node(node.did)
        issuer = {
            "name": entry.name if entry else node.settings.node.name,
            "country": country_of(node) or "",
            "did": node.did,
        }
        return Filing(
            type=kind,
            number=fields.text("number", max_length=70),
            office=fields.text("office", pattern=_OFFICE),
            procedure=fields.text("procedure", pattern=_PROCEDURE),
            on=times.from_ms(node.clock.now_ms()).date(),
            issuer=issuer,
            preference=fields.has("preference") and fields.boolean("preference"),
        )

    def _draw(
        self, conn: Connection, ucr: str, filing: Filing
    ) -> tuple[Drawn, tuple[Finding, ...]]:
        held = [one for one in documents.find_all(conn, consignment=ucr) if _counts(one)]
        export = [one for one in held if one.type == EXPORT]
        if filing.type == IMPORT and export:
            last = export[-1]
            filing = _answering(filing, last.number)
            sources = _of_data_set(held, strict_json.loads_object(last.payload))
        else:
            sources = _latest(held)
        if not sources:
            raise NotFoundError("consignment_not_here", "no paper of this consignment is here")
        drawn = declaration.draw(sources, filing)
        _require_same(drawn, export if filing.type == IMPORT else [])
        payload = strict_json.canonical(drawn.document)
        examination = registry.examine(filing.type, payload)
        if examination.errors:
            raise RefusedError(
                "document_has_errors",
                f"findings that refuse it: {len(examination.errors)}",
                findings=examination.findings,
            )
        return drawn, _across(held, filing.type, payload)


def _answering(filing: Filing, number: str) -> Filing:
    from dataclasses import replace

    return replace(filing, counterpart=number)


def _counts(one: StoredDocument) -> bool:
    """Issued here or verified, and in force."""
    good = one.verdict in (None, Outcome.PASSED.value)
    return good and one.revoked_at is None and one.suspended_at is None


def _source(one: StoredDocument) -> Source:
    document = strict_json.loads_object(one.payload)
    return Source(one.type, one.number, one.digest.hex(), document)


def _latest(held: Sequence[StoredDocument]) -> list[Source]:
    """The newest paper of each type that a data set is made of."""
    newest = {one.type: one for one in held if one.type in SOURCES}
    return [_source(one) for one in newest.values()]


def _of_data_set(held: Sequence[StoredDocument], export: Any) -> list[Source]:
    """Exactly the papers that the export declaration names; they have to be here, and in force.

    Raises RefusedError `declaration_data_set_incomplete`.
    """
    here = {one.digest.hex(): one for one in held}
    named = [each for _, each in objects(export, "references")]
    lacking = [each for each in named if text(each, "digest") not in here]
    if lacking:
        numbers = ", ".join(f"{text(each, 'type')} {text(each, 'number')}" for each in lacking)
        raise RefusedError("declaration_data_set_incomplete", numbers)
    return [_source(here[text(each, "digest") or ""]) for each in named]


def _require_same(drawn: Drawn, export: Sequence[StoredDocument]) -> None:
    """The import side declares the data set that the export declaration names."""
    if not export:
        return
    named = text(strict_json.loads_object(export[-1].payload), "dataSet")
    if named != drawn.data_set:
        raise RefusedError("declaration_other_data_set", f"the export side declared {named}")


def _across(held: Sequence[StoredDocument], kind: str, payload: bytes) -> tuple[Finding, ...]:
    """The rules across documents over everything that is here, the new declaration among it."""
    from node.consistency.papers import paper_of

    papers = [paper for one in held if (paper := paper_of(one)) is not None]
    return cross.examine([*papers, cross.Paper(cross.statement(kind, payload))])


def refuse_unaccepted(findings: Sequence[Finding], accepted: frozenset[str]) -> None:
    """Errors refuse, and warnings that nobody accepted; raises `declaration_inconsistent`."""
    open_ones = [
        each for each in findings if each.severity is Severity.ERROR or each.rule not in accepted
    ]
    if open_ones:
        rules = ", ".join(sorted({each.rule for each in open_ones}))
        raise RefusedError("declaration_inconsistent", rules, findings=tuple(findings))
