"""What all integration tests share: one PostgreSQL cluster, and patience with a busy machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.postgres import cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Its address up to the database's name; every test makes databases of its own."""
    with cluster() as server:
        yield server


@pytest.fixture(autouse=True)
def patience(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node waits longer for an operation to become final than it would for an operator: how fast
    the machine is decides no test. Those that want to see it undecided are marked so.

    Nor does a log go on without the witnesses that its quorum did not need: many a test asks every
    one of them afterwards."""
    monkeypatch.setattr("node.log.gathering.PATIENCE", 30.0)
    monkeypatch.setattr("node.log.gathering.GRACE", 30.0)
    monkeypatch.setattr("node.title.partners.CALL_DEADLINE", 30.0)
    monkeypatch.setattr("node.title.evm_peers.CALL_SECONDS", 30.0)
    monkeypatch.setattr("node.title.evm_peers.ALL_SECONDS", 90.0)
    if request.node.get_closest_marker("undecided") is None:
        monkeypatch.setattr("node.title.service.FINAL_WAIT", 15)
