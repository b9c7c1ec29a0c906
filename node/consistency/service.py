"""The consistency service: GET /v1/consignments/{ucr}/consistency (operator)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.consistency import papers
from node.http.helpers import json_response, lang
from node.http.routes import Auth, Route
from schemas import cross
from schemas.catalogue import explain
from schemas.errors import NotFoundError
from schemas.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from sqlalchemy import Connection

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from schemas.findings import Finding


class ConsistencyService:
    """`node.consistency`."""

    name = "consistency"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """One operator route."""
        return (
            Route("GET", "/v1/consignments/{ucr}/consistency", self._show, Auth.OPERATOR,
                  "Where the papers of a consignment disagree, with both values and places",
                  "consistency"),
        )  # fmt: skip

    async def start(self) -> None:
        """Nothing to begin: intake calls `note`."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready."""
        return None

    def note(self, conn: Connection, stored: StoredDocument) -> None:
        """See `node.consistency.papers.note`; called in the transaction that keeps a document."""
        papers.note(conn, self._node, stored)

    async def _show(self, request: web.Request) -> web.Response:
        ucr = request.match_info["ucr"][:100]
        found = await self._node.store.read(papers.papers_of, ucr)
        if not found:
            raise NotFoundError("consignment_not_here", "no paper of this consignment is here")
        findings = cross.examine(found)
        return json_response(
            {
                "consignment": ucr,
                "papers": [
                    {
                        "type": each.statement.type,
                        "number": each.statement.number,
                        "digest": each.digest,
                    }
                    for each in found
                ],
                "compared": sum(1 for _ in cross.pairs(found)),
                "errors": sum(1 for each in findings if each.severity is Severity.ERROR),
                "findings": [told(each, lang(request)) for each in findings],
            }
        )


def told(finding: Finding, language: str) -> dict[str, Any]:
    """A finding with its rule's sentence and next step in the reader's language."""
    entry = explain(finding.rule)
    body = finding.to_json()
    if entry is not None:
        body |= {"title": entry.sentence(language), "next": entry.next_step(language)}
    return body
