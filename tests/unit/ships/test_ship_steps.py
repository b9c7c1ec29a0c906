"""SHIP-01 … SHIP-03 over made-up lists and registers; which rights are delegations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from protocols import jws, rights, ship_register
from protocols.member_list import IssuerEntry, MemberList
from protocols.ship_register import RegisterAnswer
from protocols.verify import ship_steps
from protocols.verify.ship_steps import ship_checks
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError
from schemas.findings import Outcome
from tests.support import made_network
from tests.support.made_network import NOW, START, A, B, node, signer
from tests.unit.documents.example_edits import edited, example

LONG_AGO = datetime(2019, 1, 1, tzinfo=UTC)
TYPE, UTN, DIGEST = "ship-certificate", "SG-HCS-24-0815-7F3K", bytes([7]) * 32
RIGHT = IssuerEntry(A, TYPE, "SG", LONG_AGO)
DELEGATION = replace(RIGHT, did=B, delegated_by=A, certificate_types=("IOPP", "ILL"))
FOUNDED = made_network.founded().members


def listing(*issuers: IssuerEntry, **roles: Any) -> MemberList:
    nodes = (node(A, "SG", 1, roles=("port",)), node(B, "NO", 2, roles=("issuer",), **roles))
    return replace(FOUNDED, issuers=issuers, nodes=nodes)


MEMBERS = listing(RIGHT, DELEGATION)


def answer(*documents: bytes, at: datetime = NOW, **changes: Any) -> str:
    said = RegisterAnswer(MEMBERS.network, B, UTN, documents, at)
    return ship_register.sign(replace(said, **changes), signer(f"{B}#credential-1"))


KNOWN = answer(DIGEST)


def case(members: MemberList = MEMBERS, *, issuer: str = B, **changes: Any) -> Any:
    document = edited(example(TYPE), changes.pop("edits", {}))
    claims = SimpleNamespace(document_type=TYPE, issuer=issuer, valid_from=NOW)
    values: dict[str, Any] = {
        "members": members, "at": NOW, "claims": claims, "view": object(), "logs": None,
        "document": document, "file": SimpleNamespace(payload=b""), "signed_by": NOW,
        "jws": SimpleNamespace(payload_digest=DIGEST), "register": KNOWN, "register_fault": "",
    }  # fmt: skip
    return SimpleNamespace(**(values | changes))


def told(one: Any) -> dict[str, tuple[Outcome, str]]:
    checks, findings = ship_checks(one)
    broken = {check.code for check in checks if check.outcome is Outcome.FAILED}
    assert broken <= {ship_steps.CODES[finding.rule] for finding in findings}
    assert bool(broken) == bool(findings)
    return {check.id: (check.outcome, check.code) for check in checks}


GOOD = dict.fromkeys(ship_steps.STEPS, (Outcome.PASSED, ""))


def test_a_certificate_in_order_passes_all_three() -> None:
    assert told(case()) == GOOD
    checks, _ = ship_checks(case())
    given = checks[1].evidence["delegations"]
    assert [one["certificateTypes"] for one in given] == [["ILL", "IOPP"]]


def test_other_documents_are_not_asked_and_unread_ones_are_not_reached() -> None:
    other = SimpleNamespace(document_type="bill-of-lading", issuer=B, valid_from=NOW)
    assert ship_checks(case(claims=other)) == ((), ())
    assert ship_checks(case(claims=None)) == ((), ())
    assert {code for _, code in told(case(view=None)).values()} == {"not_reached"}


def test_the_bytes_are_read_where_nothing_is_parsed_yet() -> None:
    payload = strict_json.canonical(example(TYPE))
    assert told(case(document=None, file=SimpleNamespace(payload=payload))) == GOOD


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (datetime(2027, 6, 15, tzinfo=UTC), "ship_window_missed"),
        (datetime(2029, 3, 15, tzinfo=UTC), "ship_certificate_expired"),
    ],
)
def test_ship_01_a_missed_window_and_an_expired_certificate_fail(at: datetime, code: str) -> None:
    assert told(case(at=at))["SHIP-01"] == (Outcome.FAILED, code)


@pytest.mark.parametrize(
    "issuers",
    [
        (RIGHT, replace(DELEGATION, valid_until=NOW)),
        (replace(RIGHT, valid_until=NOW), DELEGATION),
        (RIGHT, replace(DELEGATION, valid_from=NOW - timedelta(days=1))),
        (RIGHT, replace(DELEGATION, certificate_types=("ILL",))),
        (RIGHT, replace(DELEGATION, did=A)),
        (RIGHT, replace(DELEGATION, delegated_by=None)),
        (replace(RIGHT, certificate_types=("ILL",)), DELEGATION),
        (replace(RIGHT, certificate_types=("ILL",)), replace(DELEGATION, certificate_types=())),
        (RIGHT,),
        (DELEGATION,),
    ],
)
def test_ship_02_without_the_flag_states_delegation_it_fails(
    issuers: tuple[IssuerEntry, ...],
) -> None:
    assert told(case(listing(*issuers)))["SHIP-02"] == (Outcome.FAILED, "ship_not_delegated")


def test_ship_02_a_delegation_withdrawn_later_counts_until_then() -> None:
    until = NOW + timedelta(days=1)
    members = listing(RIGHT, replace(DELEGATION, valid_until=until, certificate_types=()))
    assert told(case(members)) == GOOD
    assert told(case(members, at=until - timedelta(milliseconds=1))) == GOOD
    assert told(case(members, at=until))["SHIP-02"][0] is Outcome.FAILED


def test_ship_02_a_list_without_the_flag_says_nothing() -> None:
    expected = (Outcome.INDETERMINATE, "ship_delegations_unknown")
    assert told(case(listing()))["SHIP-02"] == expected


def test_ship_02_an_administration_needs_its_own_right_or_role() -> None:
    edits = {"/onBehalfOf": "FLAG_ADMINISTRATION"}
    register = {"register": None}
    own = case(issuer=A, edits=edits, **register)
    assert told(own)["SHIP-02"] == (Outcome.PASSED, "")
    assert told(case(listing(), issuer=A, edits=edits, **register))["SHIP-02"][0] is Outcome.PASSED
    for issuer, members in ((B, MEMBERS), (B, listing()), ("did:web:x.example", listing())):
        found = told(case(members, issuer=issuer, edits=edits, **register))["SHIP-02"]
        assert found == (Outcome.FAILED, "ship_not_delegated")
    over = listing(replace(RIGHT, valid_until=NOW - timedelta(days=1)), DELEGATION)
    assert told(case(over, issuer=A, edits=edits, **register))["SHIP-02"][0] is Outcome.FAILED
    # Proven to be signed while the right held: an administration that was replaced since.
    then = NOW - timedelta(days=2)
    early = SimpleNamespace(document_type=TYPE, issuer=A, valid_from=then)
    found = told(case(over, claims=early, signed_by=then, edits=edits, **register))["SHIP-02"]
    assert found[0] is Outcome.PASSED


def test_delegated_rights_are_no_rights_of_an_administration() -> None:
    named = listing(replace(DELEGATION, did=A, delegated_by=B))
    assert not rights.administers(named, A, "SG", NOW)


def test_r23_ship_03_a_silent_register_leaves_it_open() -> None:
    open_ = Outcome.INDETERMINATE
    assert told(case(register=None))["SHIP-03"] == (open_, "ship_register_silent")
    fault = told(case(register=None, register_fault="ship_register_refused"))
    assert fault["SHIP-03"] == (open_, "ship_register_refused")
    assert told(case(register="no.thing.here"))["SHIP-03"][0] is open_
    for other in (answer(DIGEST, number="SG-HCS-24-0816-0000"), answer(DIGEST)):
        issuer = B if other != KNOWN else A
        found = told(case(register=other, issuer=issuer))["SHIP-03"]
        assert found == (open_, "ship_register_other")


def test_ship_03_what_the_register_does_not_know_is_no_certificate() -> None:
    failed = (Outcome.FAILED, "ship_number_unknown")
    assert told(case(register=answer()))["SHIP-03"] == failed
    assert told(case(register=answer(bytes(32))))["SHIP-03"] == failed
    before = answer(at=NOW - timedelta(seconds=1))
    expected = (Outcome.INDETERMINATE, "ship_register_silent")
    assert told(case(register=before))["SHIP-03"] == expected
    assert told(case(register=answer(DIGEST, at=NOW - timedelta(days=3)))) == GOOD


def test_r5_an_answer_counts_by_its_own_credential_key_of_this_network_alone() -> None:
    said = RegisterAnswer(MEMBERS.network, B, UTN, (DIGEST,), NOW)
    assert ship_register.open_answer(KNOWN, MEMBERS).documents == (DIGEST,)
    for text in (
        ship_register.sign(said, signer(f"{B}#title-1")),
        ship_register.sign(said, signer(f"{B}#credential-9")),
        answer(DIGEST, network=bytes(32)),
        answer(DIGEST, at=START - timedelta(days=1)),
    ):
        with pytest.raises(RefusedError) as refused:
            ship_register.open_answer(text, MEMBERS)
        assert refused.value.code == "ship_register_refused"
    with pytest.raises(MalformedError):
        ship_register.open_answer(answer(DIGEST, register=A), MEMBERS)
    other = jws.sign(said.payload(), typ="vc+jwt", signer=signer(f"{B}#credential-1"), cty="vc")
    with pytest.raises(RefusedError):
        ship_register.open_answer(other, MEMBERS)
    forged = KNOWN.rpartition(".")[0] + "." + answer(bytes(32)).rpartition(".")[2]
    with pytest.raises(RefusedError) as bad:
        ship_register.open_answer(forged, MEMBERS)
    assert bad.value.code == "bad_signature"


@pytest.mark.parametrize("code", [*ship_steps.STEPS, *ship_steps.CODES.values()])
def test_every_answer_is_explained(code: str) -> None:
    entry = explain(code)
    assert entry is not None
    assert all((entry.en, entry.zh, entry.next, entry.next_zh, entry.source))
