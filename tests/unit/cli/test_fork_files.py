"""`pratique evidence verify` of fork files: with the member list alone, and no forged one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from protocols.log import checkpoint, note
from protocols.log.checkpoint import Checkpoint
from protocols.log.fork_evidence import ForkEvidence
from protocols.member_list import MemberList, MemberListDraft, sign_list, write_export
from protocols.title.fork import History, TitleFork
from protocols.title.machine import Kind
from schemas.errors import TradeError
from tests.support.title_world import (
    ARBITER,
    MEMBERS,
    NOW,
    World,
    ecdsa,
    ed,
    issue,
    log_key,
    signed,
)


def verified(folder: Path, data: bytes, lists: tuple[bytes, ...] = (MEMBERS.signed,)) -> Any:
    """What the command says of a file; raises what it raises."""
    trust, file = folder / "members.json", folder / "fork.json"
    trust.write_bytes(write_export(lists))
    file.write_bytes(data)
    asked = ["evidence", "verify", str(file), "--trust", str(trust), "--json"]
    done = CliRunner().invoke(build(["evidence"]), asked)
    if done.exception is not None:
        raise done.exception
    return json.loads(done.stdout)


def refusal(folder: Path, data: bytes, lists: tuple[bytes, ...] = (MEMBERS.signed,)) -> str:
    with pytest.raises(TradeError) as caught:
        verified(folder, data, lists)
    return caught.value.code


# Of a title.


def history(to: str) -> History:
    world, title = World(), issue().title
    world.run(signed(issue()))
    world.go(Kind.TRANSFER, title, "exp-a", to)
    return History(ARBITER.id, world.proof(title), tuple(world.operations[title]))


def test_r21_a_title_fork_convinces_with_the_member_list_alone(tmp_path: Path) -> None:
    one, other = history("bank"), history("imp-a")
    told = verified(tmp_path, TitleFork(one, other).to_bytes())
    assert (told["proven"], told["title"]) == (True, issue().title.hex())
    assert told["heads"] == [side.proof.state.head.hex() for side in (one, other)]
    plain = CliRunner().invoke(
        build(["evidence"]),
        ["evidence", "verify", str(tmp_path / "fork.json"), "--trust",
         str(tmp_path / "members.json")],
    )  # fmt: skip
    assert plain.exit_code == 0
    assert "PROVEN" in plain.stdout


def test_r5_a_title_fork_that_no_quorum_cosigned_is_refused(tmp_path: Path) -> None:
    one, other = history("bank"), history("imp-a")
    world, title = World(), issue().title
    world.run(signed(issue()))
    world.go(Kind.TRANSFER, title, "exp-a", "imp-a")
    alone = replace(other, proof=world.proof(title, ("cn-port",)))
    assert refusal(tmp_path, TitleFork(one, alone).to_bytes()) == "title_proof_unwitnessed"
    assert refusal(tmp_path, TitleFork(one, one).to_bytes()) == "title_not_contradicted"


# Of a registry.


def registry_fork(signer: str = "nhl") -> bytes:
    key = log_key("nhl")
    sign = ed(signer, "registry").sign
    heads = (Checkpoint(key.name, 3, bytes([root]) * 32) for root in (1, 2))
    notes = (checkpoint.sign(head, key, sign) for head in heads)
    one, other = (each.to_text() for each in notes)
    return ForkEvidence(MEMBERS.network, key.name, (one, other)).to_bytes()


def test_r21_a_registry_fork_convinces_with_the_member_list_alone(tmp_path: Path) -> None:
    told = verified(tmp_path, registry_fork())
    assert (told["origin"], told["sizes"]) == (log_key("nhl").name, [3, 3])
    assert note.parse_vkey(MEMBERS.registries[0].vkey).name == told["origin"]


def test_r5_a_registry_fork_by_another_key_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, registry_fork("kz-rail")) == "note_signature_invalid"


# Of the member list.

ROOT = ecdsa("founder", "root")


def second(name: str, *roots: Any) -> bytes:
    """A second version of the list, by these roots."""
    draft = MemberListDraft.after(MEMBERS, issued_at=NOW, expires=MEMBERS.expires)
    return sign_list(replace(draft, name=name).payload(), list(roots or (ROOT,)))


def test_r4_two_lists_of_one_version_convict_the_roots_that_signed_both(tmp_path: Path) -> None:
    one, other = second("One"), second("Other")
    for lists in ((MEMBERS.signed,), (MEMBERS.signed, one)):
        told = verified(tmp_path, write_export([one, other]), lists)
        assert (told["version"], told["signedBoth"]) == (2, [ROOT.kid])
        assert len(set(told["digests"])) == 2


@pytest.mark.parametrize("case", ["same", "stranger", "alone", "founding"])
def test_r5_lists_that_prove_no_fork_are_refused(tmp_path: Path, case: str) -> None:
    one = second("One")
    other = {
        "same": [one, one],
        "stranger": [one, second("Other", ecdsa("nhl", "title"))],
        "alone": [one],
        "founding": [MEMBERS.signed, founded_elsewhere().signed],
    }[case]
    assert refusal(tmp_path, write_export(other)) == "member_list_fork_not_proven"


def test_r4_a_list_that_follows_another_one_proves_nothing(tmp_path: Path) -> None:
    elsewhere = founded_elsewhere()
    draft = MemberListDraft.after(elsewhere, issued_at=NOW, expires=MEMBERS.expires)
    foreign = sign_list(draft.payload(), [ROOT])
    data = write_export([second("One"), foreign])
    assert refusal(tmp_path, data) == "member_list_fork_not_proven"


def founded_elsewhere() -> MemberList:
    from tests.support.title_world import draft, member_list

    return member_list(replace(draft(), name="Elsewhere"))
