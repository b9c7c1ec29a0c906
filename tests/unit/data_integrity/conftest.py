"""The machine that turns documents into statements, one for each module of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from node.verification.canonicaliser import OfflineCanonicaliser
from tests.unit.data_integrity.rdf_world import UNHURRIED

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def machine() -> Iterator[OfflineCanonicaliser]:
    with OfflineCanonicaliser(UNHURRIED) as found:
        yield found
