"""Groups 14 and 15: where the guarded client goes, and what it takes from a hostile host.

Every server here counts its connections; what must not be called is asserted to have been called by
nobody.
"""

from __future__ import annotations

import asyncio
import gzip
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from node.guarded.client import GuardedClient
from node.guarded.places import Places, is_public, read_network
from node.runtime import Node
from node.settings import NodeSettings, Settings
from schemas.errors import TradeError, UnavailableError
from tests.support.hostile_web import HostileWeb, answer, certified, hostile_web
from tests.support.made_network import A, founded
from tests.support.running import free_port, make_home

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from protocols.member_list import MemberList

JSON = ("application/json",)
URL = "https://a-port.example/.well-known/did.json"
MEMBERS = founded().members


def listed(endpoint: str, *, test: bool = True) -> MemberList:
    """The made network with A at `endpoint`."""
    nodes = tuple(
        replace(node, endpoint=endpoint) if node.did == A else node for node in MEMBERS.nodes
    )
    return replace(MEMBERS, nodes=nodes, test=test)


@asynccontextmanager
async def guarded(members: MemberList, **more: Any) -> AsyncIterator[GuardedClient]:
    client = GuardedClient(lambda: members, **more)
    try:
        yield client
    finally:
        await client.close()


def at(web: HostileWeb, scheme: str = "http") -> MemberList:
    return listed(f"{scheme}://127.0.0.1:{web.port}")


async def refused(client: GuardedClient, url: str = URL, **more: Any) -> str:
    with pytest.raises(TradeError) as caught:
        await client.get(url, **({"cap": 1000, "accept": JSON} | more))
    assert not url or url not in str(caught.value)
    return caught.value.code


class Names(AbstractResolver):
    """A resolver that answers from a list, one entry for each question."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if self.answers else ()
        return [
            ResolveResult(
                hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for each in addresses
        ]

    @override
    async def close(self) -> None:
        return


async def test_a_name_in_a_document_leads_to_the_endpoint_that_the_list_gives() -> None:
    async with hostile_web(lambda _: answer(b"{}")) as web, guarded(at(web)) as client:
        assert await client.get(URL, cap=10, accept=JSON) == b"{}"
        party = "https://exporter.example/.well-known/did.json"
        assert await client.get(party, cap=10, accept=JSON) == b"{}"
        assert web.paths == ["/.well-known/did.json"] * 2
        assert "Host: exporter.example\r\n" in web.heads[1]


# -- group 14: addresses ---------------------------------------------------------------------------

PORT = "{port}"
HOSTILE = [
    "https://127.0.0.1:{port}/",
    "https://[::1]:{port}/",
    "https://0.0.0.0:{port}/",
    "https://169.254.169.254/latest/meta-data",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.1.1/",
    "https://[fc00::1]/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://2130706433:{port}/",
    "https://017700000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://0x7f.0.0.1:{port}/",
    "https://127.1:{port}/",
    "https://localhost:{port}/",
    "https://a.localhost:{port}/",
    "https://printer:{port}/",
    "https://a-port.example@127.0.0.1:{port}/",
    "https://user:pass@a-port.example/",
    "https://a-port.example/../status",
    "https://a-port.example/..%2fstatus",
    "https://a-port.example/%2e%2e/status",
    "https://a-port.example/x%2fy",
    "https://a-port.example/x%00y",
    "https://a-port.example/x\\y",
    "https://a-port.example:22/",
    "https://a-port.example:{port}/",
    "https://a-port.example:0443/",
    "https://a-port.example:99999/",
    "https://a-port.example/#x",
    "https://а-port.example/",
    "http://a-port.example/",
    "http://127.0.0.1:{port}/",
    "ftp://a-port.example/",
    "file:///etc/passwd",
    "https://a-port.example/" + "x" * 3000,
    "",
]


@pytest.mark.parametrize("test", [True, False])
async def test_group_14_hostile_addresses_are_refused_before_any_connection(test: bool) -> None:
    async with hostile_web(lambda _: answer(b"{}")) as web:
        names = Names()
        members = listed(f"https://127.0.0.1:{free_port()}" if test else "https://a-port.example")
        async with guarded(replace(members, test=test), resolver=lambda: names) as client:
            for pattern in HOSTILE:
                url = pattern.replace(PORT, str(web.port))
                assert await refused(client, url) in {"url_refused", "host_unlisted"}, url
        assert web.connections == 0
        assert names.asked == []


async def test_group_14_an_unlisted_host_is_unknown_and_not_even_resolved() -> None:
    names = Names()
    async with guarded(MEMBERS, resolver=lambda: names) as client:
        for url in ("https://stranger.example/x", "https://a-port.example.evil.example/x"):
            assert await refused(client, url) == "host_unlisted"
    assert names.asked == []


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("::1",),
        ("10.1.2.3",),
        ("169.254.169.254",),
        ("100.64.0.1",),
        ("fd00::1",),
        ("::ffff:10.0.0.1",),
        ("64:ff9b::a00:1",),
        ("2002:7f00:1::",),
        ("93.184.216.34", "127.0.0.1"),
        (),
    ],
)
async def test_group_14_a_listed_name_that_leads_inside_is_not_called(
    addresses: tuple[str, ...],
) -> None:
    names = Names(addresses)
    async with guarded(listed("https://a-port.example", test=False), resolver=lambda: names) as it:
        assert await refused(it) == "address_forbidden"
    assert names.asked == ["a-port.example"]


async def test_group_14_the_connection_goes_to_the_address_that_was_checked() -> None:
    """Rebinding: the second answer is private; it is asked for once per connection, and refused."""
    async with hostile_web(lambda _: answer(b"{}")) as web:
        names = Names(("127.0.0.1",), ("10.0.0.1",))
        members = listed(f"http://a-port.example:{web.port}")
        # Plain http to a name is never called, not even in a test network.
        async with guarded(members, resolver=lambda: names, quiet=0) as client:
            assert await refused(client) == "host_unlisted"
        assert web.connections == 0
    async with hostile_web(lambda _: None) as web:
        members = listed(f"https://a-port.example:{web.port}")
        async with guarded(members, resolver=lambda: names, quiet=0) as client:
            wanted = {"fetch_unreachable", "fetch_tls_failed", "fetch_too_slow"}
            assert await refused(client, deadline=1.0) in wanted
            assert names.asked == ["a-port.example"]
            assert await refused(client) == "address_forbidden"
    assert names.asked == ["a-port.example"] * 2


def test_r7_loopback_and_plain_http_exist_in_networks_flagged_test_only() -> None:
    for endpoint in ("http://127.0.0.1:8470", "https://127.0.0.1:8470", "https://[::1]:8470"):
        assert Places(listed(endpoint)).find(URL).at.scheme == endpoint.partition(":")[0]
        real = Places(listed(endpoint, test=False))
        for url in (URL, f"{endpoint}/x"):
            with pytest.raises(TradeError) as caught:
                real.find(url)
            assert caught.value.code in {"url_refused", "host_unlisted"}
    assert not Places(listed("https://a-port.example", test=False)).allows("127.0.0.1")


def test_r7_the_operators_own_hosts_are_called_as_they_are_written() -> None:
    real = listed("https://a-port.example", test=False)
    own = Places(real, ("stamps.example", "other.example:8443", "127.0.0.1:3180"))
    assert own.find("https://stamps.example/tsr").url == "https://stamps.example/tsr"
    assert own.find("https://other.example:8443/").url == "https://other.example:8443/"
    for url in ("http://stamps.example/", "https://other.example/", "http://127.0.0.1:3180/"):
        with pytest.raises(TradeError):
            own.find(url)
    loopback = Places(replace(real, test=True), ("127.0.0.1:3180",))
    assert loopback.find("http://127.0.0.1:3180/").url == "http://127.0.0.1:3180/"


def test_r7_private_networks_are_open_only_where_the_operator_says_so() -> None:
    real = listed("https://a-port.example", test=False)
    inside = Places(real, inside=[read_network("10.20.0.0/16")])
    assert inside.allows("10.20.1.1")
    assert not inside.allows("10.21.1.1")
    assert not inside.allows("::1")
    for wrong in ("127.0.0.0/8", "0.0.0.0/0", "169.254.0.0/16", "10.20.0.1/16", "x"):
        with pytest.raises(TradeError) as caught:
            read_network(wrong)
        assert caught.value.code == "setting_bad"


async def test_r7_a_peers_name_that_leads_inside_is_not_called_either(tmp_path: Path) -> None:
    node = Node(make_home(tmp_path / "home", A), Settings(node=NodeSettings(did=A)))
    async with hostile_web(lambda _: answer(b"{}")) as web:
        address = f"http://localhost:{web.port}/x"
        node.members.replace(listed("https://a-port.example", test=False))
        with pytest.raises(UnavailableError, match="address_forbidden"):
            await node.client.open_call("GET", address)
        assert web.connections == 0
        node.members.replace(MEMBERS)
        assert (await node.client.open_call("GET", address)).status == 200
    await node.client.close()


def test_what_is_no_address_is_not_public() -> None:
    assert not is_public("a-port.example")
    assert is_public("93.184.216.34")
    assert is_public("2606:4700::1111")


# -- group 15: answers -----------------------------------------------------------------------------


async def test_group_15_a_body_above_the_cap_is_not_read_to_its_end() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b"x" * 10_000_000
    for reply in (answer(b"x" * 1001), endless):
        async with hostile_web(lambda _, r=reply: r) as web, guarded(at(web)) as client:
            assert await refused(client) == "fetch_too_large"


async def test_group_15_a_gzip_bomb_is_not_opened() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    reply = answer(bomb, Content_Encoding="gzip")
    async with hostile_web(lambda _: reply) as web, guarded(at(web)) as client:
        assert await refused(client, cap=1_000_000) == "fetch_wrong_type"
        assert "Accept-Encoding: identity" in web.heads[0]


async def test_group_15_a_slow_loris_ends_at_the_deadline() -> None:
    async with hostile_web(lambda _: answer(b"{}"), trickle=0.05) as web:
        async with guarded(at(web)) as client:
            assert await refused(client, deadline=1.0) == "fetch_too_slow"
            assert await refused(client, deadline=1.0) == "fetch_too_slow"
        assert web.connections == 1


@pytest.mark.parametrize("media_type", ["text/html", "application/jsonp", "image/svg+xml"])
async def test_group_15_another_media_type_is_not_read(media_type: str) -> None:
    reply = answer(b"{}", media_type)
    async with hostile_web(lambda _: reply) as web, guarded(at(web)) as client:
        assert await refused(client) == "fetch_wrong_type"


async def test_group_15_an_error_is_no_answer_and_is_remembered() -> None:
    reply = answer(b"{}", status="404 Not Found")
    async with hostile_web(lambda _: reply) as web:
        now = [1000.0]
        async with guarded(at(web), monotonic=lambda: now[0]) as client:
            for _ in range(3):
                assert await refused(client) == "fetch_refused"
            assert web.connections == 1
            other = "https://a-port.example/status/1"
            assert await refused(client, other) == "fetch_refused"
            assert web.connections == 2
            now[0] += 61
            assert await refused(client) == "fetch_refused"
            assert web.connections == 3
            client.forgive()
            assert await refused(client) == "fetch_refused"
            assert web.connections == 4


async def test_a_host_that_speaks_again_is_asked_again() -> None:
    async with hostile_web(lambda _: None) as web, guarded(at(web)) as client:
        assert await refused(client) == "fetch_unreachable"
        client.heard_from("http://127.0.0.1:1")
        assert await refused(client) == "fetch_unreachable"
        assert web.connections == 1
        client.heard_from(f"http://127.0.0.1:{web.port}")
        assert await refused(client) == "fetch_unreachable"
        assert web.connections == 2


@pytest.mark.parametrize(
    "place",
    [
        "http://a-port.example/x",
        "https://10.0.0.1/x",
        "http://169.254.169.254/latest",
        "https://stranger.example/x",
        "https://a-port.example/%2e%2e/x",
        "//stranger.example/x",
        "file:///etc/passwd",
        "http://[",
        "",
    ],
)
async def test_group_15_a_redirect_to_where_nobody_may_go_is_refused(place: str) -> None:
    reply = answer(b"", status="302 Found", Location=place)
    async with hostile_web(lambda _: reply) as web, guarded(at(web)) as client:
        assert await refused(client) == "redirect_refused"
        assert web.connections == (1 if place else 4)


async def test_group_15_three_redirects_are_walked_and_a_fourth_is_not() -> None:
    def hops(path: str) -> bytes:
        left = int(path.rpartition("/")[2])
        if not left:
            return answer(b"{}")
        return answer(b"", status="307 Temporary Redirect", Location=f"/hop/{left - 1}")

    async with hostile_web(hops) as web, guarded(at(web)) as client:
        assert await client.get("https://a-port.example/hop/3", cap=10, accept=JSON) == b"{}"
        assert web.connections == 4
        assert await refused(client, "https://a-port.example/hop/4") == "redirect_refused"
        assert web.connections == 8


async def test_group_15_a_redirect_is_not_a_way_into_the_machine() -> None:
    async with hostile_web(lambda _: answer(b"{}")) as inside:
        reply = answer(b"", status="301 Moved", Location=f"http://127.0.0.1:{inside.port}/")
        async with hostile_web(lambda _: reply) as web, guarded(at(web)) as client:
            assert await refused(client) == "redirect_refused"
        assert inside.connections == 0


async def _tls(folder: Path, name: str, *, expired: bool = False) -> str | bytes:
    server, client_context = certified(folder, name, expired=expired)
    return await _over_tls(server, client_context)


async def _over_tls(server: ssl.SSLContext, trusting: ssl.SSLContext | None) -> str | bytes:
    """The answer, or the code of what is wrong; then nothing was asked."""
    async with (
        hostile_web(lambda _: answer(b"{}"), tls=server) as web,
        guarded(at(web, "https"), tls=trusting) as client,
    ):
        try:
            return await client.get(URL, cap=10, accept=JSON)
        except TradeError as error:
            code = error.code
        assert web.paths == []
        assert await refused(client) == code
        return code


async def test_group_15_certificates_hold_for_the_name_and_the_moment(tmp_path: Path) -> None:
    assert await _tls(tmp_path, "127.0.0.1") == b"{}"
    assert await _tls(tmp_path, "b-customs.example") == "fetch_tls_failed"
    assert await _tls(tmp_path, "127.0.0.1", expired=True) == "fetch_tls_failed"
    server, _ = certified(tmp_path)
    assert await _over_tls(server, None) == "fetch_tls_failed"


async def test_group_15_a_thousand_questions_to_a_dead_host_cost_one_connection() -> None:
    async with hostile_web(lambda _: None) as web:
        async with guarded(at(web)) as client:
            urls = [f"https://a-port.example/status/{number}" for number in range(1000)]
            calls = (client.get(url, cap=10, accept=JSON) for url in urls)
            told = await asyncio.gather(*calls, return_exceptions=True)
            assert {getattr(each, "code", None) for each in told} == {"fetch_unreachable"}
            assert await refused(client, urls[0]) == "fetch_unreachable"
        assert web.connections == 1


async def test_group_15_one_question_asked_by_many_is_asked_once() -> None:
    async with hostile_web(lambda _: answer(b"{}")) as web, guarded(at(web)) as client:
        calls = (client.get(URL, cap=10, accept=JSON) for _ in range(200))
        assert set(await asyncio.gather(*calls)) == {b"{}"}
        assert web.connections == 1


async def test_who_gives_up_does_not_take_the_answer_from_others() -> None:
    async with hostile_web(lambda _: answer(b"{}")) as web, guarded(at(web)) as client:
        first = asyncio.create_task(client.get(URL, cap=10, accept=JSON))
        second = asyncio.create_task(client.get(URL, cap=10, accept=JSON))
        await asyncio.sleep(0)
        first.cancel()
        assert await second == b"{}"


async def test_a_post_carries_its_body_and_is_never_redirected() -> None:
    moved = answer(b"", status="307 Temporary Redirect", Location="/elsewhere")
    reply = {"/tsr": answer(b"stamp", "application/timestamp-reply"), "/moved": moved}
    async with hostile_web(reply.get) as web:
        own = f"127.0.0.1:{web.port}"
        async with guarded(MEMBERS, hosts=(own,)) as client:
            wanted: dict[str, Any] = {
                "content_type": "application/timestamp-query",
                "cap": 100,
                "accept": ("application/timestamp-reply",),
            }
            assert await client.post(f"http://{own}/tsr", b"query", **wanted) == b"stamp"
            assert "Content-Type: application/timestamp-query" in web.heads[0]
            with pytest.raises(TradeError) as caught:
                await client.post(f"http://{own}/moved", b"query", **wanted)
            assert caught.value.code == "fetch_refused"
        assert web.paths == ["/tsr", "/moved"]
