"""Foundry's anvil, where it is installed: a real chain with honest gas, blocks and reorgs.

Found by `PRATIQUE_ANVIL`, on PATH, or in a `node_modules/.bin` beside or above the working folder
(`npm i @foundry-rs/anvil`). npm's script only starts the program for the machine, so that one is
started itself: it ends when it is told to.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from schemas.errors import UnavailableError
from testnet.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

VARIABLE: Final = "PRATIQUE_ANVIL"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0


def find_anvil() -> Path | None:
    """The program, or None where it is not installed."""
    named = os.environ.get(VARIABLE)
    if named:
        return _program(Path(named))
    on_path = shutil.which("anvil")
    if on_path:
        return _program(Path(on_path))
    here = Path.cwd()
    for folder in (here, *here.parents):
        found = folder / "node_modules" / ".bin" / "anvil"
        if found.exists():
            return _program(found)
    return None


def _program(found: Path) -> Path | None:
    """The program itself, behind npm's starting script as well."""
    place = found.resolve()
    if place.suffix != ".mjs":
        return place if place.is_file() else None
    return next(iter(sorted(place.parents[1].glob("anvil-*/bin/anvil"))), None)


@dataclass(slots=True)
class Anvil:
    """A running anvil; `ask` speaks JSON-RPC to it, its own methods as well."""

    url: str
    port: int
    process: asyncio.subprocess.Process = field(repr=False)

    async def ask(self, method: str, *parameters: Any) -> Any:
        """One call; raises UnavailableError `chain_call_failed` for an error."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, json=asked, timeout=_timeout()) as response,
        ):
            body = await response.json()
        if "error" in body:
            raise UnavailableError("chain_call_failed", str(body["error"])[:200])
        return body["result"]

    async def mine(self, blocks: int = 1) -> None:
        """Mine at once."""
        await self.ask("anvil_mine", hex(blocks))


def _timeout() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=_START_SECONDS)


@asynccontextmanager
async def running_anvil(
    program: Path, *arguments: str, port: int = 0, chain_id: int = 31337
) -> AsyncIterator[Anvil]:
    """anvil on loopback until the end of the block. Raises UnavailableError `chain_unreachable`."""
    chosen = port or free_port()
    words: Sequence[str] = ("--port", str(chosen), "--chain-id", str(chain_id), "--silent")
    process = await asyncio.create_subprocess_exec(
        str(program), *words, *arguments, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    made = Anvil(f"http://127.0.0.1:{chosen}", chosen, process)
    try:
        await _until_up(made)
        yield made
    finally:
        await _stop(process)


async def _until_up(made: Anvil) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while made.process.returncode is None:
                try:
                    await made.ask("eth_chainId")
                except aiohttp.ClientError:
                    await asyncio.sleep(0.02)
                else:
                    return
    except TimeoutError:
        pass
    raise UnavailableError("chain_unreachable", "anvil did not start")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
