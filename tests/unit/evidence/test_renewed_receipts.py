"""Receipt files are renewed in a batch with bundles, and after a stop once only."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from node.evidence import renewing
from node.evidence.renewing import Wish
from protocols.digest import sha256
from protocols.evidence import renewal
from protocols.log import receipt as log_receipt
from protocols.log.receipt import ReceiptFile
from protocols.verify import Receipt, verify_document
from schemas.errors import MalformedError, UnavailableError
from schemas.findings import Outcome
from tests.support import certified
from tests.support import evidence_world as world

FILE = world.issued()


def test_a_receipt_file_is_renewed_with_a_bundle(tmp_path: Path) -> None:
    given = world.receipt(FILE)
    receipt, bundle = tmp_path / "receipt.json", tmp_path / "bundle.zip"
    receipt.write_bytes(ReceiptFile(given.entry, given.proof).to_bytes())
    bundle.write_bytes(world.export().build())
    wish = Wish((receipt, bundle), tmp_path / "work")
    at = world.NOW + timedelta(minutes=5)

    def away(_: bytes) -> bytes:
        raise UnavailableError("tsa_unreachable", "away")

    def ask(data: bytes) -> bytes:
        return certified.STAMPER.stamp(data, at)

    with pytest.raises(UnavailableError):
        renewing.renew(wish, away, lambda *_: None)
    assert renewing.renew(wish, ask, lambda *_: None)["renewed"] == 2
    file = log_receipt.read(receipt.read_bytes())
    assert len(file.renewals) == 1
    listed = world.following(anchors=(certified.time_anchor(),))
    report, _ = verify_document(
        FILE.to_bytes(),
        members=listed,
        at=at + timedelta(minutes=1),
        status=world.status(),
        receipt=Receipt(file.entry, file.proof, file.anchor, file),
    )
    check = report.check("LOG-09")
    assert check is not None
    assert check.outcome is Outcome.PASSED


def test_after_a_stop_what_has_its_renewal_is_passed_over(tmp_path: Path) -> None:
    given = world.receipt(FILE)
    receipt = tmp_path / "receipt.json"
    before = ReceiptFile(given.entry, given.proof).to_bytes()
    receipt.write_bytes(before)
    wish = Wish((receipt,), tmp_path / "work", by_hand=True)
    renewing.renew(wish, pytest.fail, lambda *_: None)
    plan = (tmp_path / "work" / renewing.PLAN).read_bytes()
    token = tmp_path / "token"
    stamped = renewal.plan([sha256(before)]).stamped
    token.write_bytes(certified.STAMPER.stamp(stamped, world.NOW))
    again = Wish((receipt,), tmp_path / "work", token)
    assert renewing.renew(again, pytest.fail, lambda *_: None)["renewed"] == 1
    (tmp_path / "work" / renewing.PLAN).write_bytes(plan)
    assert renewing.renew(again, pytest.fail, lambda *_: None)["renewed"] == 0
    assert len(log_receipt.read(receipt.read_bytes()).renewals) == 1
    receipt.write_bytes(b"{}")
    with pytest.raises(MalformedError, match="receipt_file_malformed"):
        renewing.renew(Wish((receipt,), tmp_path / "other"), pytest.fail, lambda *_: None)
