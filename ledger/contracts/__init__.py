"""The two contracts as they are deployed: what `scripts/compile_contracts.py` made of the sources.

`load` gives the committed artefact; a test recompiles and compares byte for byte. The code hash
that an arbiter id names (R19) is that of the runtime code with its immutables, so it can be told
from the deployment's parameters without asking a chain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Literal

from protocols.evm.keys import keccak256
from protocols.evm.title import domain_separator, padded, word

Name = Literal["AnchorRegistry", "TitleRegistry"]
ANCHORS: Final[Name] = "AnchorRegistry"
TITLES: Final[Name] = "TitleRegistry"


@dataclass(frozen=True, slots=True)
class Artefact:
    """A compiled contract.

    bytecode:     creation code; constructor arguments follow it
    runtime:      runtime code without immutables
    runtime_hash: Keccak-256 of `runtime`; that of a contract without immutables once deployed
    immutables:   name → offset of its 32 bytes behind the runtime code
    """

    name: str
    compiler: str
    source_sha256: bytes
    abi: tuple[Mapping[str, Any], ...]
    bytecode: bytes
    runtime: bytes
    runtime_hash: bytes
    immutables: Mapping[str, int]


@cache
def load(name: Name) -> Artefact:
    """The committed artefact of a contract."""
    return read(resources.files(__name__).joinpath(f"{name}.json").read_bytes())


def read(data: bytes) -> Artefact:
    """An artefact from what the compilation script wrote."""
    made = json.loads(data)
    runtime = bytes.fromhex(made["runtime"].removeprefix("0x"))
    return Artefact(
        name=made["contract"],
        compiler=made["compiler"],
        source_sha256=bytes.fromhex(made["source_sha256"]),
        abi=tuple(MappingProxyType(item) for item in made["abi"]),
        bytecode=bytes.fromhex(made["bytecode"].removeprefix("0x")),
        runtime=runtime,
        runtime_hash=keccak256(runtime),
        immutables=MappingProxyType(made["immutables"]),
    )


def source(name: Name) -> bytes:
    """The Vyper source that the artefact was compiled from."""
    return resources.files(__name__).joinpath(f"{name}.vy").read_bytes()


@dataclass(frozen=True, slots=True)
class Governing:
    """Who may list carriers and freeze a title registry.

    governors: addresses; threshold: how many of them an act takes, more than half
    delay:     seconds between proposing and enacting what widens power
    """

    governors: tuple[bytes, ...]
    threshold: int
    delay: int


def title_registry_creation(network: bytes, governing: Governing) -> bytes:
    """Creation code of a title registry with its constructor arguments."""
    keys = sorted(governing.governors)
    arguments = network + word(128) + word(governing.threshold) + word(governing.delay)
    listed = word(len(keys)) + b"".join(padded(key) for key in keys)
    return load(TITLES).bytecode + arguments + listed


def title_registry_code(*, network: bytes, chain_id: int, contract: bytes, delay: int) -> bytes:
    """The code that a genuine title registry has at `contract`; its Keccak-256 is the code hash."""
    made = load(TITLES)
    values = {
        "NETWORK": network,
        "DOMAIN": domain_separator(chain_id, contract, network),
        "CHAIN": word(chain_id),
        "DELAY": word(delay),
    }
    placed = sorted(made.immutables.items(), key=lambda item: item[1])
    return made.runtime + b"".join(values[name] for name, _ in placed)
