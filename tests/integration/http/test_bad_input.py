"""Bad input over every route the node declares: a problem with a known code, and nothing stored.

The requests are generated from /openapi.json, so a new route is tried from the day it is declared.
"""

from __future__ import annotations

import asyncio
import base64
import io
import itertools
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from sqlalchemy import CompoundSelect, func, literal, select, union_all
from typing_extensions import override

from node.operator import OperatorClient
from node.store.registered import all_metadata
from protocols.members import policies
from schemas.catalogue import explain
from schemas.errors import UnavailableError
from schemas.registry import example
from tests.support.network import Member, did_of, make_network, running_network

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from node.runtime import Node
    from protocols.seams import Answer

ROLES = ("issuer", "carrier", "port", "plant-health", "customs", "witness", "terminal")
PURPOSES = (
    "credential",
    "exchange",
    "log",
    "witness",
    "title",
    "release",
    "registry",
    "registry-witness",
)
QUIET = {
    "telemetry": {"log_level": "critical"},
    "exchange": {"retry_base": 5.0, "poll_interval": 60.0},
    "members": {"check_interval": 3600.0},
    # Once a minute a log would publish what is new, in the middle of somebody's request.
    "log": {"checkpoint_interval": 60.0, "mirror_interval": 86400, "follow_interval": 86400},
}
# Path → the name of something that exists there, so that more than the name is judged.
KNOWN: dict[str, str] = {}
# What the guard itself remembers of a request, whatever becomes of it.
OF_THE_GUARD = {"nonces", "idempotency", "alembic_version"}
LONG = "x" * 70_000
LARGE = 8 * 1024 * 1024
DEEP = b"[" * 5_000 + b"]" * 5_000
IN_PATHS = (
    "x",
    "0" * 64,
    "0" * 63,
    "F" * 64,
    "z" * 64,
    "1" * 65,
    "did:web:nobody.example",
    "did:web:b.example",
    "did:web:",
    "UCR%20of%20nobody",
    "%00",
    "%0A%1B%5B31m",
    "%FF%FE",
    "..%2F..%2Fetc%2Fpasswd",
    "%F0%9F%A6%86",
    "a" * 3_000,
)
IN_QUERIES = (
    "x",
    "-1",
    "1e3",
    "99999999999999999999",
    "",
    "%00",
    "%C3%A9",
    "%FF",
    "'--",
    "a" * 600,
)
RAW_BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"a":1,"a":2}',
    b'{"a":NaN}',
    b'{"a":1e999}',
    b'{"a":"\\ud800"}',
    b'{"a":"' + b"\x01" + b'"}',
    b'{"a":' + DEEP + b"}",
    DEEP,
    b"PK\x03\x04" + bytes(200),
    b'{"unheard-of":1}',
)
WRONG: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    2**53 - 1,
    "",
    "x",
    "\x00\x1b[31m",
    "\u202e",
    LONG,
    [],
    [None],
    ["x", "x"],
    [[[[]]]],
    {},
    {"x": 1},
)


@dataclass(frozen=True)
class Try:
    """One request. headers replace the usual ones."""

    method: str
    path: str
    body: bytes = b""
    media: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @override
    def __str__(self) -> str:
        return f"{self.method} {self.path[:100]} {self.media} {self.body[:60]!r}"


@pytest.fixture
async def nodes(tmp_path: Any) -> AsyncIterator[dict[str, Node]]:
    def change(draft: Any, _keys: Any) -> Any:
        logs = tuple(log for node in draft.nodes if (log := policies.log_of(node)))
        draft = replace(draft, logs=logs)
        return draft.with_registry(policies.registry_of(draft, did_of("a"), []))

    member = Member(roles=ROLES, purposes=PURPOSES, settings=QUIET)
    made = make_network(tmp_path, {"a": member, "b": member}, change=change)
    async with running_network(made) as running:
        payload = base64.b64encode(example("packing-list")).decode()
        client = OperatorClient(running["a"].local_url, running["a"].token)
        issued = await client.apost("/v1/documents", {"type": "packing-list", "payload": payload})
        KNOWN["/v1/documents/"] = KNOWN["/v1/trace/documents/"] = issued["digest"]
        await asyncio.sleep(0.5)
        yield running


@pytest.fixture
async def described(nodes: dict[str, Node]) -> dict[str, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(nodes["a"].local_url + "/openapi.json") as answer,
    ):
        body: dict[str, Any] = await answer.json()
        return body


def operations(
    described: dict[str, Any], security: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(method, path, operation) of the routes with that security: operator, peer or open."""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            asked: dict[str, Any] = next(iter(operation["security"]), {})
            if (security in asked) if security != "open" else not asked:
                yield method.upper(), path, operation


def filled(path: str, value: str) -> str:
    """The path with every parameter replaced by `value`."""
    parts = [value if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


def tries(method: str, path: str, operation: dict[str, Any]) -> Iterator[Try]:
    """Everything wrong that can be said to one operation."""
    usual = filled(path, KNOWN.get(path.split("{")[0], "0" * 64))
    if "{" in path:
        yield from (Try(method, filled(path, value)) for value in IN_PATHS)
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            yield from (Try(method, f"{usual}?{parameter['name']}={bad}") for bad in IN_QUERIES)
            yield Try(method, f"{usual}?{parameter['name']}=1&{parameter['name']}=x")
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from (Try(method, usual, body, media) for body in RAW_BODIES)
        yield from (Try(method, usual, body, media) for body in wrong_values(content["schema"]))
        yield Try(method, usual, b" " * (9 * 1024 * 1024), media)
        yield Try(method, usual, b"{}", 'text/html; charset="')
        yield Try(method, usual, b"--x\r\n\r\n", "multipart/form-data; boundary=x")
        yield Try(method, usual, b"{}", media, {"Content-Encoding": "gzip"})
        yield Try(method, usual, b"{}", media, {"Content-Encoding": "br, zz"})
    if method == "POST":
        key = {"Idempotency-Key": "k\u00e9y"}
        yield Try(method, usual, b"{}", "application/json", key)
        yield Try(method, usual, b"{}", "application/json", {"Idempotency-Key": "k" * 900})


def wrong_values(schema: dict[str, Any]) -> Iterator[bytes]:
    """Bodies with each declared member wrong in every way, the others plausible."""
    members = schema.get("properties", {})
    plain = {name: plausible(one) for name, one in members.items()}
    yield json.dumps(plain).encode()
    for name, value in itertools.product(members, WRONG):
        yield json.dumps(plain | {name: value}).encode()
    for name in members:
        yield json.dumps({key: value for key, value in plain.items() if key != name}).encode()
        yield json.dumps({name: plain[name]}).encode()


def plausible(schema: dict[str, Any]) -> Any:
    """A value of the declared type that names nothing that exists."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "string":
        return "0" * 64 if "pattern" in schema else "did:web:nobody.example"
    return {"integer": 1, "number": 1, "boolean": False, "array": [], "object": {}}[kind]


@cache
def counting() -> CompoundSelect[Any]:
    """One statement for all tables: it is asked after every request."""
    tables = [table for one in all_metadata() for table in one.tables.values()]
    return union_all(
        *(
            select(literal(table.name), func.count()).select_from(table)
            for table in tables
            if table.name not in OF_THE_GUARD
        )
    )


async def story_of(node: Node) -> dict[str, int]:
    """How many rows every table has."""

    def count(conn: Any) -> dict[str, int]:
        return {name: int(rows) for name, rows in conn.execute(counting())}

    return await node.store.read(count)


def judge(one: object, status: int, media: str, body: bytes) -> str | None:
    """What is wrong with an answer, or None."""
    if status < 400:
        return None
    if status >= 500 and status != 503:
        return f"{one}: {status} {body[:200]!r}"
    if media == "application/json" and b'"errorDateTime"' in body:
        return judge_dcsa(one, status, json.loads(body))
    if media != "application/problem+json":
        return f"{one}: {status} as {media}"
    told = json.loads(body)
    entry = explain(told.get("code", ""))
    if entry is None or entry.kind != "error":
        return f"{one}: code {told.get('code')} is not in the catalogue"
    if told["status"] != status or not told["title"] or not told.get("next"):
        return f"{one}: no sentence or next step in {told}"
    if "Traceback" in body.decode() or LONG[:1000] in body.decode():
        return f"{one}: a trace or the whole input is in the answer"
    return None


def judge_dcsa(one: object, status: int, told: dict[str, Any]) -> str | None:
    """As `judge`, of the ErrorResponse of DCSA's APIs."""
    codes = [error["errorCodeText"] for error in told["errors"]]
    if told["statusCode"] != status or not codes:
        return f"{one}: another status or no error in {told}"
    unknown = [code for code in codes if not code.startswith(("SCH-", "BOL-"))]
    unknown = [code for code in unknown if code != HTTPStatus(status).phrase and not explain(code)]
    return f"{one}: codes {unknown} are not in the catalogue" if unknown else None


async def say(session: aiohttp.ClientSession, one: Try) -> tuple[int, str, bytes]:
    from yarl import URL

    headers = dict(one.headers)
    if one.media:
        headers["Content-Type"] = one.media
    url = URL(str(session._base_url).rstrip("/") + one.path, encoded=True)
    data = io.BytesIO(one.body) if one.body else None
    try:
        async with session.request(one.method, url, data=data, headers=headers) as answer:
            return answer.status, answer.content_type, await answer.read()
    except aiohttp.ClientConnectionError:
        # The node stops reading a body that is too large.
        assert len(one.body) > LARGE, one
        return 413, "", b""


def caller(node: Node, **headers: str) -> aiohttp.ClientSession:
    """No connection is used twice: what is bad enough closes it, and the next request may be under
    way by then."""
    connector = aiohttp.TCPConnector(force_close=True)
    return aiohttp.ClientSession(node.local_url, headers=headers, connector=connector)


async def judged(session: aiohttp.ClientSession, node: Node, all_tries: Any) -> list[str]:
    """The faults of all answers; a refused request must have left no row behind."""
    faults = []
    before = await story_of(node)
    for one in all_tries:
        status, media, body = await say(session, one)
        if media or status != 413:
            faults += filter(None, [judge(one, status, media, body)])
        after = await story_of(node)
        if status >= 400 and after != before:
            changed = await stored_by(node, partial(say, session, one))
            if changed:
                faults.append(f"{one}: refused with {status} {body[:100]!r}, yet stored {changed}")
            after = await story_of(node)
        before = after
    return faults


async def stored_by(node: Node, again: Callable[[], Awaitable[object]]) -> dict[str, int]:
    """What a request stores, which it stores each time; what else the node has to do, such as its
    log's checkpoint, comes to an end."""
    changed: dict[str, int] = {}
    for _ in range(6):
        before = await story_of(node)
        await again()
        after = await story_of(node)
        changed = {name: after[name] for name in after if after[name] != before[name]}
        if not changed:
            break
    return changed


async def test_every_operator_route_answers_bad_input_with_a_problem(
    nodes: dict[str, Node], described: dict[str, Any]
) -> None:
    node = nodes["a"]
    faults: list[str] = []
    async with caller(node, Authorization=f"Bearer {node.token}") as session:
        for method, path, operation in operations(described, "operator"):
            faults += await judged(session, node, tries(method, path, operation))
    assert not faults, "\n".join(faults[:50])


async def test_every_open_route_answers_bad_input_with_a_problem(
    nodes: dict[str, Node], described: dict[str, Any]
) -> None:
    node = nodes["a"]
    faults: list[str] = []
    async with caller(node) as session:
        for method, path, operation in operations(described, "open"):
            faults += await judged(session, node, tries(method, path, operation))
    assert not faults, "\n".join(faults[:50])


async def test_every_peer_route_answers_a_listed_peers_bad_input_with_a_problem(
    nodes: dict[str, Node], described: dict[str, Any]
) -> None:
    node, peer = nodes["a"], nodes["b"]
    faults: list[str] = []
    for method, path, operation in operations(described, "peer"):
        for one in tries(method, path, operation):
            before = await story_of(node)
            answer = await call(peer, node, one)
            if answer is None:
                continue
            media = answer.headers.get("content-type", "").partition(";")[0]
            faults += filter(None, [judge(one, answer.status, media, answer.body)])
            if answer.status >= 400 and await story_of(node) != before:
                changed = await stored_by(node, partial(call, peer, node, one))
                if changed:
                    faults.append(f"{one}: refused with {answer.status}, yet stored {changed}")
    assert not faults, "\n".join(faults[:50])


async def call(peer: Node, node: Node, one: Try) -> Answer | None:
    """The answer to what a listed peer signs and sends, None when it was not heard to the end."""
    headers = {"Content-Type": one.media} if one.media else {}
    try:
        return await peer.client.call(node.did, one.method, one.path, one.body, headers=headers)
    except UnavailableError:
        # The node stops reading a body that is too large.
        assert len(one.body) > LARGE, one
        return None


async def test_without_a_right_nothing_is_told_of_any_closed_route(
    nodes: dict[str, Node], described: dict[str, Any]
) -> None:
    node = nodes["a"]
    signed = {"Signature": "px=:AAAA:", "Signature-Input": 'px=("@method");keyid="x"'}
    for security, headers in itertools.product(
        ("operator", "peer"), ({}, {"Authorization": "Bearer x"}, {"Authorization": "x"}, signed)
    ):
        async with caller(node, **headers) as session:
            for method, path, _ in operations(described, security):
                one = Try(method, filled(path, "0" * 64))
                status, media, body = await say(session, one)
                assert (status, judge(one, status, media, body)) == (401, None), str(one)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /px/1/join HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"PROPFIND / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_answered_with_a_problem_and_closed(
    nodes: dict[str, Node], raw: bytes
) -> None:
    node = nodes["a"]
    host, _, port = node.local_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    async with asyncio.timeout(60):
        got = await reader.read()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    assert b"Traceback" not in got
    assert b" 500 " not in got.partition(b"\r\n")[0]
    if got:
        head, _, body = got.partition(b"\r\n\r\n")
        assert b"application/problem+json" in head, got
        told = json.loads(body)
        assert explain(told["code"])
        assert told["next"]
