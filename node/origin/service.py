"""The origin service: evaluates a question over held certificates, signs the result, looks again.

POST /v1/origin-evaluations, GET /v1/origin-evaluations/{digest} (operator). A signed result is a
document of type `origin-evaluation`, issued, logged, sent and revoked like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from node.documents import documents
from node.documents.orders import IssueOrder
from node.origin import inputs
from node.origin.handlers import OriginHandlers
from node.verification import judging
from protocols import times
from schemas import origin, strict_json
from schemas.errors import RefusedError
from schemas.origin import document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from node.documents.issuing import Issued
    from node.http.routes import Route
    from node.origin.inputs import Input
    from node.runtime import Node
    from schemas.findings import Check
    from schemas.origin import Evaluation, Question


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation, what was found out for it, and the document it became, if it was signed."""

    evaluation: Evaluation
    inputs: Mapping[str, Input]
    issued: Issued | None = None


@dataclass(frozen=True, slots=True)
class LookedAgain:
    """A signed evaluation held against now: its report, the verdict now, and what was lost."""

    report: Mapping[str, Any]
    now: Evaluation
    inputs: Mapping[str, Input]
    basis_lost: tuple[str, ...]
    reproduced: Check


class OriginService:
    """`node.origin`."""

    name = "origin"

    def __init__(self, node: Node) -> None:
        """Nothing runs in the background."""
        self._node = node
        self._handlers = OriginHandlers(self)

    def routes(self) -> Sequence[Route]:
        """See `node.origin.handlers`."""
        return self._handlers.routes()

    async def start(self) -> None:
        """Nothing to begin."""

    async def stop(self) -> None:
        """Nothing to end."""

    def ready(self) -> str | None:
        """Always ready: what is not known is INDETERMINATE."""
        return None

    async def evaluate(
        self, question: Question, *, sign: bool = False, consignment: str | None = None
    ) -> Evaluated:
        """Answer a question; sign the answer as a document where asked.

        Raises as `node.documents.issuing.examine` and `.issue` when it is to be signed.
        """
        found = await inputs.resolve(self._node, question)
        statuses = {digest: each.outcome for digest, each in found.items()}
        evaluation = origin.evaluate(question, statuses)
        if not sign:
            return Evaluated(evaluation, found)
        order = IssueOrder(self._payload(evaluation, consignment), document.TYPE, consignment)
        return Evaluated(evaluation, found, await self._node.documents.issue(order))

    def _payload(self, evaluation: Evaluation, consignment: str | None) -> bytes:
        node = self._node
        entry = judging.members_of(node).node(node.did)
        issuer = {
            "name": entry.name if entry else node.settings.node.name,
            "country": judging.country_of(node) or "",
            "did": node.did,
        }
        today = times.from_ms(node.clock.now_ms()).date()
        return document.payload(evaluation, today, issuer, consignment)

    async def again(self, digest: bytes) -> LookedAgain:
        """A signed evaluation that is here, evaluated again with what is known now.

        The document is not changed by it: a lost basis is a flag (R25). Raises NotFoundError
        `document_not_here`, RefusedError `origin_evaluation_other_type`.
        """
        stored = await self._node.store.read(documents.require, digest)
        if stored.type != document.TYPE:
            raise RefusedError("origin_evaluation_other_type", f"it is a {stored.type}")
        report = strict_json.loads_object(stored.payload)["evaluation"]
        assert isinstance(report, dict)  # its profile says so, and it was examined when it came
        question, _ = origin.reread(report)
        found = await inputs.resolve(self._node, question)
        statuses = {each: told.outcome for each, told in found.items()}
        return LookedAgain(
            report=report,
            now=origin.evaluate(question, statuses),
            inputs=found,
            basis_lost=origin.basis_lost(report, statuses),
            reproduced=origin.reproduce(report),
        )
