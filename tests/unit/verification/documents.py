"""A document of the small world, verified; and what is wrong with it."""

from __future__ import annotations

from protocols.credentials import status_list
from protocols.verify import Document, Verified, verify_document
from schemas.findings import Outcome, Report
from tests.support import evidence_world as world
from tests.support.title_world import NOW

FILE = world.issued()


def verify(
    file: bytes | None = None, **changes: object
) -> tuple[Report, Verified[Document] | None]:
    values = {
        "members": world.MEMBERS,
        "at": NOW,
        "status": world.status(),
        "verifier_country": "NL",
        **changes,
    }
    return verify_document(FILE.to_bytes() if file is None else file, **values)


def wrong(report: Report) -> dict[str, tuple[str, str]]:
    return {
        check.id: (check.outcome.value, check.code)
        for check in report.checks
        if check.outcome is not Outcome.PASSED and check.code != "not_reached"
    }


def only(report: Report, check_id: str, outcome: str, code: str) -> None:
    assert wrong(report) == {check_id: (outcome, code)}


def opened_status(at: object) -> status_list.StatusList:
    return status_list.open_list(world.status(at=at), members=world.MEMBERS, now=at)
