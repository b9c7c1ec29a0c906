"""Join requests, rights to issue, derived policies, export files."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa

from node.trust import views
from protocols import joining, member_list, rights
from protocols.joining import JoinRequest, Right
from protocols.log import note
from protocols.log import policy as log_policy
from protocols.member_list import IssuerEntry, LogEntry, MemberListDraft, NodeEntry, PartyEntry
from protocols.members import policies
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError, RefusedError, TradeError
from schemas.view import DocumentType
from tests.support.made_network import NOW, START, A, B, following, founded, listed, signer

MADE = founded()
C, D, GUEST = "did:web:c.example", "did:web:d.example", "did:web:guest.example"
PURPOSES = ("credential", "exchange", "log", "witness", "registry", "registry-witness")


def newcomer(did: str = C, purposes: tuple[str, ...] = PURPOSES) -> NodeEntry:
    keys = tuple(listed(f"{did}#{purpose}-1", purpose) for purpose in purposes)
    return NodeEntry(did, "C", ("port",), "KZ", "http://127.0.0.1:3", keys)


def guest(host: str = C, did: str = GUEST) -> PartyEntry:
    return PartyEntry(did, "Guest", host, (listed(f"{did}#title-1", "title"),))


def request(node: NodeEntry | None = None, **more: object) -> bytes:
    node = node or newcomer()
    parties: tuple[PartyEntry, ...] = more.pop("parties", ())
    kids = [key.kid for owner in (node, *parties) for key in owner.keys]
    values = {
        "network": MADE.members.network,
        "issued_at": NOW,
        "signers": [signer(kid) for kid in kids],
        **more,
    }
    return joining.build(node=node, parties=parties, **values)


def read(signed: bytes) -> JoinRequest:
    return joining.read(signed, test=True)


def test_a_request_carries_what_it_offers_and_every_key_signs() -> None:
    wants = (Right("certificate-of-origin", "KZ"), Right("aeo-status", "KZ", "desk"))
    node = newcomer()
    log = policies.log_of(node)
    opened = read(request(node, parties=(guest(),), log=log, wants=wants))
    assert (opened.node, opened.parties, opened.log) == (node, (guest(),), log)
    assert opened.wants == wants
    assert len(opened.keys) == len(PURPOSES) + 1
    joining.require_admissible(opened, MADE.members, NOW)
    assert not joining.is_admitted(opened, MADE.members)
    entry = wants[1].entry(C, NOW)
    assert (entry.did, entry.office) == (C, "desk")


def test_r1_a_key_that_did_not_sign_is_not_offered() -> None:
    node = newcomer()
    kids = [key.kid for key in node.keys]
    with pytest.raises(RefusedError) as caught:
        read(request(node, signers=[signer(kid) for kid in kids[1:]]))
    assert caught.value.code == "join_unproven"

    class Liar:
        kid, algorithm = kids[0], "ES256"
        public_jwk = signer(kids[0]).public_jwk
        sign = staticmethod(signer(kids[1]).sign)

    with pytest.raises(RefusedError) as caught:
        read(request(node, signers=[Liar(), *(signer(kid) for kid in kids[1:])]))
    assert caught.value.code == "bad_signature"


@pytest.mark.parametrize(
    "change",
    [
        {"parties": (guest(host=A),)},
        {"log": LogEntry("o", A, "k")},
        {"node": newcomer(purposes=("credential",))},
    ],
)
def test_a_node_asks_only_for_itself_and_can_be_called(change: dict) -> None:
    node = change.pop("node", None)
    with pytest.raises(MalformedError) as caught:
        read(request(node, **change))
    assert caught.value.code == "join_malformed"


def test_what_is_not_meant_for_this_network_or_moment_is_refused() -> None:
    for signed, code in (
        (request(network=bytes(32)), "join_other_network"),
        (request(issued_at=NOW - timedelta(days=2)), "join_expired"),
        (request(issued_at=NOW + timedelta(minutes=2)), "join_expired"),
        (request(replace(newcomer(), did=A, keys=strange(A))), "join_did_taken"),
        (request(parties=(guest(did="did:web:exporter.example"),)), "join_did_taken"),
    ):
        with pytest.raises(TradeError) as caught:
            joining.require_admissible(read(signed), MADE.members, NOW)
        assert caught.value.code == code


def strange(did: str) -> tuple[member_list.ListedKey, ...]:
    return (listed(f"{did}#exchange-77", "exchange"),)


def test_a_member_asks_again_with_a_key_it_has_but_not_for_anothers_party() -> None:
    known = MADE.members.node(B)
    assert known is not None
    kids = tuple(key for key in known.keys if key.purpose == "exchange")
    more = replace(known, keys=(*kids, *strange(B)))
    opened = read(request(more))
    joining.require_admissible(opened, MADE.members, NOW)
    assert not joining.is_admitted(opened, MADE.members)
    assert joining.is_admitted(read(request(replace(known, keys=kids))), MADE.members)
    taken = replace(MADE.members.parties[0], host=B)
    with pytest.raises(ConflictError) as caught:
        joining.require_admissible(read(request(more, parties=(taken,))), MADE.members, NOW)
    assert "hosted at" in caught.value.detail


CERTIFICATE = DocumentType("certificate-of-origin", "861", "", "", "", ("issuer", "customs"), "X")
BILL = DocumentType("bill-of-lading", "705", "", "", "", ("carrier",), "X")
ANY = DocumentType("commercial-invoice", "380", "", "", "", (), "X")
PORT = DocumentType("release-order", "129", "", "", "", ("port",), "X")


@pytest.mark.parametrize(
    ("did", "kind", "export", "expected"),
    [
        (A, CERTIFICATE, "CN", "CN"),
        (A, CERTIFICATE, None, "CN"),
        (A, CERTIFICATE, "NL", None),
        (B, CERTIFICATE, "CN", None),
        (B, CERTIFICATE, None, "NL"),  # customs by role: nobody is named for NL
        (A, BILL, "CN", None),
        (A, PORT, "NL", "CN"),
        (B, ANY, "CN", "NL"),
        (C, ANY, None, None),
    ],
)
def test_rights_are_listed_by_type_and_country_or_follow_from_the_role(
    did: str, kind: DocumentType, export: str | None, expected: str | None
) -> None:
    found = rights.country_of_right(MADE.members, did, kind, export_country=export, at=NOW)
    assert found == expected


def test_a_right_counts_only_in_its_time() -> None:
    kind = replace(CERTIFICATE, key="quality-certificate", issuer_roles=("issuer",))
    late = NOW + timedelta(days=20)
    for at, expected in ((NOW, "NL"), (late, None)):
        found = rights.country_of_right(MADE.members, B, kind, export_country="NL", at=at)
        assert found == expected


def witnessed_draft() -> MemberListDraft:
    draft = following(MADE)
    for did in (C, D, "did:web:e.example", "did:web:f.example"):
        draft = draft.with_node(newcomer(did))
        log = policies.log_of(draft.nodes[-1])
        assert log is not None
        draft = draft.with_log(log)
    return draft


def test_r16_policies_leave_the_operator_out_and_tolerate_liars() -> None:
    names = [C, D, "did:web:e.example", "did:web:f.example"]
    draft = replace(witnessed_draft(), logs=witnessed_draft().logs[1:])
    draft = policies.with_witnesses(draft, names)
    for log in draft.logs:
        policy = log_policy.parse(log.policy)
        assert len(policy.witnesses) == 3
        log_policy.check(policy, log.origin)
    entry = policies.registry_of(draft, C, names, 3)
    assert entry.origin == "c.example/registry/1"
    assert "d.example/registry-witness/1" in entry.policy
    listed = draft.with_registry(entry)
    assert policies.registry_of(listed, C, names, 3) == entry
    # R19: another policy is another arbiter, which takes nothing over by being listed.
    other = policies.registry_of(listed, C, names[:3])
    assert other.origin == "c.example/registry/2"
    assert len(listed.with_registry(other).registries) == len(listed.registries) + 1
    with pytest.raises(RefusedError) as caught:
        policies.with_witnesses(draft, names, 1)
    assert caught.value.code == "policy_intolerant"


def test_policies_know_keys_without_giving_them_a_vote() -> None:
    names = [C, D, "did:web:e.example", "did:web:f.example"]
    draft = replace(witnessed_draft(), logs=witnessed_draft().logs[1:])
    second = mldsa.MLDSA44PrivateKey.from_seed_bytes(bytes(32)).public_key().public_bytes_raw()
    vkey = note.verifier_key("d.example/witness/1", note.ML_DSA_44, second).to_text()
    known = policies.with_witnesses(draft, names, known=[vkey])
    plain = policies.with_witnesses(draft, names)
    for log, other in zip(known.logs, plain.logs, strict=True):
        policy, without = log_policy.parse(log.policy), log_policy.parse(other.policy)
        assert set(policy.witnesses) - set(without.witnesses) == {"k1"}
        assert policy.voters(log.origin) == without.voters(log.origin)
        assert policy.confirmations(log.origin) == without.confirmations(log.origin)
    read = views.read_wish({"witnesses": [C], "known": [vkey]})
    assert read.known == (vkey,)
    with pytest.raises(MalformedError):
        policies.with_witnesses(draft, names, known=["no key"])


def test_who_lists_no_key_for_it_is_no_witness_and_no_registry() -> None:
    draft = witnessed_draft()
    for call in (
        lambda: policies.registry_of(draft, A, []),
        lambda: policies.registry_of(draft, C, [A]),
        lambda: policies.registry_of(draft, "did:web:nobody.example", []),
    ):
        with pytest.raises(RefusedError) as caught:
            call()
        assert caught.value.code == "witness_without_key"
    assert policies.log_of(newcomer(purposes=("exchange",))) is None


def test_an_export_file_opens_to_the_newest_list() -> None:
    second = member_list.sign_list(following(MADE).payload(), MADE.roots[:2])
    data = member_list.write_export([MADE.members.signed, second])
    assert member_list.read_export(data) == [MADE.members.signed, second]
    newest = member_list.open_export(data, now=NOW, network=MADE.members.network)
    assert newest.version == 2
    assert member_list.open_export(MADE.members.signed) == MADE.members
    assert member_list.walk([MADE.members.signed, second], None, now=NOW) == [MADE.members, newest]
    assert member_list.walk([MADE.members.signed, second], newest, now=NOW) == []
    for bad in ({}, {"lists": {}}, {"lists": [{}]}):
        with pytest.raises(MalformedError):
            member_list.open_export(strict_json.canonical(bad))
    assert IssuerEntry(A, "x", "CN", START).delegated_by is None
