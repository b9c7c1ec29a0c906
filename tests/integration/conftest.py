"""What all integration tests share: one PostgreSQL cluster, and patience with a busy machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.postgres import cluster

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What nodes allow their peers and themselves, in seconds. One that is gone is not waited for.
UNHURRIED = (
    "node.aeo.service.STATUS_SECONDS",
    "node.log.comparing.DEADLINE",
    "node.log.consistency.DEADLINE",
    "node.log.following.AUDIT_BUDGET",
    "node.log.following.DEADLINE",
    "node.log.gathering.GRACE",
    "node.log.gathering.PATIENCE",
    "node.log.handing_over.PROBE_DEADLINE",
    "node.log.monitor.DEADLINE",
    "node.log.recovering.DEADLINE",
    "node.log.service.CALL_DEADLINE",
    "node.log.witness_service.CALL_DEADLINE",
    "node.title.arbiter.CALL_SECONDS",
    "node.title.evm_keys.CALL_SECONDS",
    "node.title.evm_peers.ALL_SECONDS",
    "node.title.evm_peers.CALL_SECONDS",
    "node.title.partners.CALL_DEADLINE",
)


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
    for name in UNHURRIED:
        monkeypatch.setattr(name, 30.0)
    if request.node.get_closest_marker("undecided") is None:
        monkeypatch.setattr("node.title.service.FINAL_WAIT", 15)
