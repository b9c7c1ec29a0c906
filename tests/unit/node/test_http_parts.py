"""Small parts of the HTTP surface that a whole node cannot easily be made to meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp.test_utils import make_mocked_request

from node.http.helpers import hex_digest, query_int, query_text
from node.http.peer_auth import require_operator
from schemas.errors import ForbiddenError, MalformedError, UnauthenticatedError


def request(path: str = "/", remote: str | None = "127.0.0.1", **headers: str) -> Any:
    transport = Mock()
    transport.get_extra_info = lambda name, default=None: (
        (remote, 1) if name == "peername" and remote else default
    )
    return make_mocked_request("GET", path, headers=headers, transport=transport)


@pytest.mark.parametrize("remote", ["127.0.0.1", "127.8.8.8", "::1"])
def test_the_operator_is_served_on_loopback(remote: str) -> None:
    require_operator(request(remote=remote, Authorization="bearer right"), "right")


@pytest.mark.parametrize("remote", ["192.0.2.7", "2001:db8::1", "", None, "not-an-address"])
def test_the_operators_token_is_worth_nothing_from_elsewhere(remote: str | None) -> None:
    with pytest.raises(ForbiddenError, match="operator_only_local"):
        require_operator(request(remote=remote, Authorization="Bearer right"), "right")


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Bearer rightx", "Bearer é", "right"])
def test_only_the_very_token_opens(given: str) -> None:
    with pytest.raises(UnauthenticatedError, match="operator_token_wrong"):
        require_operator(request(Authorization=given), "right")


def test_query_values_are_bounded() -> None:
    asked = request("/?n=7&big=99&text=abc")
    assert query_int(asked, "n", 1, low=0, high=9) == 7
    assert query_int(asked, "big", 1, low=0, high=9) == 9
    assert query_int(asked, "absent", 1, low=0, high=9) == 1
    assert query_text(asked, "text") == "abc"
    assert query_text(asked, "absent") is None
    with pytest.raises(MalformedError, match="query_bad"):
        query_text(asked, "text", limit=2)
    with pytest.raises(MalformedError, match="query_bad"):
        query_int(asked, "text", 1, low=0, high=9)


def test_digests_are_lower_case_hex_of_32_bytes() -> None:
    assert hex_digest("ab" * 32) == b"\xab" * 32
    for text in ("", "AB" * 32, "ab" * 31, "zz" * 32, "ab" * 33, "ａ" * 64):
        with pytest.raises(MalformedError, match="query_bad"):
            hex_digest(text)


def test_every_module_with_tables_is_registered_for_migrations() -> None:
    from node.store.registered import MODULES

    root = Path(__file__).parents[3]
    declaring = {
        ".".join(file.relative_to(root).with_suffix("").parts)
        for package in ("node", "ledger")
        for file in (root / package).rglob("*.py")
        if " = Table(\n" in file.read_text() and "metadata," in file.read_text()
    }
    assert declaring <= set(MODULES)
