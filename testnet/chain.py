"""The chain of the story: anvil where it is installed, else the embedded development chain.

It is a process of its own below the warm parent and ends with the nodes. Where both contracts
stand follows from the deployer's key, so the member lists name them before anything is deployed.
A block comes every second and one on top makes it final: short, yet an operation passes through
every state from signed to final.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from ledger import contracts
from protocols.evm import calls as evm_calls
from protocols.evm.calls import Act
from protocols.evm.keys import SoftwareEvmSigner, checksum_text, keccak256
from protocols.evm.transaction import FREE, Transaction, created_address, sign
from protocols.members.arbiters import ArbiterEntry
from schemas.errors import SettingsError
from testnet.anvil import find_anvil
from testnet.operator import eventually
from testnet.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOG_FILE: Final = "chain.log"
CHAIN_ID: Final = 1337
FINALITY: Final = "depth:1"
UP: Final = 20.0
DEPLOYED: Final = 10.0
CALL_SECONDS: Final = 5.0
GAS: Final = 5_000_000
CARRIER: Final = 1
_DEPLOYER: Final = SoftwareEvmSigner(keccak256(b"deployer of the story's contracts"))
_MISSING: Final = "the demo needs a chain: pip install 'pratique[evm,devchain]'"


class ChainFailedError(Exception):
    """The chain refused what the demo asked of it."""


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """Which program is the chain, and where it listens. anvil: its program, where it is found."""

    port: int
    anvil: Path | None = None

    @property
    def url(self) -> str:
        """Its JSON-RPC address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def engine(self) -> str:
        """anvil or devchain."""
        return "devchain" if self.anvil is None else "anvil"

    @property
    def anchors(self) -> bytes:
        """Where the AnchorRegistry will stand."""
        return created_address(_DEPLOYER.address, 0)

    @property
    def titles(self) -> bytes:
        """Where the TitleRegistry will stand."""
        return created_address(_DEPLOYER.address, 1)

    def command(self) -> list[str]:
        """How it is started."""
        shared = ["--port", str(self.port), "--chain-id", str(CHAIN_ID), "--block-time", "1"]
        if self.anvil is None:
            return [sys.executable, "-m", "node.cli.main", "devchain", *shared]
        return [str(self.anvil), *shared, "--base-fee", "0", "--gas-price", "0", "--silent"]

    def settings(self, *, interval: float) -> dict[str, Any]:
        """`[chain]` of every node; interval: seconds between anchors."""
        return {
            "urls": [self.url],
            "id": CHAIN_ID,
            "anchors": checksum_text(self.anchors),
            "finality": FINALITY,
            "fee": "zero",
            "poll_interval": 1.0,
            "anchor_interval": interval,
        }

    def to_json(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "engine": self.engine,
            "id": CHAIN_ID,
            "finality": FINALITY,
            "anchors": checksum_text(self.anchors),
            "titles": checksum_text(self.titles),
        }

    def anchor_place(self) -> ArbiterEntry:
        """The AnchorRegistry for the member list."""
        code_hash = contracts.load(contracts.ANCHORS).runtime_hash
        return ArbiterEntry("story-anchors", CHAIN_ID, self.anchors, code_hash, FINALITY)

    def arbiter(self, network: bytes) -> ArbiterEntry:
        """The TitleRegistry for the member list."""
        code = contracts.title_registry_code(
            network=network, chain_id=CHAIN_ID, contract=self.titles, delay=0
        )
        return ArbiterEntry("story-titles", CHAIN_ID, self.titles, keccak256(code), FINALITY)


def choose() -> ChainPlace:
    """anvil if it is found, else the embedded chain; raises SettingsError `devchain_missing`."""
    found = find_anvil()
    if find_spec("web3") is None or (found is None and find_spec("eth") is None):
        raise SettingsError("devchain_missing", _MISSING)
    return ChainPlace(free_port(), found)


@dataclass(frozen=True, slots=True)
class Charter:
    """What the title registry is deployed with.

    network:   the network's id
    governors: two of them list a carrier
    carrier:   the address with which the story's carrier issues
    """

    network: bytes
    governors: Sequence[SoftwareEvmSigner]
    carrier: bytes


@dataclass(frozen=True, slots=True)
class Stands:
    """A title: its number, who has it ("" while the carrier has it back), the holder, its head.

    Parties are addresses, everything in hexadecimal.
    """

    seq: int
    possessor: str
    holder: str
    head: str


class StoryChain:
    """The running chain, as the demo itself reads it: plain JSON-RPC, none of the nodes' code."""

    def __init__(self, place: ChainPlace, session: aiohttp.ClientSession) -> None:
        """Speaks to nobody yet."""
        self.place = place
        self._session = session

    async def ask(self, method: str, *parameters: Any) -> Any:
        """One call; raises ChainFailedError, aiohttp.ClientError, TimeoutError."""
        asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
        limit = aiohttp.ClientTimeout(total=CALL_SECONDS)
        async with self._session.post(self.place.url, json=asked, timeout=limit) as response:
            body = await response.json()
        if "error" in body:
            raise ChainFailedError(f"{method}: {str(body['error'])[:200]}")
        return body["result"]

    async def is_up(self) -> bool:
        """Whether it answers."""
        try:
            return int(await self.ask("eth_chainId"), 16) == CHAIN_ID
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def deploy(self, charter: Charter) -> bool:
        """Put both contracts there and list the carrier; whether all that is final in time."""
        place = self.place
        governing = contracts.Governing(tuple(one.address for one in charter.governors), 2, 0)
        creation = contracts.title_registry_creation(charter.network, governing)
        jobs = (
            (None, contracts.load(contracts.ANCHORS).bytecode),
            (None, creation),
            (place.titles, _listing(charter, place.arbiter(charter.network))),
        )
        sent = [
            sign(Transaction(CHAIN_ID, nonce, to, data, GAS, FREE), _DEPLOYER)
            for nonce, (to, data) in enumerate(jobs)
        ]
        for signed in sent:
            await self.ask("eth_sendRawTransaction", "0x" + signed.raw.hex())

        async def look() -> bool:
            return all([await self._is_final(signed.hash) for signed in sent])

        return bool(await eventually(look, deadline=DEPLOYED))

    async def _is_final(self, transaction: bytes) -> bool:
        found = await self.ask("eth_getTransactionReceipt", "0x" + transaction.hex())
        if found is None:
            return False
        if int(found["status"], 16) != 1:
            raise ChainFailedError("a contract could not be deployed")
        return int(await self.ask("eth_blockNumber"), 16) > int(found["blockNumber"], 16)

    async def moves(self, title: bytes) -> list[int]:
        """The seq of each of the title's moves, by the contract's events."""
        wanted = {
            "address": "0x" + self.place.titles.hex(),
            "topics": ["0x" + evm_calls.MOVED.hex(), "0x" + title.hex()],
            "fromBlock": "0x0",
            "toBlock": "latest",
        }
        # The first word of the data: kind in 24 bits, seq in 24 bits, recipient in 160.
        first = (int(log["data"][2:66], 16) for log in await self.ask("eth_getLogs", wanted))
        return [number >> 160 & 0xFF_FFFF for number in first]

    async def control(self, title: bytes) -> Stands:
        """The title as the contract has it now."""
        data = evm_calls.call(evm_calls.CONTROL, title).hex()
        wanted = {"to": "0x" + self.place.titles.hex(), "data": "0x" + data}
        answer = bytes.fromhex((await self.ask("eth_call", wanted, "latest"))[2:])
        words = [answer[at : at + 32].hex() for at in range(0, len(answer), 32)]
        possessor, holder = (words[place][24:] if int(words[place], 16) else "" for place in (4, 5))
        return Stands(int(words[1], 16), possessor, holder, words[7])

    async def block_hash(self, number: int) -> str:
        """The hash of the block that the chain has at that height; "" for none."""
        found = await self.ask("eth_getBlockByNumber", hex(number), False)
        return "" if found is None else str(found["hash"]).removeprefix("0x")


def _listing(charter: Charter, entry: ArbiterEntry) -> bytes:
    """The act by which two governors list the carrier."""
    act = Act(0, evm_calls.LIST, CARRIER, charter.carrier)
    digest = act.digest(entry.registry(charter.network).domain)
    signers = sorted(charter.governors[:2], key=lambda one: one.address)
    return evm_calls.govern_call(act, [one.sign_digest(digest) for one in signers])
