"""Deploying a title registry and the acts of its governors, through this node's relayer (R21).

A governor's key belongs to one member's node and follows from the node's own seed. An act is JSON
that goes from governor to governor until enough have signed; sending it costs gas, never a
signature, so any node may.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ledger import chain_journal as journal
from ledger import contracts
from ledger.chain_journal import Job
from node.chain.service import listed_validators
from node.http.helpers import json_response, read_json
from node.http.routes import JSON, Auth, Route
from node.title import partners
from node.title.evm_keys import seed_of
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm.calls import Act
from protocols.evm.holder_keys import governor_signer
from protocols.evm.keys import (
    NOBODY,
    Signature,
    checksum_text,
    keccak256,
    read_address,
    recover,
    signature_from_bytes,
)
from protocols.evm.title import NO_DIGEST
from protocols.fields import Fields
from protocols.members.arbiters import ArbiterEntry
from protocols.title.json_forms import Json
from schemas.errors import MalformedError, NotFoundError, RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web
    from sqlalchemy import Connection

    from ledger.chain_journal import Entry
    from node.runtime import Node

_CODE: Final = "title_request_malformed"
PURPOSE: Final = "title-govern"
DEPLOY_GAS, ACT_GAS = 3_000_000, 600_000
FINAL_SECONDS: Final = 15.0
_DEADLINE: Final = 20.0
MAX_DELAY: Final = 90 * 24 * 3600
KINDS: Final[Mapping[str, int]] = {
    "list": evm_calls.LIST,
    "delist": evm_calls.DELIST,
    "retire": evm_calls.RETIRE,
    "freeze": evm_calls.FREEZE,
    "govern": evm_calls.GOVERN,
    "withdraw": evm_calls.WITHDRAW,
}


@dataclass(frozen=True, slots=True)
class Motion:
    """An act with the signatures it has so far."""

    entry: ArbiterEntry
    act: Act
    signatures: tuple[Signature, ...]


class EvmGoverning:
    """The routes `/v1/arbiters` that change a contract."""

    def __init__(self, node: Node) -> None:
        """Does nothing by itself."""
        self._node = node

    def routes(self) -> Sequence[Route]:
        """Deploying, and acts of governors."""
        tag, body = "titles", {JSON: {"type": "object"}}
        return [
            Route(
                "POST",
                "/v1/arbiters",
                self._deploy,
                Auth.OPERATOR,
                "Deploy a title registry; the answer is its entry for the member list",
                tag,
                request=body,
                responses={201: "Final", 202: "Sent; not final yet"},
                deadline=_DEADLINE,
            ),
            Route(
                "POST",
                "/v1/arbiters/{name}/acts",
                self._act,
                Auth.OPERATOR,
                "Draft, sign or send an act of a title registry's governors",
                tag,
                request=body,
                responses={200: "The act with its signatures", 202: "Sent; not final yet"},
                deadline=_DEADLINE,
            ),
        ]

    def governor(self) -> str:
        """The address of this node's governor key."""
        return checksum_text(governor_signer(seed_of(self._node, self._node.did)).address)

    # -- deploying -----------------------------------------------------------------------------

    async def _deploy(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), _CODE)
        name = fields.text("name", max_length=40)
        governors = tuple(
            read_address(one, pointer="/governors")
            for one in fields.texts("governors", max_items=evm_calls.MAX_GOVERNORS)
        )
        threshold = fields.integer("threshold", 1, max(1, len(governors)))
        if 2 * threshold <= len(governors):
            raise fields.fault("threshold", "more than half of the governors")
        delay = fields.integer("delay", 0, MAX_DELAY)
        network = partners.members_of(self._node).network
        governing = contracts.Governing(governors, threshold, delay)
        data = contracts.title_registry_creation(network, governing)
        sent = await self._send(None, data, DEPLOY_GAS)
        if sent.state != journal.FINAL or sent.hash is None:
            return json_response({"final": False, "nonce": sent.nonce}, 202)
        entry = await self._entry(name, network, delay, sent)
        return json_response({"final": True, "arbiter": entry.to_json()}, 201)

    async def _entry(self, name: str, network: bytes, delay: int, sent: Entry) -> ArbiterEntry:
        client, _ = self._node.chain.require()
        found = await client.sightings(sent.hash or b"")
        created = next((one.created for one in found if one.created is not None), None)
        if created is None or sent.block is None:
            raise UnavailableError("chain_unconfirmed", "the contract's address is not told")
        chain_id = client.config.chain_id
        code = contracts.title_registry_code(
            network=network, chain_id=chain_id, contract=created, delay=delay
        )
        finality = self._node.settings.chain.finality
        validators = listed_validators(client.config.finality)
        code_hash = keccak256(code)
        return ArbiterEntry(name, chain_id, created, code_hash, finality, sent.block, validators)

    async def _send(self, to: bytes | None, data: bytes, gas: int) -> Entry:
        """Queue a transaction and wait a while for it to be final; its row."""
        now = self._node.clock.now_ms()
        reference = sha256(data + now.to_bytes(8, "big"))
        job = Job(PURPOSE, reference, to, data, gas)
        await self._node.store.write(self._node.chain.put, job)
        end = time.monotonic() + FINAL_SECONDS
        while True:
            found = (await self._node.store.read(_rows, reference))[-1]
            if found.state == journal.FAILED:
                raise RefusedError("title_act_failed", "the contract took the transaction back")
            if found.state == journal.FINAL or time.monotonic() > end:
                return found
            await asyncio.sleep(0.1)

    # -- acts ----------------------------------------------------------------------------------

    async def _act(self, request: web.Request) -> web.Response:
        fields = Fields(await read_json(request), _CODE)
        motion = await self._read(request.match_info["name"], fields)
        step = fields.text("step", max_length=10)
        if step == "sign":
            return json_response(self._signed(motion))
        if step not in ("send", "enact"):
            raise fields.fault("step", "a step is sign, send or enact")
        data = evm_calls.enact_call(motion.act)
        if step == "send":
            data = evm_calls.govern_call(motion.act, self._ordered(motion))
        sent = await self._send(motion.entry.contract, data, ACT_GAS)
        final = sent.state == journal.FINAL
        return json_response({"final": final, "nonce": sent.nonce}, 200 if final else 202)

    async def _read(self, name: str, fields: Fields) -> Motion:
        entries = partners.members_of(self._node).arbiters
        entry = next((one for one in entries if one.name == name), None)
        if entry is None:
            raise NotFoundError("title_arbiter_unknown", f"the list names no arbiter {name}")
        kind = KINDS.get(fields.text("kind", max_length=10))
        if kind is None:
            raise fields.fault("kind", f"a kind is one of {', '.join(KINDS)}")
        nonce = fields.integer("nonce", 0, 2**53) if fields.has("nonce") else None
        act = Act(
            nonce=await self._next(entry) if nonce is None else nonce,
            kind=kind,
            carrier=fields.integer("carrier", 0, 65535) if fields.has("carrier") else 0,
            key=_address(fields, "key"),
            number=fields.integer("number", 0, 2**53) if fields.has("number") else 0,
            successor=fields.optional_digest("successor") or NO_DIGEST,
            governors=tuple(
                sorted(read_address(one) for one in fields.texts("governors", max_items=16))
            ),
        )
        return Motion(entry, act, tuple(map(_signature, fields.texts("signatures"))))

    async def _next(self, entry: ArbiterEntry) -> int:
        client, _ = self._node.chain.require()
        asked = evm_calls.call(evm_calls.NEXT_ACT)
        return evm_calls.read_number(await client.call(entry.contract, asked))

    def _digest(self, motion: Motion) -> bytes:
        network = partners.members_of(self._node).network
        return motion.act.digest(motion.entry.registry(network).domain)

    def _ordered(self, motion: Motion) -> list[Signature]:
        digest = self._digest(motion)
        return sorted(motion.signatures, key=lambda one: recover(digest, one) or b"")

    def _signed(self, motion: Motion) -> Json:
        """The act with this node's signature added."""
        key = governor_signer(seed_of(self._node, self._node.did))
        mine = key.sign_digest(self._digest(motion))
        signatures = list(dict.fromkeys([*motion.signatures, mine]))
        act = motion.act
        names = {number: name for name, number in KINDS.items()}
        body: Json = {"kind": names[act.kind], "nonce": act.nonce}
        body["signatures"] = [one.to_bytes().hex() for one in signatures]
        if act.carrier:
            body["carrier"] = act.carrier
        if act.key != NOBODY:
            body["key"] = checksum_text(act.key)
        if act.number:
            body["number"] = act.number
        if act.successor != NO_DIGEST:
            body["successor"] = act.successor.hex()
        if act.governors:
            body["governors"] = [checksum_text(one) for one in act.governors]
        return body


def _rows(conn: Connection, reference: bytes) -> list[Entry]:
    return journal.of_reference(conn, PURPOSE, reference)


def _address(fields: Fields, name: str) -> bytes:
    if not fields.has(name):
        return NOBODY
    return read_address(fields.text(name, max_length=42), pointer=fields.place(name))


def _signature(text: str) -> Signature:
    try:
        return signature_from_bytes(bytes.fromhex(text))
    except ValueError:
        raise MalformedError("evm_signature_malformed", "65 bytes in hexadecimal") from None
