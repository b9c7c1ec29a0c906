"""Titles on chains at one node: which arbiters, following, relaying, keys, how it all stands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ledger import evm_title
from ledger.chain_settings import Finality, read_finality
from node.http.helpers import json_response, read_json
from node.http.routes import JSON, PEER, Auth, Route
from node.title import evm_keys, partners, rows
from node.title.arbiter import unreachable
from node.title.evm_following import EvmFollower
from node.title.evm_governing import EvmGoverning
from node.title.evm_peers import EvmPeers
from node.title.evm_relay import EvmRelay
from node.title.evm_serving import EvmServing
from node.title.tasks import end
from protocols import times
from protocols.evm.calls import FROZEN_AT, call, read_number
from protocols.evm.keys import checksum_text
from protocols.evm.proof import read_header
from protocols.evm.title_proof import is_chain_proof, no_voucher, of_known, read_proof_json
from protocols.fields import DID, Fields
from schemas import strict_json
from schemas.errors import ConflictError, RefusedError, SettingsError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from sqlalchemy import Connection

    from ledger.chain_client import ChainClient
    from node.runtime import Node
    from node.title.following import Follower
    from protocols.evm.holder_keys import HolderKey
    from protocols.evm.title_proof import Vouch
    from protocols.member_list import MemberList
    from protocols.members.arbiters import ArbiterEntry
    from protocols.title.json_forms import Json

_CODE = "title_request_malformed"


class EvmTitles:
    """Part of `node.title`; does nothing where no chain is configured or no arbiter listed."""

    def __init__(self, node: Node, follower: Follower) -> None:
        """Nothing runs before `start`."""
        self.node = node
        self.following = EvmFollower(node, follower)
        self.relay = EvmRelay(node)
        self.governing = EvmGoverning(node)
        self.peers = EvmPeers(node)
        self.serving = EvmServing(self)
        self.fault: TradeError | None = None
        self._frozen: dict[bytes, int] = {}
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def routes(self) -> Sequence[Route]:
        """What peers and the operator ask about keys and arbiters."""
        asked = {
            "type": "object",
            "required": ["arbiter", "party", "title"],
            "properties": {name: {"type": "string"} for name in ("arbiter", "party", "title")},
        }
        return [
            Route(
                "POST",
                evm_keys.PATH,
                self._key,
                Auth.PEER,
                "The key of a party hosted here for one title on a chain, as its signed statement",
                "titles",
                request={JSON: asked},
                responses={200: "The statement", 403: "The party is not hosted here"},
            ),
            Route(
                "GET",
                "/v1/arbiters",
                self._arbiters,
                Auth.OPERATOR,
                "The title arbiters of the member list and how they stand at this node",
                "titles",
            ),
            *self.governing.routes(),
            *self.serving.routes(),
        ]

    def start(self) -> None:
        """Begin to follow and to relay."""
        chain = getattr(self.node, "chain", None)
        if chain is not None and chain.client is not None:
            self.relay.start()
            self._task = asyncio.create_task(self._run(), name="title.evm")

    async def stop(self) -> None:
        """End the loops."""
        await self.relay.stop()
        if self._task is not None:
            await end([self._task])

    def ready(self) -> str | None:
        """Not ready while the chain of a listed arbiter is cut off: it halts, and says so (R21)."""
        if self._task is not None and self._task.done():
            return "the follower of the chain has stopped"
        if self._task is None or self.fault is None or not self.here():
            return None
        return f"transfer pending – registry unreachable: {self.fault.code}"

    # -- which arbiters ------------------------------------------------------------------------

    def members(self) -> MemberList:
        """The list in force."""
        return partners.members_of(self.node)

    def client(self) -> ChainClient:
        """The chain's client; raises NotFoundError `chain_not_configured`."""
        client, _ = self.node.chain.require()
        return client

    def here(self) -> list[ArbiterEntry]:
        """The listed arbiters on the chain that this node speaks to."""
        members = self.node.members.current
        chain = getattr(self.node, "chain", None)
        if members is None or chain is None or chain.client is None:
            return []
        chain_id = chain.client.config.chain_id
        return [entry for entry in members.arbiters if entry.chain_id == chain_id]

    def require_chain(self, entry: ArbiterEntry) -> None:
        """Raises UnavailableError `registry_unreachable` where this node is not on its chain."""
        if entry not in self.here():
            raise unreachable(f"this node has no access to chain {entry.chain_id}")
        try:
            _require_finality(entry, self.client().config.finality)
        except SettingsError as error:
            # The node's fault and not the operation's: it waits until that is set right.
            raise unreachable(error.detail) from error

    def require_open(self, entry: ArbiterEntry) -> None:
        """Raises ConflictError `title_registry_frozen` for a registry that its governors froze."""
        frozen = self._frozen.get(entry.id)
        if frozen:
            raise ConflictError("title_registry_frozen", f"no operation counts from block {frozen}")

    def require_reachable(self) -> None:
        """Raises UnavailableError `registry_unreachable` while the chain is cut off (R21)."""
        if self.fault is not None:
            raise unreachable(f"{self.fault.code}: {self.fault.detail}")

    def cut_off(self, entry: ArbiterEntry) -> UnavailableError | None:
        """Why this node cannot reach that arbiter's chain by itself; None when it can."""
        try:
            self.require_chain(entry)
            self.require_reachable()
        except UnavailableError as error:
            return error
        return None

    def require_way(self, entry: ArbiterEntry) -> None:
        """Raises UnavailableError where an operation would never be seen to be final here.

        Without a chain of one's own that takes blocks whose seals the list can vouch for.
        """
        if entry.finality != "qbft" or entry in self.here():
            self.require_chain(entry)

    async def voucher(self, body: bytes) -> Vouch:
        """Vouches for the headers of a message's proof that our own chain knows to be final.

        Raises UnavailableError where that chain does not answer or is not as far yet.
        """
        fields = Fields(strict_json.loads_object(body), _CODE)
        told: Json = dict(fields.child("proof").members)
        entry = self.members().arbiter(fields.digest("arbiter"))
        if entry is None or not is_chain_proof(told) or entry.finality == "qbft":
            return no_voucher
        self.require_chain(entry)
        client, known = self.client(), []
        headers = {step.event.header for step in read_proof_json(told).steps}
        final = await client.final_number()
        for number in sorted({read_header(header).number for header in headers}):
            if number > final:
                raise unreachable(f"block {number} is not final here yet")
            known.append((await client.block(number)).hash)
        return of_known(known)

    # -- the loop ------------------------------------------------------------------------------

    async def look(self, entry: ArbiterEntry) -> bool:
        """Read on to the newest final block; whether there is more. Raises UnavailableError."""
        async with self._looking:
            client = self.client()
            client.require_code(entry.contract, entry.code_hash)
            more = await self.following.turn(entry, client)
            await self._look_frozen(entry, client)
        return more

    async def _look_frozen(self, entry: ArbiterEntry, client: ChainClient) -> None:
        known = await self.node.store.read(evm_title.followed_to, entry.id)
        if known is None or known[0] < entry.start:
            return
        block = read_number(await client.call(entry.contract, call(FROZEN_AT), at=known[0]))
        self._frozen[entry.id] = block if 0 < block <= known[0] + 1 else 0

    async def _run(self) -> None:
        pause = self.node.settings.chain.poll_interval
        while True:
            more = False
            try:
                for entry in self.here():
                    _require_finality(entry, self.client().config.finality)
                    more = await self.look(entry) or more
                self._say(None)
            except TradeError as error:
                # Whatever a chain tells that cannot be: nothing is learned from it.
                self._say(error)
            if not more:
                await asyncio.sleep(pause)

    def _say(self, fault: TradeError | None) -> None:
        """Halting and going on are told once each."""
        before, self.fault = self.fault, fault
        log = self.node.telemetry.log
        if fault is not None and (before is None or before.code != fault.code):
            log.warning("title.chain_halted", code=fault.code, detail=fault.detail)
        elif fault is None and before is not None:
            log.info("title.chain_back")

    # -- routes --------------------------------------------------------------------------------

    async def _key(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), _CODE)
        entry = self.members().arbiter(fields.digest("arbiter"))
        if entry is None:
            raise RefusedError("title_arbiter_unknown", "no listed arbiter has that id")
        did, title = fields.text("party", pattern=DID), fields.digest("title")
        statement, text = evm_keys.state_holder(self.node, entry, did, title)
        await self.node.store.write(self._given, statement, text, request[PEER])
        return json_response({"key": text})

    def _given(self, conn: Connection, statement: HolderKey, text: str, asker: str) -> None:
        """From now on the title concerns this node; whoever asked is told what becomes of it."""
        assert statement.title is not None
        rows.put_statement(conn, statement, text)
        if asker not in rows.told(conn, statement.title):
            rows.tell(conn, statement.title, asker, 0)

    async def _arbiters(self, _request: web.Request) -> web.Response:
        members = self.members()
        told = [await self.standing(entry) for entry in members.arbiters]
        logs = [{"name": one.origin, "kind": "log"} for one in members.registries]
        return json_response({"arbiters": [*told, *logs], "keys": self._own_keys()})

    def _own_keys(self) -> dict[str, str]:
        """This node's keys on chains: as a governor, and as a carrier."""
        keys = {"governor": self.governing.governor()}
        if "carrier" in self.node.settings.node.roles:
            keys["issuing"] = checksum_text(evm_keys.carrier(self.node).address)
        return keys

    async def standing(self, entry: ArbiterEntry) -> dict[str, Any]:
        """One arbiter for people: where it is, how far it was read, what is wrong."""
        known = await self.node.store.read(evm_title.followed_to, entry.id)
        here = entry in self.here()
        body: dict[str, Any] = {
            "name": entry.name,
            "kind": "evm",
            "id": entry.id.hex(),
            "chainId": entry.chain_id,
            "contract": checksum_text(entry.contract),
            "finality": entry.finality,
            "reachable": here and self.fault is None,
            "block": known[0] if known else None,
            "asOf": times.to_text(times.from_ms(known[1])) if known else None,
            "frozen": self._frozen.get(entry.id) or None,
        }
        if (not here or self.fault is not None) and self.peers.good is not None:
            body["through"] = self.peers.good
        if not here:
            body["fault"] = "this node is not on its chain"
        elif self.fault is not None:
            body["fault"] = f"transfer pending – registry unreachable: {self.fault.code}"
        return body

    def place(self, conn: Connection, arbiter: bytes, title: bytes) -> dict[str, Any] | None:
        """Where a title's last operation stands, for `title show`; None for a log's arbiter."""
        entry = self.members().arbiter(arbiter)
        if entry is None:
            return None
        last = evm_title.last_move(conn, arbiter, title)
        known = evm_title.followed_to(conn, arbiter)
        body: dict[str, Any] = {
            "kind": "evm",
            "name": entry.name,
            "chainId": entry.chain_id,
            "contract": checksum_text(entry.contract),
            "finality": entry.finality,
            "block": last.block if last else None,
            "transaction": last.transaction.hex() if last else None,
            "finalBlock": known[0] if known else None,
            "finalAsOf": times.to_text(times.from_ms(known[1])) if known else None,
        }
        if self.cut_off(entry) is not None:
            body["unreachable"] = "transfer pending – registry unreachable"
            held = rows.find(conn, title)
            word = self.peers.word(title, held.state.seq if held else 0)
            if self.peers.good is not None:
                body["through"] = self.peers.good
            if word is not None:
                body["told"] = word.to_json()
        return body

    def stage(self, conn: Connection, digest: bytes, status: str) -> dict[str, Any]:
        """How far an operation of ours came: signed, relayed, included, final."""
        if status not in rows.OPEN:
            return {"stage": status}
        entry = evm_title.transaction_of(conn, digest)
        if entry is None:
            return {"stage": "signed"}
        stage = evm_title.STAGES.get(entry.state, "signed")
        told: dict[str, Any] = {"stage": stage}
        if entry.hash is not None:
            told |= {"transaction": entry.hash.hex(), "block": entry.block}
        return told


def _require_finality(entry: ArbiterEntry, configured: Finality) -> None:
    """A node never takes for final what the network's list does not (R21)."""
    # The list says who must seal; a node's own pins are a second look, not another rule.
    if entry.finality == "qbft":
        same = configured.mode == "qbft"
    else:
        wanted = read_finality(entry.finality, ())
        same = (wanted.mode, wanted.depth) == (configured.mode, configured.depth)
    if not same:
        raise SettingsError(
            "chain_setting_bad",
            f"the member list says that {entry.name} is final by {entry.finality}",
            pointer="/chain/finality",
        )


def disclosed(conn: Connection, found: Sequence[tuple[HolderKey, str]]) -> None:
    """Keep statements in the caller's transaction."""
    for statement, text in found:
        rows.put_statement(conn, statement, text)
