"""The way to a chain through other members, for a node that has none or is cut off from it.

Any member with the chain relays a signed operation and tells a title's state with its proof. What
is told becomes final here only where the listed validators' seals (QBFT) vouch for every block. Any
other chain's blocks take an own look at that chain: until then what a peer says is kept apart, as
the word of that peer, and changes nothing (R21).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from node.title import forms, partners
from node.title.arbiter import Handed
from node.title.news import CODE, check_news
from protocols import times
from protocols.evm.refusal import read_refusal, verify_refusal
from protocols.evm.title_proof import no_voucher
from protocols.evm.title_text import read_text
from protocols.fields import Fields
from protocols.title.json_forms import state_json
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import ConflictError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from node.runtime import Node
    from node.title.news import TitleNews
    from protocols.evm.proof import Header
    from protocols.members.arbiters import ArbiterEntry
    from protocols.seams import Answer
    from protocols.title.machine import TitleState

OPERATIONS: Final = "/title-chain/1/operations"
TITLES: Final = "/title-chain/1/titles"
CALL_SECONDS: Final = 3.0
ALL_SECONDS: Final = 8.0
AT_MOST: Final = 5
QUIET_SECONDS: Final = 30.0
MAX_WORDS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Word:
    """What a peer says that nothing here can vouch for; at: of the last block, ms UTC."""

    by: str
    state: TitleState
    at: int

    def to_json(self) -> dict[str, Any]:
        """For people: never final, and says so."""
        entry = explain("title_word_of_peer")
        return {
            "by": self.by,
            "final": False,
            "state": state_json(self.state),
            "asOf": times.to_text(times.from_ms(self.at)),
            "message": {"en": entry.en, "zh": entry.zh} if entry else {},
        }


class EvmPeers:
    """Asks members in turn; who has no chain either is left alone for a while."""

    def __init__(self, node: Node) -> None:
        """Knows nobody yet."""
        self._node = node
        self._quiet: dict[str, float] = {}
        self._words: OrderedDict[bytes, Word] = OrderedDict()
        self.good: str | None = None

    def word(self, title: bytes, beyond: int) -> Word | None:
        """What a peer said of a title whose final state here has seq `beyond`."""
        found = self._words.get(title)
        return found if found is not None and found.state.seq > beyond else None

    # -- asking --------------------------------------------------------------------------------

    def _candidates(self) -> list[str]:
        members, now = partners.members_of(self._node), time.monotonic()
        listed = [one.did for one in members.nodes if one.did != self._node.did]
        listed.sort(key=lambda did: did != self.good)
        return [did for did in listed if self._quiet.get(did, 0.0) <= now][:AT_MOST]

    async def _answers(
        self, method: str, path: str, body: bytes = b""
    ) -> AsyncIterator[tuple[str, Answer]]:
        """Usable answers, each with who gave it."""
        headers = {"Content-Type": "application/json"} if body else {}
        end = time.monotonic() + ALL_SECONDS
        for did in self._candidates():
            if time.monotonic() > end:
                return
            try:
                answer = await self._node.client.call(
                    did, method, path, body, headers=headers, deadline=CALL_SECONDS
                )
            except TradeError:
                answer = None
            if answer is None or answer.status >= 500 or answer.status in (401, 408, 429):
                self._quiet[did] = time.monotonic() + QUIET_SECONDS
                self.good = None if self.good == did else self.good
                continue
            if answer.status == 404:
                continue
            self.good = did
            yield did, answer

    async def fetch(self, entry: ArbiterEntry, title: bytes) -> TitleNews | None:
        """A title's proven final state from a peer, or None when none could be had.

        What only a peer's word stands for is kept as `word`.
        """
        path = f"{TITLES}/{title.hex()}?arbiter={entry.id.hex()}"
        async for did, answer in self._answers("GET", path):
            if answer.status == 200:
                news = await self._news(entry, did, answer.body)
                if news is not None or entry.finality != "qbft":
                    return news
        return None

    async def hand_in(self, entry: ArbiterEntry, digest: bytes, text: str) -> Handed | None:
        """Have an operation relayed; None when nobody takes it."""
        one = read_text(text).operation
        members = partners.members_of(self._node)
        keys = await self._node.store.read(forms.statements_naming, members, [one])
        body = orjson.dumps({"arbiter": entry.id.hex(), "operation": text, "keys": keys})
        async for did, answer in self._answers("POST", OPERATIONS, body):
            if answer.status != 200:
                # A reason without proof decides nothing; that the place is taken can be proven.
                return await self._overtaken(entry, digest, text)
            handed = await self._handed(entry, digest, did, answer.body)
            if handed is not None:
                return handed
            relayed = UnavailableError("title_relayed_by_peer", f"{did} relays the operation")
            return Handed("failed", error=relayed)
        return None

    # -- believing -----------------------------------------------------------------------------

    async def _handed(
        self, entry: ArbiterEntry, digest: bytes, did: str, body: bytes
    ) -> Handed | None:
        """A peer's answer as far as it proves itself."""
        try:
            fields = Fields(strict_json.loads_object(body), CODE)
            if fields.members.get("outcome") == "refused":
                text = fields.text("refusal", max_length=256 * 1024)
                refusal = read_refusal(text)
                verify_refusal(refusal, entry, no_voucher)
                return Handed("refused", refusal=text) if refusal.refused.digest == digest else None
        except TradeError as error:
            self._node.telemetry.log.debug("title.peer_not_believed", by=did, code=error.code)
            return None
        if fields.members.get("outcome") != "final":
            return None
        news = await self._news(entry, did, body)
        done = news is not None and digest in {one.digest for one, _ in news.operations}
        return Handed("final", news=news) if done else None

    async def _overtaken(self, entry: ArbiterEntry, digest: bytes, text: str) -> Handed | None:
        """Whether proven news has another operation in this one's place, or this one itself."""
        operation = read_text(text).operation
        news = await self.fetch(entry, operation.title)
        if news is None or news.state.seq <= operation.seq:
            return None
        if digest in {one.digest for one, _ in news.operations}:
            return Handed("final", news=news)
        winner = next(one.digest for one, _ in news.operations if one.seq == operation.seq)
        detail = f"operation {winner.hex()[:16]}… took its place"
        return Handed("failed", error=ConflictError("title_seq_conflict", detail))

    async def _news(self, entry: ArbiterEntry, did: str, body: bytes) -> TitleNews | None:
        """News that is proven here; what is not is kept as the word of that peer."""
        try:
            members, freezes = partners.members_of(self._node), partners.freezes_of(self._node)
            told_here = Fields(strict_json.loads_object(body), CODE)
            fields = await self._node.store.read(forms.with_names, members, told_here)
            if entry.finality == "qbft":
                return check_news(fields, entry.id, members, no_voucher, freezes)
            told = check_news(fields, entry.id, members, _as_told, freezes)
        except TradeError as error:
            self._node.telemetry.log.warning("title.peer_not_believed", by=did, code=error.code)
            return None
        self._words[told.state.title] = Word(did, told.state, told.at)
        self._words.move_to_end(told.state.title)
        while len(self._words) > MAX_WORDS:
            self._words.popitem(last=False)
        return None


def _as_told(_header: Header) -> None:
    """For reading what a peer says, which is then kept apart from what is final."""
