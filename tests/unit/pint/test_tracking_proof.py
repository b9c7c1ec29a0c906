"""Records with receipts: proven under the member list, none left out; evidence of disputes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from protocols import times
from protocols.fields import Fields
from protocols.log import leaf
from protocols.log.leaf import Leaf, LeafKind
from protocols.log.merkle import leaf_hash
from protocols.pint import dispute
from protocols.pint.dispute import Evidence
from protocols.pint.platforms import MemberKeyring
from protocols.pint.reading import CODE
from protocols.pint.tracking import PlatformRecord, RecordAction, RegistryRecord
from protocols.pint.tracking_proof import (
    Receipt,
    ReceivedRecord,
    commit_of,
    read_answer,
    subject_of,
    verify_records,
)
from protocols.pint.tracking_state import replay
from protocols.pint.words import Action
from schemas.errors import MalformedError, RefusedError, TradeError
from tests.support import evidence_world, title_world
from tests.support import pint_world as w

A = RecordAction
DOCUMENT = w.bill()
EBL = w.checksum_of(DOCUMENT)
MEMBERS = w.member_list(
    w.draft(logs=(evidence_world.log_entry("nl-port"), evidence_world.log_entry("nhl")))
)
KEYRING = MemberKeyring(MEMBERS)
KEEPER = title_world.did("nl-port")
OURS = w.chain_of(w.first(DOCUMENT), [w.act(Action.TRANSFER, w.BUYER, w.OTHER, minute=2)])
LAST = dispute.open_entry(OURS[0]).jws.checksum


class Keeper:
    """A register with its log, in memory."""

    def __init__(self, owner: str = "nl-port") -> None:
        self.log = evidence_world.Log(owner)
        self.texts: list[str] = []
        self.leaves: list[bytes] = []

    def take(self, action: A, actor: str, **members: Any) -> bytes:
        head = None if not self.texts else self.ids[-1]
        plain = PlatformRecord(EBL, action, actor, w.NOW, previous=head)
        record = replace(plain, **members)
        self.texts.append(record.sign(w.signer_of(actor)))
        self.leaves.append(self._leaf())
        self.log.add(b"another's")
        self.log.add(self.leaves[-1])
        return self.ids[-1]

    def _leaf(self) -> bytes:
        before = leaf_hash(self.leaves[-1]) if self.leaves else None
        kind, at = LeafKind.TITLE_OPERATION_SEEN, times.to_ms(w.NOW)
        return leaf.encode(Leaf(kind, subject_of(EBL), commit_of(EBL, self.ids[-1]), before, at))

    @property
    def ids(self) -> list[bytes]:
        return [RegistryRecord(0, "HOME", w.NOW, text).id for text in self.texts]

    def answer(self, witnesses: tuple[str, ...] | None = None) -> list[ReceivedRecord]:
        chosen = evidence_world.WITNESSES if witnesses is None else witnesses
        return [
            ReceivedRecord(
                RegistryRecord(at, "HOME", w.NOW, text),
                Receipt(self.leaves[at], self.log.proof(2 * at + 1, chosen)),
            )
            for at, text in enumerate(self.texts)
        ]


def kept() -> Keeper:
    keeper = Keeper()
    intent = keeper.take(A.INTEND, "HOME", receiver="AWAY", last=LAST)
    keeper.take(A.ACCEPTED, "AWAY", answers=intent, last=LAST)
    return keeper


def verified(records: list[ReceivedRecord], register: str = KEEPER) -> Any:
    return verify_records(records, EBL, MEMBERS, KEYRING, register)


def test_records_are_proven_by_the_keepers_witnessed_log() -> None:
    proven = verified(kept().answer())
    assert (proven.final, proven.state.control.holder) == (True, "AWAY")
    assert replay([one.record for one in kept().answer()]) == proven.state
    assert verified([]) is None


def test_r21_a_record_without_a_quorum_or_a_proof_is_not_final() -> None:
    assert not verified(kept().answer(("cn-port",))).final
    records = kept().answer()
    records[1] = replace(records[1], receipt=replace(records[1].receipt, proof=None))
    assert not verified(records).final


def test_a_record_that_is_left_out_or_put_elsewhere_is_noticed() -> None:
    keeper = kept()
    keeper.take(A.SURRENDERED, "AWAY")
    whole = keeper.answer()
    for wrong in (whole[1:], whole[::-1], [whole[0], whole[2]], [*whole, whole[2]]):
        with pytest.raises(TradeError):
            verified(wrong)
    # Renumbered and linked anew by the platforms, the log still shows the one between.
    gap = Keeper()
    gap.take(A.INTEND, "HOME", receiver="AWAY", last=LAST)
    hidden = gap.take(A.CANCEL, "HOME", answers=gap.ids[0])
    gap.take(A.INTEND, "HOME", receiver="FARR", last=LAST)
    told = gap.answer()
    first = told[0]
    assert hidden == told[1].record.id
    again = PlatformRecord(EBL, A.CANCEL, "HOME", w.NOW, answers=first.record.id,
                           previous=first.record.id).sign(w.signer_of("HOME"))  # fmt: skip
    other = RegistryRecord(1, "HOME", w.NOW, again)
    entry = leaf.encode(replace(leaf.decode(gap.leaves[2]), commit=commit_of(EBL, other.id)))
    with pytest.raises(RefusedError, match="tracking_records_bad"):
        verified([first, ReceivedRecord(other, Receipt(entry, None))])


def test_what_is_not_the_bills_the_leafs_or_the_keepers_is_refused() -> None:
    whole = kept().answer()
    with pytest.raises(RefusedError, match="tracking_records_bad"):
        verify_records(whole, bytes(32), MEMBERS, KEYRING, KEEPER)
    with pytest.raises(RefusedError, match="tracking_records_bad"):
        verified(whole, title_world.did("nhl"))
    swapped = [replace(whole[0], receipt=whole[1].receipt)]
    with pytest.raises(RefusedError, match="tracking_records_bad"):
        verified(swapped)
    bare = [replace(one, receipt=replace(one.receipt, proof=None)) for one in whole]
    stranger = w.member_list(w.draft(nodes=w.draft().nodes[:1]))
    with pytest.raises(RefusedError, match="tracking_records_bad"):
        verify_records(bare, EBL, stranger, MemberKeyring(stranger), KEEPER)


def test_an_answer_is_read_as_it_was_sent() -> None:
    whole = kept().answer()
    body = json.loads(json.dumps({"records": [one.to_json() for one in whole]}))
    assert list(read_answer(Fields(body, CODE))) == whole
    body["records"][1]["receipt"]["proof"] = None
    assert read_answer(Fields(body, CODE))[1].receipt.proof is None
    body["records"][0]["receipt"]["entry"] = "no base64!"
    with pytest.raises(MalformedError, match=CODE):
        read_answer(Fields(body, CODE))


# Evidence of disputes.


def evidence(theirs: list[str] | None = None, **changes: Any) -> Evidence:
    forked = w.chain_of(w.first(DOCUMENT, w.ISSUE, w.act(Action.TRANSFER, w.SHIPPER, w.BANK)))
    made = Evidence(
        MEMBERS.network, EBL, "AWAY", "HOME", w.NOW, tuple(OURS),
        tuple(forked if theirs is None else theirs),
    )  # fmt: skip
    return replace(made, **changes)


def proven(one: Evidence) -> dispute.Proven:
    return dispute.prove(dispute.read(one.to_bytes()), MEMBERS, KEYRING)


def test_evidence_proves_where_two_chains_part_and_who_signed_both() -> None:
    found = proven(evidence())
    assert (found.parted, found.signed_both, found.recorded) == (0, ("HOME",), "")
    assert [one.row.value for one in found.places] == ["different", "only-left"]
    only_further = proven(evidence(OURS[:1]))
    assert (only_further.parted, only_further.signed_both) == (None, ())
    assert proven(evidence([], signed=OURS[0])).places[0].row.value == "only-left"


def test_the_register_says_which_of_two_chains_counts() -> None:
    records = tuple(kept().answer())
    guarded = evidence(register=KEEPER, records=records)
    assert proven(guarded).recorded == "ours"
    swapped = replace(guarded, ours=guarded.theirs, theirs=guarded.ours)
    assert proven(swapped).recorded == "theirs"
    assert proven(replace(guarded, theirs=guarded.ours)).recorded == "both"
    assert proven(replace(guarded, ours=guarded.theirs)).recorded == "neither"
    undecided = tuple(kept().answer(("cn-port",)))
    assert proven(replace(guarded, records=undecided)).recorded == ""


@pytest.mark.parametrize(
    "changes",
    [
        {"network": bytes(32)},
        {"ebl": bytes(32)},
        {"ours": tuple(OURS[1:])},
        {"ours": (OURS[0], OURS[0])},
        {"theirs": (w.resigned(OURS[0], w.platform_key("FARR")),)},
        {"theirs": (w.forged(OURS[0], lambda body: body.update(extra=1)),)},
    ],
)
def test_evidence_of_anything_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        proven(evidence(**changes))


def test_evidence_with_an_unlisted_platform_is_refused() -> None:
    first = w.first(DOCUMENT, platform="NONE").sign(w.platform_key("HOME"))
    with pytest.raises(RefusedError, match="pint_platform_unknown"):
        proven(evidence([first]))


def test_what_evidence_says_of_a_title_is_kept_for_whoever_verifies_it() -> None:
    made = evidence(title={"arbiter": "00", "proof": {}})
    assert dispute.read(made.to_bytes()) == made


def test_a_file_that_is_no_evidence_is_malformed() -> None:
    whole = json.loads(evidence().to_bytes())
    wrong = [whole | {"type": "urn:other"}, whole | {"ours": "x"}, whole | {"theirs": ["a.b"]}]
    for one in wrong:
        with pytest.raises(MalformedError, match=dispute.CODE):
            dispute.read(json.dumps(one).encode())
