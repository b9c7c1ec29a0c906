"""One PostgreSQL cluster for the whole run, started when the first test asks for it."""

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
