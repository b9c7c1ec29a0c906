"""The log arbiter as a node speaks to it: its sequencer in this process, or over the network."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
from typing_extensions import override

from node.title import partners
from node.title.news import check_news
from node.title.refusals import refused
from protocols import jws
from protocols.fields import Fields
from protocols.seams import TitleArbiter
from protocols.title.operation import read_operation, read_refusal
from protocols.title.registry import Arbiter, arbiter_of
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import (
    FAMILIES,
    RefusedError,
    TradeError,
    UnavailableError,
)

if TYPE_CHECKING:
    from node.runtime import Node
    from node.title.news import TitleNews
    from protocols.member_list import RegistryEntry
    from protocols.title.machine import TitleState

CALL_SECONDS = 4.0
_CODE = "title_request_malformed"


@dataclass(frozen=True, slots=True)
class Handed:
    """The answer to an operation that was handed in.

    status:  final, accepted (not final yet), refused (signed, for good), or failed (`error`)
    """

    status: str
    news: TitleNews | None = None
    refusal: str | None = None
    error: TradeError | None = None


class NodeArbiter(TitleArbiter):
    """What a node asks either kind of arbiter."""

    @abstractmethod
    async def hand_in(self, text: str, *, wait: int) -> Handed:
        """Hand in an operation and wait up to that many seconds for it to be final.

        Raises UnavailableError `registry_unreachable` when nothing is known (R13).
        """

    @abstractmethod
    async def fetch(self, title: bytes, *, after: int = 0, wait: int = 0) -> TitleNews | None:
        """The title's final state with its proof, or None when none is final yet.

        Raises UnavailableError `registry_unreachable`.
        """

    @override
    async def submit(self, operation: str) -> None:
        """See `TitleArbiter.submit`."""
        handed = await self.hand_in(operation, wait=0)
        if handed.refusal is not None:
            raise refused(handed.refusal)
        if handed.error is not None:
            raise handed.error

    @override
    async def state(self, title: bytes) -> TitleState | None:
        """See `TitleArbiter.state`."""
        news = await self.fetch(title)
        return news.state if news else None


class LogArbiter(NodeArbiter):
    """One listed registry. There is exactly one sequencer and no fail-over (R21)."""

    def __init__(self, node: Node, entry: RegistryEntry) -> None:
        """`entry` comes from the member list."""
        self._node = node
        self._entry = entry
        self.arbiter: Arbiter = arbiter_of(entry)

    @property
    @override
    def id(self) -> bytes:
        """See `TitleArbiter.id`."""
        return self.arbiter.id

    @override
    async def hand_in(self, text: str, *, wait: int) -> Handed:
        """See `NodeArbiter.hand_in`."""
        answer = await self._results(text, wait)
        outcome = answer.members.get("outcome")
        if outcome == "final":
            return Handed("final", news=self._news(answer))
        if outcome == "pending":
            return Handed("accepted")
        if outcome == "refused":
            return Handed("refused", refusal=self._refusal(answer, text))
        return Handed("failed", error=_error(answer.child("problem")))

    async def _results(self, text: str, wait: int) -> Fields:
        if self._here():
            return Fields(await self._node.registry.hand_in(text, wait), _CODE)
        body = orjson.dumps({"operations": [text], "wait": wait})
        answer = await self._call("POST", "/registry/1/operations", body, wait)
        results = answer.children("results", 1)
        if not results:
            raise unreachable("the registry answered nothing")
        return results[0]

    @override
    async def fetch(self, title: bytes, *, after: int = 0, wait: int = 0) -> TitleNews | None:
        """See `NodeArbiter.fetch`."""
        try:
            if self._here():
                body = await self._node.registry.title(title, after, wait)
                return self._news(Fields(body, _CODE))
            path = f"/registry/1/titles/{title.hex()}?after={after}&wait={wait}"
            return self._news(await self._call("GET", path, b"", wait))
        except TradeError as error:
            if error.code == "title_never_issued":
                return None
            raise

    def _here(self) -> bool:
        return self._entry.did == self._node.did

    async def _call(self, method: str, path: str, body: bytes, wait: int) -> Fields:
        headers = {"Content-Type": "application/json"} if body else {}
        try:
            answer = await self._node.client.call(
                self._entry.did,
                method,
                path,
                body,
                headers=headers,
                deadline=CALL_SECONDS + wait,
            )
        except UnavailableError as error:
            raise unreachable(error.detail) from error
        if answer.status >= 500 or answer.status in (401, 408, 429):
            raise unreachable(f"the registry answered {answer.status}")
        fields = Fields(strict_json.loads_object(answer.body), _CODE)
        if answer.status >= 400:
            raise _error(fields)
        return fields

    def _news(self, fields: Fields) -> TitleNews:
        members = self._node.members.current
        assert members is not None
        return check_news(fields, self.arbiter.id, members, freezes=partners.freezes_of(self._node))

    def _refusal(self, fields: Fields, text: str) -> str:
        """A refusal counts only with the sequencer's signature over this very operation (R13)."""
        refusal = fields.text("refusal", max_length=16 * 1024)
        parsed, said = read_refusal(refusal)
        members = self._node.members.current
        key = members.key(parsed.kid) if members else None
        if key is None or key.did != self._entry.did or key.purpose != "exchange":
            raise unreachable("the refusal is not signed by the registry's sequencer")
        jws.verify(parsed, key.public)
        operation = read_operation(text).operation
        if (said.operation, said.arbiter) != (operation.digest, self.arbiter.id):
            raise unreachable("the refusal is about another operation")
        return refusal


def unreachable(why: str) -> UnavailableError:
    """What people are told while the registry does not answer."""
    return UnavailableError(
        "registry_unreachable", f"transfer pending – registry unreachable: {why}"
    )


def _error(problem: Fields) -> TradeError:
    """The registry's unsigned problem as the error it is here; a foreign code is not believed."""
    code = problem.members.get("code")
    detail = problem.members.get("detail")
    text = detail if isinstance(detail, str) else ""
    entry = explain(code) if isinstance(code, str) else None
    if entry is None or entry.kind != "error":
        return RefusedError("title_refused", "the registry gave no known reason")
    return FAMILIES[entry.family](entry.code, text[:500])
