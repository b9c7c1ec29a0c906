"""Each step over an exit file refuses the one lie that it is there for, EXIT-01 to EXIT-08."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from node.title import exit_file
from node.title.exit_file import ExitFile
from protocols.digest import sha256
from protocols.member_list import MemberListDraft, advance, sign_list, write_export
from protocols.title import registry
from protocols.title.machine import Bill, Ending, Issuance, Kind
from protocols.title.operation import sign_manifest
from schemas import laws, strict_json
from tests.support import pint_world as pint
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    NOW,
    World,
    did,
    draft,
    ecdsa,
    manifest,
    operation,
    party,
    signed,
)

if TYPE_CHECKING:
    from protocols.member_list import MemberList
    from protocols.title.machine import Operation, TitleState
    from protocols.title.operation import IssuanceManifest
    from schemas.findings import Check

ROOT = ecdsa("founder", "root")
FOUNDING = sign_list(draft().payload(), [ROOT])


@cache
def second() -> tuple[bytes, MemberList]:
    """The next list, in which the carrier is a platform too."""
    after = MemberListDraft.after(MEMBERS, issued_at=NOW, expires=NOW + timedelta(days=30))
    held = MEMBERS.nodes[0]
    keys = (
        *held.keys,
        *(key for key in pint.node("HOME", "nhl").keys if key.purpose == "platform"),
    )
    nodes = (replace(held, keys=keys, platform="HOME"), *MEMBERS.nodes[1:])
    payload = sign_list(replace(after, nodes=nodes).payload(), [ROOT])
    return payload, advance(MEMBERS, payload, now=NOW)


VERSIONS = (MEMBERS, second()[1])
DOCUMENT = pint.bill()


def named(**changes: Any) -> IssuanceManifest:
    checksum = sha256(strict_json.canonical(DOCUMENT))
    made = replace(manifest(), document_checksum=checksum, law="MLETR")
    return replace(made, rulebook=laws.rulebook_digest(), **changes)


def titled(issuance: IssuanceManifest, ended: bool = False) -> tuple[World, bytes]:
    """A title that exp-a passed on to the bank; or one that was delivered against."""
    world, title = World(), issuance.title()
    plain = operation(Kind.ISSUE, title, 0, "nhl", "exp-a")
    entry = sha256(issuance.to_bytes())
    world.run(signed(replace(plain, entry=entry, issuance=Issuance(Bill.BLANK, None, None))))
    world.go(Kind.TRANSFER, title, "exp-a", "bank")
    if ended:
        world.go(Kind.SURRENDER_FOR_DELIVERY, title, "bank")
        world.go(Kind.ACCEPT_SURRENDER, title, "nhl")
        world.run(signed(replace(operation(Kind.END, title, 4, "nhl"), ending=Ending.DELIVERED)))
    return world, title


def exported(issuance: IssuanceManifest | None = None, *, ended: bool = False) -> ExitFile:
    told = issuance or named()
    world, title = titled(told, ended)
    news = {
        "arbiter": ARBITER.id.hex(),
        "proof": world.proof(title).to_json(),
        "history": list(world.operations[title]),
        "issuance": sign_manifest(told, ecdsa("nhl", "title")),
    }
    return ExitFile(
        network=MEMBERS.network,
        exporter=did("nl-port"),
        at=NOW,
        news=news,
        document=strict_json.canonical(DOCUMENT),
        lists=write_export([FOUNDING, second()[0]]),
        chain=tuple(pint.chain_of(pint.first(DOCUMENT))),
    )


def checks(file: ExitFile, versions: tuple[MemberList, ...] = VERSIONS) -> dict[str, Check]:
    report = exit_file.verify(file.to_bytes(), versions)
    return {one.id: one for one in report.checks}


def outcome(step: str, file: ExitFile) -> tuple[str, str]:
    found = checks(file)[step]
    return found.outcome.value, found.code


def test_every_step_passes_over_a_true_file() -> None:
    found = checks(exported())
    assert {one.outcome.value for one in found.values()} == {"PASSED"}, found
    assert found["EXIT-08"].evidence["possessor"] == did("bank")


def test_exit_01_a_file_of_another_network_is_refused_and_nothing_later_is_reached() -> None:
    found = checks(replace(exported(), network=bytes(32)))
    assert found["EXIT-01"].code == "title_exit_other_network"
    assert {found[f"EXIT-{at:02}"].code for at in range(2, 9)} == {"not_reached"}


def test_exit_02_lists_that_differ_from_the_held_ones_are_refused() -> None:
    other = sign_list(replace(draft(), name="Others").payload(), [ROOT])
    assert outcome("EXIT-02", replace(exported(), lists=write_export([other])))[0] == "FAILED"


def test_exit_02_lists_without_a_version_that_is_held_are_not_linked() -> None:
    later = checks(replace(exported(), lists=write_export([FOUNDING])), VERSIONS[1:])
    assert later["EXIT-02"].code == "title_exit_list_unlinked"


def test_exit_03_a_history_that_the_proof_does_not_commit_to_is_refused() -> None:
    file = exported()
    shorter = file.news | {"history": file.news["history"][:1]}
    found = checks(replace(file, news=shorter))
    assert found["EXIT-03"].code == "title_history_mismatch"
    assert found["EXIT-08"].code == "not_reached"


def test_exit_04_a_state_that_arbiter_and_witnesses_made_up_together_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = registry.apply

    def lying(state: TitleState | None, made: Operation, *rest: Any, **more: Any) -> TitleState:
        after = honest(state, made, *rest, **more)
        return replace(after, possessor=party("imp-a")) if made.kind is Kind.TRANSFER else after

    with monkeypatch.context() as patched:
        patched.setattr(registry, "apply", lying)
        file = exported()
    found = checks(file)
    assert found["EXIT-03"].outcome.value == "PASSED"
    assert (found["EXIT-04"].outcome.value, found["EXIT-04"].code) == (
        "FAILED",
        "title_history_mismatch",
    )


def test_exit_05_another_document_than_the_manifests_is_refused() -> None:
    file = replace(exported(), document=b'{"transportDocumentReference":"X"}')
    assert outcome("EXIT-05", file) == ("FAILED", "title_exit_other_document")


def test_exit_05_without_the_manifest_nobody_knows_which_document_it_is() -> None:
    file = exported()
    news = {name: value for name, value in file.news.items() if name != "issuance"}
    assert outcome("EXIT-05", replace(file, news=news)) == (
        "INDETERMINATE",
        "title_exit_no_manifest",
    )


def test_exit_06_a_title_that_names_no_law_or_an_unlisted_one_is_left_open() -> None:
    silent = exported(replace(manifest(), document_checksum=named().document_checksum))
    assert outcome("EXIT-06", silent) == ("INDETERMINATE", "title_exit_no_law")


def test_exit_07_a_chain_with_an_entry_left_out_or_of_another_bill_is_refused() -> None:
    file = exported()
    longer = pint.chain_of(pint.first(DOCUMENT), (pint.TO_BUYER,))
    assert outcome("EXIT-07", replace(file, chain=tuple(longer)))[0] == "PASSED"
    assert outcome("EXIT-07", replace(file, chain=tuple(longer[1:])))[0] == "FAILED"
    other = tuple(pint.chain_of(pint.first(pint.bill("straight"))))
    assert outcome("EXIT-07", replace(file, chain=other)) == ("FAILED", "pint_chain_broken")


def test_exit_08_an_ended_title_is_in_nobodys_control() -> None:
    found = checks(exported(ended=True))["EXIT-08"]
    assert (found.reason, found.evidence["ending"]) == ("ended", "delivered")
