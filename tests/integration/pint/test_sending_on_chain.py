"""The same road where the title's arbiter is a contract on a chain."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from node.keystore import KeyStore
from node.pint import rows
from node.pint.building import transactions_in
from node.pint.sending import SendingService
from node.pint.service import PintService
from node.tracking.service import TrackingService
from protocols import member_list
from protocols.member_list import MemberListDraft
from protocols.pint.words import Action
from testnet.devchain import DevChain
from tests.integration.evm import evm_title_network as evm
from tests.integration.evm.evm_title_network import CARRIER, PORTS, Chain
from tests.integration.pint.sending_network import PLATFORMS, move, possessor
from tests.support.evm_network import client_of, deploy, issuing_key
from tests.support.network import Made, did_of, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from node.runtime import Node
    from protocols.members.arbiters import ArbiterEntry

SERVICES = (
    *evm.SERVICES,
    ("tracking", TrackingService),
    ("pint", PintService),
    ("sending", SendingService),
)


def _listed(made: Made, entry: ArbiterEntry) -> Made:
    """The network with a second list that names the contract and the platforms' codes."""
    now = datetime.now(UTC)
    draft = MemberListDraft.after(made.members, issued_at=now, expires=now + timedelta(days=90))
    codes = {did_of(name): code for name, code in PLATFORMS.items()}
    nodes = tuple(replace(node, platform=codes.get(node.did)) for node in draft.nodes)
    draft = replace(draft, arbiters=(entry,), nodes=nodes)
    root = KeyStore(made.homes[CARRIER].keys, did_of(CARRIER)).signer("root")
    signed = member_list.sign_list(draft.payload(), [root])
    return Made(made.homes, member_list.advance(made.members, signed, now=now))


@asynccontextmanager
async def on_chain(folder: Path) -> AsyncIterator[dict[str, Node]]:
    chain = DevChain()
    await chain.start()
    try:
        urls = dict.fromkeys((CARRIER, *PORTS), chain.url)
        place = Chain(chain.settings.chain_id, "finalized", urls, chain.url)
        made = evm.made(folder, place)
        client = client_of(place.direct, place.chain_id, place.finality)
        try:
            keys = [issuing_key(made, CARRIER)]
            entry = await deploy(client, made.members.network, keys, place.finality)
        finally:
            await client.close()
        async with running_network(_listed(made, entry), services=SERVICES) as nodes:
            yield nodes
    finally:
        await chain.stop()


async def test_a_bill_on_a_chain_moves_by_pint_and_is_surrendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evm, "PURPOSES", (*evm.PURPOSES, "platform"))
    async with on_chain(tmp_path) as nodes:
        nhl, maas = nodes[CARRIER], nodes["nl-port"]
        title = await evm.titled(nhl)
        sent = await move(nhl, title, Action.TRANSFER, "bank", wait=30.0)
        assert (sent["outcome"], sent["platform"]) == ("final", "MDPX")
        await evm.seen(maas, title, 3)
        assert await possessor(maas, title) == did_of("bank")
        given = await move(maas, title, Action.SURRENDER_FOR_DELIVERY, wait=30.0)
        assert (given["outcome"], given["platform"]) == ("final", "NHLX")
        await evm.seen(nhl, title, 4)
        over = await move(nhl, title, Action.SACC, wait=30.0)
        assert (over["outcome"], over["platform"]) == ("final", "MDPX")
        bill = await maas.store.read(rows.bill_of_title, title)
        known = await maas.store.read(rows.known_chain, bill.document)
        assert bill.status == rows.ENDED
        assert [one.action.value for one in transactions_in(known.texts)] == [
            "ISSUE", "TRANSFER", "SURRENDER_FOR_DELIVERY", "SACC",
        ]  # fmt: skip
