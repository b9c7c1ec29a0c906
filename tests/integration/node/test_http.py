"""The node's HTTP surface: what it answers, and that bad requests never get more than a problem."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from openapi_spec_validator import validate

from node.http.helpers import json_response, read_json
from node.http.routes import Auth, Route
from node.store import events
from node.telemetry import Telemetry
from node.vitals import GAUGES
from schemas.errors import RefusedError, UnavailableError
from tests.support.running import make_home, running_node

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from node.runtime import Node


class Sample:
    """A service with one route of each temper."""

    name = "sample"

    def __init__(self, node: Node) -> None:
        self.node = node
        self.reason: str | None = None
        self.calls = 0

    def routes(self) -> list[Route]:
        def route(path: str, handler: Any, auth: Auth = Auth.OPEN, **more: Any) -> Route:
            return Route("POST", path, handler, auth, "A sample", "sample", **more)

        return [
            route("/echo", self.echo, max_body=100),
            route("/refuse", self.refuse),
            route("/break", self.fail),
            route("/slow", self.slow, deadline=0.2),
            route("/v1/count", self.count, Auth.OPERATOR),
            route("/v1/refuse", self.refuse_then_count, Auth.OPERATOR),
            # Time enough to take or to find an idempotency key, whatever the machine does.
            route("/v1/busy", self.slow, Auth.OPERATOR, deadline=2),
        ]

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def ready(self) -> str | None:
        return self.reason

    async def echo(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def refuse(self, request: web.Request) -> web.Response:
        raise RefusedError("peer_unlisted", "for the test", pointer="/to")

    async def fail(self, request: web.Request) -> web.Response:
        raise KeyError("a secret inside")

    async def slow(self, request: web.Request) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async def count(self, request: web.Request) -> web.Response:
        await read_json(request)
        self.calls += 1
        return json_response({"calls": self.calls}, 201, headers={"Location": "/v1/x"})

    async def refuse_then_count(self, request: web.Request) -> web.Response:
        if self.calls == 0:
            self.calls += 1
            raise UnavailableError("peer_unreachable")
        return json_response({"calls": self.calls})


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with running_node(make_home(tmp_path / "home"), services=[("sample", Sample)]) as made:
        yield made


@pytest.fixture
async def session(node: Node) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(node.local_url) as opened:
        yield opened


def authorised(node: Node, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {node.token}", **more}


async def problem(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = await response.json(content_type=None)
    assert body["status"] == response.status
    assert body["type"] == f"urn:pratique:error:{body['code']}"
    return body


async def test_health_and_readiness_name_each_service(
    node: Node, session: aiohttp.ClientSession
) -> None:
    async with session.get("/healthz") as response:
        assert response.status == 200
    async with session.get("/readyz") as response:
        assert await response.json() == {"ready": True, "services": {"sample": "ready"}}
    node.services[0].reason = "the disk is full"
    async with session.get("/readyz") as response:
        assert response.status == 503
        assert (await response.json())["services"] == {"sample": "the disk is full"}


async def test_a_browser_finds_out_who_answers(session: aiohttp.ClientSession) -> None:
    for lang, word in (("en", "Open to anybody"), ("zh", "公开查询")):
        async with session.get("/", headers={"Accept-Language": lang}) as response:
            text = await response.text()
        assert response.content_type == "text/html"
        assert f'<html lang="{lang}">' in text
        assert word in text


async def test_metrics_are_in_prometheus_form(session: aiohttp.ClientSession) -> None:
    async with session.get("/healthz"), session.get("/metrics") as response:
        text = await response.text()
    assert 'pratique_http_requests_total{status="200",tag="node"}' in text
    elsewhere = ("pratique_member_list_", "pratique_log_halted")  # no list and no log here
    for name in GAUGES:
        assert (f"\n{name} " in text) is not name.startswith(elsewhere), name
    assert "did:" not in text, "metrics are open: with whom we trade is not told"


async def test_openapi_is_valid_and_names_every_route(session: aiohttp.ClientSession) -> None:
    async with session.get("/openapi.json") as response:
        document = await response.json()
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert {"/healthz", "/echo", "/v1/count", "/v1/events"} <= set(document["paths"])


async def test_a_refusal_is_a_problem_with_code_pointer_and_next_step(
    session: aiohttp.ClientSession,
) -> None:
    async with session.post("/refuse", headers={"Accept-Language": "zh-CN, en;q=0.5"}) as response:
        body = await problem(response)
    assert (body["status"], body["code"], body["pointer"]) == (422, "peer_unlisted", "/to")
    assert "成员名单" in body["title"]
    assert body["next"]


async def test_our_mistake_is_a_500_without_detail(
    node: Node, session: aiohttp.ClientSession
) -> None:
    logged = io.StringIO()
    node.telemetry.log = Telemetry(node.did, stream=logged).log
    async with session.post("/break") as response:
        text = await response.text()
    assert response.status == 500
    assert "secret" not in text
    assert "Traceback" not in text
    assert "a secret inside" in logged.getvalue()


async def test_unknown_path_and_method_are_problems(session: aiohttp.ClientSession) -> None:
    async with session.get("/nowhere") as response:
        assert (await problem(response))["code"] == "path_unknown"
    async with session.delete("/healthz") as response:
        assert (await problem(response))["code"] == "method_not_allowed"
        assert response.headers["Allow"] == "GET"


async def test_a_body_above_the_routes_cap_is_413_announced_or_not(
    session: aiohttp.ClientSession,
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 10

    async with session.post("/echo", data=b"x" * 100) as response:
        assert (response.status, len(await response.read())) == (200, 100)
    async with session.post("/echo", data=b"x" * 101) as response:
        assert (await problem(response))["code"] == "body_too_large"
    async with session.post("/echo", data=chunks()) as response:
        assert (await problem(response))["code"] == "body_too_large"


async def test_a_handler_past_its_deadline_is_503_and_retryable(
    session: aiohttp.ClientSession,
) -> None:
    async with session.post("/slow") as response:
        body = await problem(response)
    assert (body["code"], body["retry"], body["status"]) == ("deadline_exceeded", True, 503)
    assert response.headers["Retry-After"] == "1"


async def test_connections_that_trickle_are_dropped(tmp_path: Path) -> None:
    limits = {"http": {"keepalive": 1}, "limits": {"handler_deadline": 1}}
    home = make_home(tmp_path / "home", settings=limits)

    async def trickle(port: int, sent: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with asyncio.timeout(30):
            await reader.read()
        writer.close()
        await writer.wait_closed()

    head = b"POST /echo HTTP/1.1\r\nHost: x\r\n"
    async with running_node(home, services=[("sample", Sample)]) as node:
        port = node.settings.http.port
        sent = (b"", head + b"X-", head + b"Content-Length: 50\r\n\r\nx")
        await asyncio.gather(*(trickle(port, part) for part in sent))


async def test_r12_the_operators_routes_need_the_token(
    node: Node, session: aiohttp.ClientSession
) -> None:
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {node.token}"}):
        async with session.post("/v1/count", json={}, headers=header) as response:
            assert (await problem(response))["code"] == "operator_token_wrong"
    async with session.post("/v1/count", json={}, headers=authorised(node)) as response:
        assert response.status == 201


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a":1,"a":2}', b"\xff"])
async def test_bad_json_is_400(node: Node, session: aiohttp.ClientSession, body: bytes) -> None:
    async with session.post("/v1/count", data=body, headers=authorised(node)) as response:
        assert (await problem(response))["status"] == 400


async def test_the_same_idempotency_key_does_it_once(
    node: Node, session: aiohttp.ClientSession
) -> None:
    headers = authorised(node, **{"Idempotency-Key": "k1"})
    for replayed in (None, "true"):
        async with session.post("/v1/count", json={"a": 1}, headers=headers) as response:
            assert (response.status, await response.json()) == (201, {"calls": 1})
            assert response.headers.get("Idempotency-Replayed") == replayed
            assert response.headers["Location"] == "/v1/x"
    async with session.post("/v1/count", json={"a": 2}, headers=headers) as response:
        assert (await problem(response))["code"] == "idempotency_key_reused"
    bad = authorised(node, **{"Idempotency-Key": "a b"})
    async with session.post("/v1/count", json={}, headers=bad) as response:
        assert (await problem(response))["code"] == "idempotency_key_bad"


async def test_a_refused_request_frees_its_idempotency_key(
    node: Node, session: aiohttp.ClientSession
) -> None:
    headers = authorised(node, **{"Idempotency-Key": "k2"})
    async with session.post("/v1/refuse", json={}, headers=headers) as response:
        assert response.status == 503
    async with session.post("/v1/refuse", json={}, headers=headers) as response:
        assert response.status == 200


async def test_a_cut_off_request_is_never_done_again_under_its_key(
    node: Node, session: aiohttp.ClientSession
) -> None:
    headers = authorised(node, **{"Idempotency-Key": "k3"})
    async with session.post("/v1/busy", json={}, headers=headers) as response:
        assert (await problem(response))["code"] == "deadline_exceeded"
    async with session.post("/v1/busy", json={}, headers=headers) as response:
        assert (await problem(response))["code"] == "idempotency_unfinished"


async def test_events_are_paged_by_cursor(node: Node, session: aiohttp.ClientSession) -> None:
    for number in range(5):
        await node.store.write(
            events.record,
            kind="issued",
            at=number,
            document=bytes(32),
            consignment="UCR",
            detail={"n": number},
        )
    seen: list[int] = []
    cursor = 0
    for _ in range(3):
        path = f"/v1/events?after={cursor}&limit=2"
        async with session.get(path, headers=authorised(node)) as response:
            body = await response.json()
        seen += [event["detail"]["n"] for event in body["events"]]
        cursor = body["next"]
    assert seen == [0, 1, 2, 3, 4]
    for query in ("limit=x", "limit=0", "after=-1", "after=" + "9" * 30):
        async with session.get(f"/v1/events?{query}", headers=authorised(node)) as response:
            assert (await problem(response))["code"] == "query_bad"
    one = await node.store.read(events.of, document=bytes(32), consignment="UCR", limit=1)
    assert [event.at for event in one] == [0]
