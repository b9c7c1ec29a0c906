"""Headers of any bytes, and rows that a member could make without end."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import create_engine, func, select

from node.http.peer_auth import require_operator
from node.trust import rows
from node.trust.tables import forks, metadata
from schemas.errors import ForbiddenError, UnauthenticatedError


def call(authorization: str, remote: str | None = "127.0.0.1") -> Any:
    return cast("Any", SimpleNamespace(remote=remote, headers={"Authorization": authorization}))


@pytest.mark.parametrize(
    "given", ["Bearer \udcff", "Bearer \udc80\udcff", "Bearer é", "Bearer", "", "Bearer tokem"]
)
def test_a_token_of_any_bytes_is_wrong_and_nothing_else(given: str) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        require_operator(call(given), "token")
    assert caught.value.detail == "the token is in run/token of the home"


@pytest.mark.parametrize("remote", ["192.0.2.7", "::ffff:192.0.2.7", None, "", "localhost"])
def test_the_right_token_from_elsewhere_is_refused(remote: str | None) -> None:
    with pytest.raises(ForbiddenError):
        require_operator(call("Bearer token", remote), "token")
    require_operator(call("bearer token "), "token")


def test_r4_a_member_that_shows_ever_other_digests_fills_no_disk() -> None:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.begin() as conn:
        told = [
            rows.put_fork(
                conn,
                version=1,
                digest=number.to_bytes(32, "big"),
                did="did:web:liar.example",
                signed=None,
                detail={},
                now_ms=1,
            )
            for number in range(rows.MAX_FORKS + 20)
        ]
        assert told.count(True) == rows.MAX_FORKS
        count = conn.execute(select(func.count()).select_from(forks)).scalar_one()
        assert count == rows.MAX_FORKS
        assert rows.put_fork(
            conn,
            version=1,
            digest=bytes(32),
            did="did:web:other.example",
            signed=None,
            detail={},
            now_ms=1,
        )
