"""What `pratique doctor` asks of the chain: is it there, is it the one, can it be paid.

Only reads, with a client of its own, so it works while the node is stopped.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ledger import contracts
from ledger.chain_client import ChainClient
from node.chain.keys import relayer_signer
from node.chain.service import read_config
from protocols.evm.keys import checksum_text, read_address
from schemas.errors import TradeError

if TYPE_CHECKING:
    from ledger.chain_settings import ChainConfig
    from node.home import Home
    from node.settings import Settings

Found = tuple[str, str, str]
#: Enough for one registry to be put on the chain, or a few hundred anchors, at the highest fee.
WANTED_GAS = 6_000_000


def examine_chain(home: Home, settings: Settings) -> list[Found]:
    """Checks as (code, state, what was found); none where no chain is configured."""
    try:
        config = read_config(settings.chain, home.path)
        if config is None:
            return []
        return asyncio.run(_examine(home, settings, config))
    except TradeError as error:
        return [("DOC-CHAIN", "bad", f"{error.code}: {error.detail}")]


async def _examine(home: Home, settings: Settings, config: ChainConfig) -> list[Found]:
    client = ChainClient(config)
    try:
        if settings.chain.anchors:
            contract = read_address(settings.chain.anchors, pointer="/chain/anchors")
            client.require_code(contract, contracts.load(contracts.ANCHORS).runtime_hash)
        await client.start()
        standing = client.standing()
        troubled = [f"{one.url}: {one.fault}" for one in standing if one.fault]
        if len(standing) - len(troubled) < config.agree:
            why = "; ".join(troubled)
            return [("DOC-CHAIN", "bad", f"fewer addresses answer than must agree: {why}")]
        final = await client.final_number()
        told = f"chain {config.chain_id}, final up to block {final}"
        state = "warning" if troubled else "ok"
        found = [("DOC-CHAIN", state, "; ".join([told, *troubled]))]
        if config.fee.mode != "zero":
            found.append(await _balance(home, settings, client))
        return found
    finally:
        await client.close()


async def _balance(home: Home, settings: Settings, client: ChainClient) -> Found:
    """Whether the relayer can pay; the key is made at the node's first start with a chain."""
    code = "DOC-CHAIN-BALANCE"
    if not (home.keys / "relayer").is_dir():
        return (code, "unknown", "the relayer's key is made at the first start")
    relayer = relayer_signer(home, settings.node.did).address
    held = await client.balance(relayer)
    told = f"the relayer {checksum_text(relayer)} holds {held / 10**18:.6f}"
    if held == 0:
        return (code, "bad", told)
    return (code, "ok" if held >= WANTED_GAS * client.config.fee.cap else "warning", told)
