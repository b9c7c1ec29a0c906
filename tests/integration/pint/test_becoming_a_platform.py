"""How a node becomes a platform: code and key in the member list, from the start or later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from node.pint.keys import platform_code, platform_signer
from node.pint.platforms import keyring
from node.settings import load, parse, render
from schemas.errors import NotFoundError
from tests.integration.trust.test_joining import admit, eventually
from tests.support import founded_homes
from tests.support.running import running_node

if TYPE_CHECKING:
    from pathlib import Path

    from node.home import Home
    from node.runtime import Node


def is_listed(at: Node, code: str) -> bool:
    members = at.members.current
    entry = members.platform(code) if members is not None else None
    return entry is not None and any(key.purpose == "platform" for key in entry.keys)


def told_of_platform(home: Home, code: str) -> None:
    """The operator writes the code into pratique.toml."""
    settings = load(home.settings_file)
    text = render(settings).replace("[node]\n", f'[node]\nplatform = "{code}"\n')
    assert parse({"node": {"platform": code}}).node.platform == code
    home.settings_file.write_text(text)


async def test_a_code_given_at_the_start_is_founded_and_joined_with_its_key(tmp_path: Path) -> None:
    first = founded_homes.make(tmp_path, "alpha", "CN", "port", node={"platform": "ALPH"})
    founded_homes.found(first)
    second = founded_homes.make(tmp_path, "beta", "NL", "bank", node={"platform": "BETA"})
    async with running_node(first) as alpha, running_node(second) as beta:
        await admit(alpha, beta)
        assert is_listed(alpha, "ALPH")
        assert is_listed(beta, "BETA")
        assert platform_code(beta) == "BETA"
        assert platform_signer(beta).kid == f"{beta.did}#platform-1"
        assert keyring(alpha).platform("BETA") is not None
        assert keyring(alpha).platform("NONE") is None


async def test_a_member_becomes_a_platform_later(tmp_path: Path) -> None:
    first = founded_homes.make(tmp_path, "alpha", "CN", "port")
    founded_homes.found(first)
    second = founded_homes.make(tmp_path, "beta", "NL", "bank")
    async with running_node(first) as alpha:
        async with running_node(second) as beta:
            await admit(alpha, beta)
            with pytest.raises(NotFoundError, match="pint_not_a_platform"):
                platform_code(beta)
        told_of_platform(second, "BETA")
        async with running_node(second) as beta:
            client = founded_homes.client(beta)
            await client.apost("/v1/keys", {"purpose": "platform"})
            await client.apost("/v1/trust/ask", {})
            root = founded_homes.client(alpha)

            async def arrived() -> bool:
                return bool((await root.aget("/v1/trust/requests"))["requests"])

            await eventually(arrived)
            await root.apost("/v1/trust/sign", {"all": True})
            await eventually(lambda: is_listed(beta, "BETA"))
            assert platform_signer(beta).kid == f"{beta.did}#platform-1"
