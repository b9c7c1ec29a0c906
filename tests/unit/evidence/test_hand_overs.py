"""EVI-17: what a bundle or a receipt brings along of hand-overs counts if it links to the list."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache

import pytest

from protocols.evidence.contents import BundleContents, Prepared, assemble, sign_statement
from protocols.evidence.verification import verify_bundle
from protocols.log import epochs as log_epochs
from protocols.log import leaf, merkle, votes
from protocols.log import policy as log_policy
from protocols.log import receipt as log_receipt
from protocols.log.checkpoint import Checkpoint, sign
from protocols.log.cosignature import sign as cosign
from protocols.log.epochs import HandOver
from protocols.log.leaf import Leaf, LeafKind
from protocols.log.proof import LogProof
from protocols.log.receipt import ReceiptFile
from protocols.member_list import LogEntry, MemberList, MemberListDraft, RegistryEntry, advance
from protocols.member_list import sign_list as signed_list
from protocols.title import registry_freeze as freezing
from protocols.title.json_forms import map_key
from protocols.title.proof import TitleProof
from protocols.title.registry import Arbiter, beginning, execute, hand_over, open_batch
from protocols.title.registry_entries import HandOverEntry, RootEntry
from protocols.title.registry_freeze import Freeze, Lineage, SignedFreeze
from protocols.verify import Receipt, verify_document
from schemas.errors import MalformedError, RefusedError
from schemas.findings import Check, Outcome, Report
from tests.support import evidence_world as world
from tests.support import title_world as titles
from tests.support.title_world import NOW, did, ecdsa, ed

OLD, NEW = world.WITNESSES, ("sg-port", "kz-rail", "cn-cert")
BOTH = tuple(dict.fromkeys((*OLD, *NEW)))
LATER = NOW + timedelta(minutes=2)
BEFORE = 8


def second_epoch() -> LogEntry:
    keys = [(world.witness_key(each), "") for each in NEW]
    policy = log_policy.threshold_policy(world.log_key("nl-port"), keys, 3)
    return replace(world.log_entry("nl-port"), epoch=2, policy=policy)


CHANGED = world.following(logs=(world.log_entry("nl-port"), second_epoch()))


def log_with_hand_over(cosigners: tuple[str, ...] = BOTH) -> tuple[world.Log, HandOver]:
    """nl-port's log, whose witnesses change after eight leaves, and the file that says so."""
    old, new = CHANGED.log_epochs(world.log_key("nl-port").name)
    digests = log_epochs.policy_digest(old), log_epochs.policy_digest(new)
    bare = HandOver(CHANGED.network, old.origin, 1, 2, *digests, BEFORE)
    entry = leaf.encode(Leaf(LeafKind.POLICY, bare.subject(), bare.commit(), None, 1))
    log = world.Log("nl-port", [b"%d" % number for number in range(BEFORE)])
    place = log.add(entry)
    return log, replace(bare, entry=entry, proof=log.proof(place, cosigners, NOW))


@dataclass
class Changed(world.Export):
    """An export whose statement stands in the log after the change, seen by the new witnesses."""

    carried: tuple[bytes, ...] = ()

    def contents(self) -> BundleContents:
        return replace(super().contents(), hand_overs=self.carried)

    def seal(self, prepared: Prepared) -> bytes:
        statement = self.statement(prepared.index_digest)
        log, _ = log_with_hand_over()
        proof = log.proof(log.add(statement.entry()), NEW, self.seen_at)
        return assemble(prepared, sign_statement(statement, ecdsa("nl-port", "exchange")), proof)


def exported(*carried: HandOver) -> bytes:
    return Changed(
        documents=(world.issued(),),
        statuses=(world.status(at=LATER),),
        lists=(world.MEMBERS, CHANGED),
        at=LATER,
        seen_at=LATER,
        carried=tuple(one.to_bytes() for one in carried),
    ).build()


def said(report: Report, check_id: str) -> tuple[Outcome, str]:
    check = report.check(check_id)
    assert isinstance(check, Check)
    return check.outcome, check.code


GOOD = log_with_hand_over()[1]


def test_r16_a_bundle_that_brings_the_hand_over_proves_time_by_the_new_witnesses() -> None:
    report = verify_bundle(exported(GOOD), CHANGED)
    assert report.verdict is Outcome.PASSED, report.to_json()
    check = report.check("EVI-17")
    assert check is not None
    assert check.evidence["handOvers"] == [f"{GOOD.origin} 1 > 2"]
    without = verify_bundle(exported(), CHANGED)
    assert said(without, "EVI-07") == (Outcome.INDETERMINATE, "unwitnessed")


def test_r16_a_moment_asked_about_is_judged_with_the_hand_over_too() -> None:
    report = verify_bundle(exported(GOOD), CHANGED, at=LATER)
    assert said(report, "EVI-15")[0] is Outcome.PASSED, report.to_json()


@pytest.mark.parametrize("cosigners", [OLD, NEW, BOTH[1:]])
def test_r5_a_hand_over_without_both_quorums_refuses_the_bundle(cosigners: tuple[str, ...]) -> None:
    report = verify_bundle(exported(log_with_hand_over(cosigners)[1]), CHANGED)
    assert said(report, "EVI-17") == (Outcome.FAILED, "hand_over_not_proven")
    assert said(report, "EVI-07")[0] is not Outcome.PASSED


def test_r5_a_hand_over_of_another_network_or_of_unlisted_epochs_counts_for_nothing() -> None:
    other = replace(GOOD, network=bytes(32))
    with pytest.raises(RefusedError, match="hand_over_not_proven"):
        log_epochs.with_hand_overs(CHANGED, [other])
    assert log_epochs.with_hand_overs(world.MEMBERS, [GOOD]) == world.MEMBERS
    with pytest.raises(MalformedError):
        log_epochs.with_hand_overs(CHANGED, [GOOD] * (log_epochs.MAX_CARRIED + 1))


def test_r16_another_size_than_the_list_states_is_refused() -> None:
    origin = GOOD.origin
    known = log_epochs.with_hand_overs(CHANGED, [GOOD, GOOD])
    assert known.log(origin).since == BEFORE + 1
    logs = (world.log_entry("nl-port"), replace(second_epoch(), since=BEFORE + 3))
    with pytest.raises(RefusedError, match="another size"):
        log_epochs.with_hand_overs(replace(CHANGED, logs=logs), [GOOD])


def test_r16_a_hand_over_from_an_epoch_that_was_over_is_refused() -> None:
    between = replace(second_epoch(), epoch=2, since=3)
    third = replace(second_epoch(), epoch=3)
    skipped = replace(CHANGED, logs=(world.log_entry("nl-port"), between, third))
    with pytest.raises(RefusedError, match="hand_over_not_proven"):
        log_epochs.with_hand_overs(skipped, [_renumbered()])


def _renumbered() -> HandOver:
    """From the first epoch to the third, cosigned by everybody."""
    bare = replace(GOOD, after=3, entry=b"", proof="")
    entry = leaf.encode(Leaf(LeafKind.POLICY, bare.subject(), bare.commit(), None, 1))
    log = world.Log("nl-port", [b"%d" % number for number in range(BEFORE)])
    place = log.add(entry)
    made = replace(bare, entry=entry, proof=log.proof(place, BOTH, NOW))
    straight = (world.log_entry("nl-port"), replace(second_epoch(), epoch=3))
    assert made.prove(straight, votes.everybody) == BEFORE + 1  # nothing else is wrong with it
    return made


def test_a_newer_list_that_names_the_size_needs_no_file() -> None:
    draft = MemberListDraft.after(CHANGED, issued_at=LATER, expires=NOW + timedelta(days=60))
    logs = (world.log_entry("nl-port"), replace(second_epoch(), since=BEFORE + 1))
    signed = signed_list(replace(draft, logs=logs).payload(), [ecdsa("founder", "root")])
    third = advance(CHANGED, signed, now=LATER + timedelta(minutes=1))
    report = verify_bundle(exported(), third, earlier=(world.MEMBERS, CHANGED))
    assert report.verdict is Outcome.PASSED, report.to_json()


# Receipt files.


def receipt(*carried: HandOver) -> Receipt:
    """A document's receipt under the new witnesses, through its file."""
    log, _ = log_with_hand_over()
    entry = world.leaf_of(world.issued())
    proof = log.proof(log.add(entry), NEW, NOW)
    data = ReceiptFile(entry, proof, hand_overs=carried).to_bytes()
    file = log_receipt.read(data)
    assert file.to_bytes() == data
    return Receipt(file.entry, file.proof, None, file)


def judged(given: Receipt, members: MemberList) -> Report:
    file = world.issued().to_bytes()
    return verify_document(
        file, members=members, at=NOW, status=world.status(), receipt=given, historical=True
    )[0]


def test_r16_a_receipt_file_brings_the_hand_over_along() -> None:
    report = judged(receipt(GOOD), CHANGED)
    assert said(report, "LOG-04") == (Outcome.PASSED, "")
    assert said(judged(receipt(), CHANGED), "LOG-04")[1] == "unwitnessed"
    # Under a list that does not name the new witnesses it is worth what it was without.
    assert judged(receipt(GOOD), world.MEMBERS) == judged(receipt(), world.MEMBERS)
    forged = log_with_hand_over(NEW)[1]
    report = judged(receipt(forged), CHANGED)
    assert said(report, "LOG-02") == (Outcome.FAILED, "hand_over_not_proven")
    assert said(report, "LOG-04")[0] is not Outcome.PASSED


# Titles that moved to another registry.

KAZAKH = titles.log_key("kz-rail")
SUCCESSOR = Arbiter(
    KAZAKH.name,
    KAZAKH.to_text(),
    log_policy.threshold_policy(
        KAZAKH, [(titles.witness_key(each), "") for each in titles.WITNESSES[:3]], 2
    ),
)
TWO = world.following(
    registries=(
        titles.registry_entry(),
        RegistryEntry(SUCCESSOR.origin, did("kz-rail"), SUCCESSOR.vkey, SUCCESSOR.policy_text),
    )
)


def freeze(size: int, root: bytes, state_root: bytes, root_key: str = "root") -> SignedFreeze:
    made = Freeze(
        network=TWO.network,
        arbiter=titles.ARBITER,
        at=size,
        root=root,
        members=TWO.digest,
        issued_at=NOW,
        state_root=state_root,
        successor=SUCCESSOR.id,
    )
    return freezing.draft(made).signed_by([ecdsa("founder", root_key)])


@cache
def moved() -> tuple[bytes, str, SignedFreeze]:
    """The title proven under the successor, its manifest, and the document between the two."""
    before, title, manifest = world.title_issued()
    tree = merkle.Tree(map(merkle.leaf_hash, before.entries))
    document = freeze(tree.size, tree.root(), before.registry.titles.root)
    start = beginning(TWO.network, Lineage((titles.ARBITER, SUCCESSOR), (document,)))
    lists = {world.MEMBERS.digest: world.MEMBERS, TWO.digest: TWO}
    base = execute(start, before.entries, lists.get, {}.get).registry
    at_ms = int(NOW.timestamp() * 1000)
    batch = replace(open_batch(base, TWO, at_ms), policy_digest=SUCCESSOR.policy_digest)
    entry = HandOverEntry(batch, document.to_bytes())
    after = hand_over(base, entry, TWO)
    root = RootEntry(after.network, after.number, after.at_ms, after.titles.root)
    entries = [*before.entries, entry.encode(), root.encode()]
    state = before.states[title]
    path = after.titles.path(map_key(title))
    proof = TitleProof(state, path, after.number, NOW, proof_of(entries, NOW))
    return proof.to_bytes(), manifest, document


def proof_of(entries: list[bytes], at: datetime) -> str:
    """The last entry under the successor's checkpoint, cosigned by its witnesses."""
    tree = merkle.Tree(map(merkle.leaf_hash, entries))
    head = Checkpoint(SUCCESSOR.origin, tree.size, tree.root())
    made = sign(head, KAZAKH, ed("kz-rail", "registry").sign)
    lines = [
        cosign(made.text, int(at.timestamp()), titles.witness_key(each),
               ed(each, "registry-witness").sign)
        for each in titles.WITNESSES[:3]
    ]  # fmt: skip
    text = made.with_signatures(lines).to_text()
    index = tree.size - 1
    return LogProof(index, tree.inclusion_proof(index, tree.size), text).to_text()


@dataclass
class Ended(world.Export):
    """An export with the ends of registries."""

    ends: tuple[bytes, ...] = ()

    def contents(self) -> BundleContents:
        return replace(super().contents(), freezes=self.ends)


def bundle(proof: tuple[bytes, str], *ends: SignedFreeze) -> bytes:
    return Ended(
        documents=(world.bill(),),
        statuses=(),
        titles=(proof,),
        lists=(world.MEMBERS, TWO),
        at=LATER,
        seen_at=LATER,
        ends=tuple(one.to_bytes() for one in ends),
    ).build()


def test_r21_a_title_that_went_on_at_a_successor_verifies_offline_with_the_document() -> None:
    proof, manifest, document = moved()
    report = verify_bundle(bundle((proof, manifest), document), TWO)
    assert report.verdict is Outcome.PASSED, report.to_json()
    report = verify_bundle(bundle((proof, manifest)), TWO)
    assert said(report, "EVI-11") == (Outcome.FAILED, "title_other_arbiter")
    # Who holds the document itself needs none in the bundle.
    held = {titles.ARBITER.id: document}
    report = verify_bundle(bundle((proof, manifest)), TWO, freezes=held)
    assert report.verdict is Outcome.PASSED, report.to_json()


def test_r5_an_end_that_the_roots_have_not_signed_refuses_the_bundle() -> None:
    proof, manifest, document = moved()
    told = document.freeze
    assert told.state_root is not None
    forged = freeze(told.at, told.root, told.state_root, "title")
    report = verify_bundle(bundle((proof, manifest), forged), TWO)
    assert said(report, "EVI-17") == (Outcome.FAILED, "freeze_threshold")
    assert said(report, "EVI-11")[0] is Outcome.FAILED


def test_r21_a_title_proven_beyond_its_registrys_end_is_refused() -> None:
    before, title, manifest = world.title_issued()
    proof = (before.proof(title).to_bytes(), manifest)
    tree = merkle.Tree(map(merkle.leaf_hash, before.entries))
    at_end = freeze(tree.size, tree.root(), before.registry.titles.root)
    assert verify_bundle(bundle(proof, at_end), TWO).verdict is Outcome.PASSED
    sooner = freeze(tree.size - 1, bytes(32), bytes(32))
    report = verify_bundle(bundle(proof, sooner), TWO)
    assert said(report, "EVI-11") == (Outcome.FAILED, "arbiter_frozen")
    # Also when the bundle keeps silent about it and only the verifier knows.
    report = verify_bundle(bundle(proof), TWO, freezes={titles.ARBITER.id: sooner})
    assert said(report, "EVI-11") == (Outcome.FAILED, "arbiter_frozen")


def test_r21_documents_that_lead_on_from_an_arbiter_are_found_in_order() -> None:
    document = moved()[2]
    held = {titles.ARBITER.id: document}
    assert freezing.leading_from(titles.ARBITER.id, held) == (document,)
    assert freezing.leading_from(SUCCESSOR.id, held) == ()
