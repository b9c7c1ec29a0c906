"""EVI-13 and EVI-14: time-stamps in a bundle are judged by checks of their own."""

from __future__ import annotations

from dataclasses import replace

from protocols.digest import sha256
from protocols.evidence import renewal
from protocols.evidence.verification import verify_bundle
from schemas.findings import Outcome
from tests.support import evidence_world as world

GOOD = world.export().build()
NO_STAMP = b"\x30\x00"


def not_passed(bundle: bytes) -> dict[str, str]:
    report = verify_bundle(bundle, world.MEMBERS)
    return {check.id: check.code for check in report.checks if check.outcome is not Outcome.PASSED}


def test_evi_13_a_renewal_without_a_time_stamp_renews_nothing() -> None:
    record = renewal.plan([sha256(GOOD)]).records[0]
    assert set(not_passed(renewal.attach(GOOD, record, NO_STAMP))) == {"EVI-13"}
    assert not_passed(GOOD) == {}


def test_evi_14_a_document_with_a_time_stamp_that_is_none_is_named() -> None:
    class Stamped(world.Export):
        """An export whose documents each have a response that is no time-stamp."""

        def contents(self):
            made = super().contents()
            documents = tuple(replace(each, timestamp=NO_STAMP) for each in made.documents)
            return replace(made, documents=documents)

    plain = world.export()
    names = ("documents", "statuses", "titles")
    bundle = Stamped(**{name: getattr(plain, name) for name in names}).build()
    assert not_passed(bundle)["EVI-14"] == "evidence_timestamp"
