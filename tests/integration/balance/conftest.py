"""The homes of the certificate network, with either store."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from node.balance import asking, drawing
from node.inquiries import service as inquiries
from tests.integration.balance.certificate_network import network
from tests.support.postgres import create_database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.network import Made

_numbers = count()


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer's answer may take longer than an operator would wait; tests that want to see one
    missing say how long they wait for it."""
    monkeypatch.setattr(asking, "WAIT_SECONDS", 20.0)
    monkeypatch.setattr(drawing, "AFTER_SECONDS", 20.0)
    monkeypatch.setattr(inquiries, "SECONDS", 20.0)


@pytest.fixture(params=["sqlite", "postgresql"])
def homes(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """The nodes' homes, each with a store of its own."""
    if request.param == "sqlite":
        return network(tmp_path)
    server = request.getfixturevalue("postgres_server")

    def store(name: str) -> dict[str, Any]:
        return {"store": {"url": create_database(server, f"{name}-{next(_numbers)}")}}

    return network(tmp_path, settings=store)
