"""One real node that receives as platform AWAY, and a sender that is no node at all.

The sender speaks raw HTTP with the keys of `tests.support.pint_world`; the node's own keys are in
its home. The clock stands still at the world's moment.
"""

from __future__ import annotations

import io
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson

from node.clock import ManualClock
from node.documents.service import DocumentService
from node.ebl.switch_service import SwitchService
from node.exchange.service import ExchangeService
from node.keystore import KeyStore
from node.log.service import LogService
from node.pint.disputing import DisputeService
from node.pint.service import PintService
from node.title.registry_service import RegistryService
from node.title.service import TitleService
from protocols.member_list import ListedKey, PartyEntry
from protocols.pint import answers, documents
from protocols.pint.answers import FinishedResponse, open_finished, read_error
from protocols.pint.reading import to_base64
from tests.support import pint_world as w
from tests.support.running import caller, make_home, running_node
from tests.support.title_world import did

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from node.home import Home
    from node.runtime import Node
    from protocols.member_list import MemberList

HERE, NAME = "AWAY", "nl-port"
OWN = ("exchange", "title", "platform", "log")
SERVICES = (
    ("documents", DocumentService),
    ("exchange", ExchangeService),
    ("log", LogService),
    ("title", TitleService),
    ("registry", RegistryService),
    ("pint", PintService),
    ("disputes", DisputeService),
    ("switches", SwitchService),
)
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def signed(self) -> FinishedResponse:
        """The signed word, verified with the platform key that the list names."""
        value = orjson.loads(self.body)
        assert isinstance(value, str)
        parsed, finished = open_finished(value)
        signatory = KEYRING[0].platform(HERE)
        assert signatory is not None
        signatory.verify(parsed, w.NOW)
        assert finished.status == self.status
        return finished

    @property
    def word(self) -> str:
        return self.signed.response.value

    @property
    def error(self) -> answers.ErrorResponse:
        """The unsigned error."""
        found = read_error(self.body)
        assert found.status == self.status
        return found

    @property
    def code(self) -> str:
        return self.error.errors[0].text

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


#: The keyring of the list in force, for `Answer.signed`.
KEYRING: list[w.MemberKeyring] = []


@dataclass
class Sender:
    """Speaks to one node over HTTP, as whichever platform signed what it is given."""

    node: Node
    session: aiohttp.ClientSession

    async def call(
        self, method: str, path: str, body: bytes | None = None, headers: Any = JSON
    ) -> Answer:
        url = self.node.local_url + path
        data = None if body is None else io.BytesIO(body)
        async with self.session.request(method, url, data=data, headers=headers) as answer:
            assert answer.headers["API-Version"] == "3.0.0"
            return Answer(answer.status, answer.headers, await answer.read())

    async def post(self, envelope: bytes, headers: Any = JSON) -> Answer:
        return await self.call("POST", documents.ENVELOPES, envelope, headers)

    async def put(self, reference: str, checksum: bytes, content: bytes) -> Answer:
        body = orjson.dumps(to_base64(content))
        path = f"/v3/envelopes/{reference}/additional-documents/{checksum.hex()}"
        return await self.call("PUT", path, body)

    async def finish(self, reference: str) -> Answer:
        path = f"/v3/envelopes/{reference}/finish-transfer"
        return await self.call("PUT", path, None, {})

    async def validate(self, provider: str, code: str, **more: str) -> Answer:
        body = {"codeListProvider": provider, "partyCode": code} | more
        return await self.call("POST", "/v3/receiver-validation", orjson.dumps(body))


def prepared(
    folder: Path, *, store: dict[str, str] | None = None, test: bool = True, **pint: Any
) -> tuple[Home, MemberList]:
    """The home of the receiving node, and the list that names it among the world's platforms.

    test: how the network is flagged; store, pint: settings of those sections
    """
    settings: dict[str, Any] = {"pint": {"registry_required": False} | pint}
    if store is not None:
        settings["store"] = store
    home = make_home(folder / NAME, did(NAME), settings)
    keys = KeyStore(home.keys, did(NAME))
    listed = tuple(
        ListedKey(keys.create(purpose).public(), purpose, did(NAME), w.START) for purpose in OWN
    )
    parties = []
    for name in ("bank", "imp-a"):
        signer = keys.create_party(name, did(name))
        key = ListedKey(signer.public(), "title", did(name), w.START)
        parties.append(PartyEntry(did(name), name, did(NAME), (key,)))
    draft = w.draft(test=test)
    nodes = tuple(
        replace(entry, keys=listed) if entry.platform == HERE else entry for entry in draft.nodes
    )
    return home, w.member_list(replace(draft, nodes=nodes, parties=tuple(parties)))


@asynccontextmanager
async def receiving(home: Home, members: MemberList) -> AsyncIterator[Sender]:
    """The node, running, and somebody who calls it."""

    def put_in_force(node: Node) -> None:
        node.members.replace(members)

    KEYRING[:] = [w.MemberKeyring(members)]
    clock = ManualClock(w.NOW)
    async with (
        running_node(home, clock=clock, services=SERVICES, prepare=put_in_force) as node,
        caller() as session,
    ):
        yield Sender(node, session)


@asynccontextmanager
async def platform(folder: Path, **pint: Any) -> AsyncIterator[Sender]:
    """As `receiving`, with a new home; pint: settings of that section."""
    home, members = prepared(folder, **pint)
    async with receiving(home, members) as sender:
        yield sender


def bill(reference: str = "TDR-1", **edits: Any) -> dict[str, Any]:
    """A bill in blank of its own."""
    return w.bill(**({"/transportDocumentReference": reference} | edits))


def moved(document: dict[str, Any], *hops: Any, registry: str | None = None) -> list[str]:
    """A chain that begins at HOME: issued, and transferred to the buyer at AWAY."""
    return w.chain_of(w.first(document, registry=registry), *hops)
