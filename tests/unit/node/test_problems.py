"""Problem documents: language, families, and back into the error they were."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from node.http.openapi import describe
from node.http.problems import from_problem, lang
from node.http.routes import Auth, Parameter, Route
from schemas.catalogue import catalogue
from schemas.errors import FAMILIES, ConflictError, RefusedError, UnavailableError


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.9, zh;q=0.8", "en"),
        ("fr, zh;q=0.1", "zh"),
        ("zh;q=x, en;q=0.1", "en"),
        ("de", "en"),
    ],
)
def test_the_language_is_the_one_preferred(header: str, wanted: str) -> None:
    assert lang(make_mocked_request("GET", "/", headers={"Accept-Language": header})) == wanted


def test_a_problem_becomes_the_error_it_was() -> None:
    body = RefusedError("peer_unlisted", "here", pointer="/to", extra=1).problem()
    error = from_problem(422, body)
    assert isinstance(error, RefusedError)
    assert (error.code, error.detail, error.pointer) == ("peer_unlisted", "here", "/to")
    assert error.context == {"extra": 1}


def test_an_unknown_code_falls_back_on_its_status() -> None:
    assert isinstance(from_problem(409, {"code": "from_the_future"}), ConflictError)


def test_r13_what_cannot_be_understood_is_no_refusal() -> None:
    assert isinstance(from_problem(500, {"code": "from_the_future"}), UnavailableError)
    assert isinstance(from_problem(502, {"code": 3}), UnavailableError)


def test_every_error_in_the_catalogue_has_a_family_and_both_languages() -> None:
    for entry in catalogue().values():
        assert entry.en, entry.code
        assert entry.zh, entry.code
        if entry.kind == "error":
            assert entry.family in FAMILIES, entry.code
            assert entry.next, entry.code
            assert entry.next_zh, entry.code


def test_openapi_tells_bodies_parameters_and_who_may_call() -> None:
    async def handler(request: object) -> None: ...

    route = Route(
        "POST",
        "/v1/things/{thing}/{path:a{2}b}",
        handler,
        Auth.OPERATOR,
        "Do a thing",
        "things",
        request={"application/json": {"type": "object"}},
        responses={202: "Begun", 200: {"description": "Done"}},
        parameters=(Parameter("limit", "at most", {"type": "integer"}),),
    )
    document = describe([route], "http://x")
    operation = document["paths"]["/v1/things/{thing}/{path}"]["post"]
    assert operation["operationId"] == "post_v1_things_by_thing_by_path"
    assert operation["security"] == [{"operator": []}]
    assert operation["requestBody"]["content"] == {
        "application/json": {"schema": {"type": "object"}}
    }
    names = [(item["in"], item["name"]) for item in operation["parameters"]]
    assert names == [
        ("path", "thing"),
        ("path", "path"),
        ("query", "limit"),
        ("header", "Idempotency-Key"),
    ]
    assert set(operation["responses"]) == {"202", "200", "default"}
