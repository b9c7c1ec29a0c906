"""`pratique devchain`: an EVM chain on loopback for development, from pip alone."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli import output
from schemas.errors import SettingsError

if TYPE_CHECKING:
    from testnet.devchain import DevChain

_PORT = 8545


def devchain(
    *,
    port: Annotated[int, typer.Option(help="Port on loopback; 0 takes a free one.")] = _PORT,
    chain_id: Annotated[int, typer.Option(help="The chain's id.", min=1)] = 1337,
    block_time: Annotated[
        float, typer.Option(help="Seconds between blocks; 0 mines when something waits.", min=0)
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Prints where it is as JSON.")] = False,
) -> None:
    """Run an EVM chain in memory: free gas, no accounts, the anchor contract deployed.

    It forgets everything when it ends. Any key may send; nothing needs funds.
    """
    try:
        from testnet.devchain import DevChain, DevChainSettings
    except ModuleNotFoundError as error:
        detail = f"{error.name} is not installed: pip install 'pratique[devchain]'"
        raise SettingsError("devchain_missing", detail) from None
    chain = DevChain(DevChainSettings(chain_id=chain_id, port=port, block_time=block_time))
    asyncio.run(_serve(chain, as_json=as_json))


async def _serve(chain: DevChain, *, as_json: bool) -> None:
    from protocols.evm.keys import checksum_text

    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    try:
        await chain.start()
        where = {"url": chain.url, "id": chain.settings.chain_id}
        body = where | {"anchors": checksum_text(chain.anchors)}
        if as_json:
            sys.stdout.write(json.dumps(body) + "\n")
            sys.stdout.flush()
        else:
            _tell(body)
        await told.wait()
    finally:
        await chain.stop()


def _tell(body: dict[str, object]) -> None:
    output.pairs("Development chain", list(body.items()))
    output.line("in pratique.toml:")
    output.line("[chain]")
    output.line(f'urls = ["{body["url"]}"]')
    output.line(f"id = {body['id']}")
    output.line(f'anchors = "{body["anchors"]}"')
    output.line('fee = "zero"')
    sys.stdout.flush()
