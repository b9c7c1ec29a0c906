"""R25: a suspended document is an unmet condition of a release, told apart from a revoked one."""

from __future__ import annotations

import pytest

from protocols.credentials import status_list
from protocols.credentials.status_list import SUSPENSION, StatusEntry
from protocols.release.facts import Standing
from protocols.release.reading import Held, standing_of
from protocols.verify import Case, verify_case
from tests.support import evidence_world as world
from tests.support.title_world import NOW, did

URL = status_list.list_url(did("cn-cert"), "s1")
FILE = world.issued(suspension=StatusEntry(URL, 7, SUSPENSION))
EMPTY = bytes(status_list.MIN_ENTRIES // 8)


@pytest.mark.parametrize(
    ("revoked", "suspended", "standing"),
    [
        ((), False, Standing.GOOD),
        ((), True, Standing.SUSPENDED),
        ((FILE,), False, Standing.REVOKED),
        ((FILE,), True, Standing.REVOKED),
    ],
)
def test_r25_a_suspended_document_stands_so_until_it_is_reinstated(
    revoked: tuple[object, ...], suspended: bool, standing: Standing
) -> None:
    bits = status_list.set_bit(EMPTY, 7) if suspended else EMPTY
    other = world.status(url=URL, purpose=SUSPENSION, bits=bits)
    case = Case(FILE.to_bytes(), world.MEMBERS, NOW, verifier_country="NL")
    case.open()
    case.status = (world.status(revoked=revoked), other)
    report, document, verified = verify_case(case)
    assert document is not None
    assert standing_of(Held(document, report, verified)) is standing
