"""EVI-16: anchors in a bundle are judged by a check of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from protocols.evidence.contents import BundleContents
from protocols.evidence.verification import verify_bundle
from protocols.member_list import MemberList
from schemas import strict_json
from schemas.findings import Outcome
from tests.support import anchored
from tests.support import evidence_world as world

GENUINE = anchored.anchored()
LISTED = anchored.members(anchored.entry())


class Anchored(world.Export):
    """An export of one document whose receipt is anchored; `broken` leaves headers out."""

    broken = False

    def contents(self) -> BundleContents:
        made = super().contents()
        receipt = GENUINE.receipt_with(headers=() if self.broken else None)
        assert receipt.anchor is not None
        (document,) = made.documents
        anchor = strict_json.canonical(dict(receipt.anchor))
        given = replace(document, entry=receipt.entry, proof=receipt.proof, anchor=anchor)
        return replace(made, documents=(given,))


class Broken(Anchored):
    broken = True


def export(kind: type[Anchored], members: MemberList = LISTED) -> bytes:
    at = world.NOW + world.timedelta(minutes=5)
    made = kind(
        documents=(anchored.FILE,),
        statuses=(world.status(at=at),),
        lists=(world.MEMBERS, members),
        at=at,
        seen_at=at,
    )
    return made.build()


@pytest.mark.parametrize(
    ("kind", "members", "outcome", "count"),
    [
        (Anchored, LISTED, Outcome.PASSED, 1),
        (Broken, LISTED, Outcome.INDETERMINATE, None),
        (Anchored, anchored.members(), Outcome.INDETERMINATE, None),
    ],
    ids=["anchored", "too few headers", "contract not listed"],
)
def test_evi_16_follows_each_anchor_to_a_listed_contract(
    kind: type[Anchored], members: MemberList, outcome: Outcome, count: int | None
) -> None:
    report = verify_bundle(export(kind, members), members)
    check = report.check("EVI-16")
    assert check is not None
    assert check.outcome is outcome, report.to_json()
    assert check.evidence.get("anchored") == count
    others = [each for each in report.checks if each.id not in ("EVI-12", "EVI-16")]
    assert all(each.outcome is Outcome.PASSED for each in others), report.to_json()


def test_an_anchor_without_its_receipt_is_named() -> None:
    class Stray(world.Export):
        def contents(self) -> BundleContents:
            made = super().contents()
            first = replace(made.documents[0], anchor=b"{}")
            return replace(made, documents=(first,))

        def seal(self, prepared):
            from protocols.evidence.contents import Prepared, write_index

            kept = {k: v for k, v in prepared.members.items() if not k.startswith("receipts/")}
            index = write_index(world.MEMBERS.network, self.subject, kept)
            return super().seal(Prepared(kept, index))

    bundle = Stray(documents=(anchored.FILE,), statuses=(world.status(),)).build()
    check = verify_bundle(bundle, world.MEMBERS).check("EVI-10")
    assert check is not None
    assert (check.outcome, check.reason) == (Outcome.FAILED, "anchors/001.json")
