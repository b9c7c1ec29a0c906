"""The member list: founding, succession, freshness, look-ups, and what it refuses (R1, R3–R6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from protocols import jws, member_list
from protocols.fields import Fields
from protocols.member_list import Agreement, Freshness, IssuerEntry, KeyStanding, Roots
from protocols.members import reading
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError, RefusedError, TradeError
from tests.support.made_network import NOW, PARTY, START, A, B, following, founded, listed, signer

MADE = founded()
FIRST = MADE.members


def signed(draft: member_list.MemberListDraft, count: int = 2) -> bytes:
    return member_list.sign_list(draft.payload(), MADE.roots[:count])


def refusal(code: str, signed_list: bytes, held: member_list.MemberList = FIRST) -> TradeError:
    with pytest.raises(TradeError) as caught:
        member_list.advance(held, signed_list, now=NOW)
    assert caught.value.code == code
    return caught.value


def test_the_network_id_is_the_digest_of_the_founding_payload() -> None:
    assert FIRST.network == FIRST.digest
    assert FIRST.previous is None
    opened = member_list.open_founding(FIRST.signed, now=NOW, network=FIRST.network)
    assert opened == FIRST
    with pytest.raises(RefusedError) as caught:
        member_list.open_founding(FIRST.signed, network=bytes(32))
    assert caught.value.code == "member_list_other_network"


def test_every_look_up_finds_its_entry() -> None:
    node = FIRST.node(A)
    assert node is not None
    assert (node.display_name("zh"), node.display_name("de")) == ("港", node.name)
    assert FIRST.platform("AAAA") == node
    assert FIRST.platform("BBBB") is None
    assert node.key_for("exchange", NOW) == FIRST.key(f"{A}#exchange-1")
    assert node.key_for("release", NOW) is None
    party = FIRST.party(PARTY)
    assert party is not None
    assert party.host == A
    log = FIRST.log("a-port.example/log")
    assert FIRST.logs_of(A) == (log,)
    assert FIRST.log("x") is None
    assert FIRST.registry("a-port.example/registry") == FIRST.registries[0]
    assert FIRST.registry("x") is None


def test_rights_to_issue_have_dates_and_delegation() -> None:
    own = FIRST.issuer_entry(A, "certificate-of-origin", "CN", NOW)
    assert own is not None
    assert own.office == "origin"
    assert FIRST.issuer_entry(A, "certificate-of-origin", "NL", NOW) is None
    assert FIRST.issuer_entry(A, "certificate-of-origin", "CN", START - timedelta(1)) is None
    assert FIRST.issuer_entry(A, "quality-certificate", "NL", NOW) is not None
    after_end = NOW + timedelta(days=11)
    assert FIRST.issuer_entry(A, "quality-certificate", "NL", after_end) is None
    assert len(FIRST.rights_of(A, NOW)) == 2
    assert len(FIRST.rights_of(A, after_end)) == 1


def test_delegation_in_a_circle_gives_no_right() -> None:
    circle = (
        IssuerEntry(A, "x", "CN", START, delegated_by=B),
        IssuerEntry(B, "x", "CN", START, delegated_by=A),
    )
    opened = member_list.advance(FIRST, signed(following(MADE, issuers=circle)), now=NOW)
    assert opened.issuer_entry(A, "x", "CN", NOW) is None


def test_recognition_needs_an_agreement_except_at_home() -> None:
    agreement = FIRST.agreement("NL", "CN", "certificate-of-origin", NOW)
    assert agreement is not None
    assert agreement.rules == "nl-2026"
    assert FIRST.agreement("CN", "NL", "certificate-of-origin", NOW) is None
    assert FIRST.agreement("NL", "CN", "quality-certificate", NOW) is None
    home = FIRST.agreement("NL", "NL", "quality-certificate", NOW)
    assert home is not None
    assert home.id == "domestic"


def test_r6_reading_has_seven_days_of_grace() -> None:
    end = FIRST.expires
    assert FIRST.freshness(end - timedelta(milliseconds=1)) is Freshness.FRESH
    assert FIRST.freshness(end) is Freshness.READING_ONLY
    assert FIRST.freshness(end + timedelta(days=7)) is Freshness.STALE


def test_r17_what_a_compromised_key_said_is_doubted_by_date_and_witness() -> None:
    since, announced = NOW - timedelta(days=5), NOW - timedelta(days=2)
    key = listed(
        f"{A}#credential-1",
        "credential",
        valid_until=NOW,
        compromised_from=since,
        compromise_announced=announced,
    )
    before = since - timedelta(days=1)
    assert key.standing(before, proven=True) is KeyStanding.VALID
    assert key.standing(before, proven=False) is KeyStanding.DOUBTFUL
    assert key.standing(since, proven=True) is KeyStanding.DOUBTFUL
    assert key.standing(announced, proven=True) is KeyStanding.COMPROMISED
    plain = listed(f"{A}#credential-1", "credential", valid_until=NOW)
    assert plain.standing(START - timedelta(1), proven=True) is KeyStanding.NOT_YET
    assert plain.standing(NOW, proven=True) is KeyStanding.ENDED
    assert plain.valid_at(START)


def test_r4_the_next_version_names_the_last_and_is_signed_by_its_roots() -> None:
    draft = following(MADE)
    second = member_list.advance(FIRST, signed(draft), now=NOW)
    assert (second.version, second.previous, second.network) == (2, FIRST.digest, FIRST.network)
    assert member_list.open_chain([FIRST.signed, second.signed], None, NOW) == second
    assert member_list.open_chain([FIRST.signed, second.signed], FIRST, NOW) == second
    assert member_list.open_chain([FIRST.signed], second, NOW) == second
    assert member_list.open_chain([second.signed], second, NOW) == second
    assert member_list.peek_version(second.signed) == 2
    with pytest.raises(MalformedError):
        member_list.open_chain([])


def test_r3_two_signatures_by_one_key_count_once() -> None:
    payload = following(MADE).payload()
    twice = jws.sign_multi(payload, typ=member_list.TYP, signers=[MADE.roots[0]] * 2)
    refusal("member_list_threshold", twice.to_bytes())
    same_key_other_name = replace_kid(payload)
    refusal("member_list_threshold", same_key_other_name)


def replace_kid(payload: bytes) -> bytes:
    """The first root signs twice, once under the second root's name."""

    class Renamed:
        kid = MADE.roots[1].kid
        algorithm = MADE.roots[0].algorithm
        public_jwk = MADE.roots[0].public_jwk
        sign = staticmethod(MADE.roots[0].sign)

    return member_list.sign_list(payload, [MADE.roots[0], Renamed()])


def test_signatures_collected_one_by_one_reach_the_threshold() -> None:
    payload = following(MADE).payload()
    one = member_list.sign_list(payload, MADE.roots[:1])
    two = member_list.sign_list(payload, MADE.roots[1:2])
    refusal("member_list_threshold", one)
    both = member_list.combine(one, two)
    assert member_list.advance(FIRST, both, now=NOW).version == 2
    stranger = member_list.sign_list(payload, [signer(f"{B}#root-1")])
    refusal("member_list_threshold", member_list.combine(one, stranger))


def test_new_roots_sign_as_well_as_the_old_ones() -> None:
    new = signer(f"{B}#root-1")
    draft = following(MADE, roots=Roots(1, (new.public(),)))
    refusal("member_list_threshold", signed(draft))
    both = member_list.combine(signed(draft), member_list.sign_list(draft.payload(), [new]))
    second = member_list.advance(FIRST, both, now=NOW)
    assert "changes the roots to 1 of" in member_list.diff(FIRST, second)[0]


def test_r4_the_same_version_with_another_digest_is_an_alarm() -> None:
    second = member_list.advance(FIRST, signed(following(MADE)), now=NOW)
    other = signed(following(MADE, name="Another name"))
    error = refusal("member_list_fork", other, second)
    assert isinstance(error, ConflictError)
    assert error.context["held"] == second.digest.hex()
    with pytest.raises(ConflictError):
        member_list.open_chain([other], second, NOW)
    assert member_list.peek_digest(other) == bytes.fromhex(error.context["other"])


def test_r4_a_list_of_another_network_is_refused_at_any_version_and_contradicts_nothing() -> None:
    second = member_list.advance(FIRST, signed(following(MADE)), now=NOW)
    foreign = signed(replace(MADE.draft, name="Another network"))
    for held in (FIRST, second):
        with pytest.raises(RefusedError, match="member_list_other_network"):
            member_list.open_chain([foreign], held, NOW)


def test_a_list_of_another_place_in_the_chain_is_refused() -> None:
    second = member_list.advance(FIRST, signed(following(MADE)), now=NOW)
    third = replace(
        member_list.MemberListDraft.after(second, issued_at=NOW, expires=NOW + timedelta(days=200))
    )
    refusal("member_list_not_next", signed(third))
    refusal("member_list_not_next", FIRST.signed, second)
    early = replace(following(MADE), issued_at=FIRST.issued_at - timedelta(days=1))
    refusal("member_list_not_next", signed(early))
    late = replace(following(MADE), issued_at=NOW + timedelta(minutes=5))
    refusal("member_list_from_future", signed(late))


def test_r1_a_test_network_never_turns_real() -> None:
    secure = tuple(replace(node, endpoint=f"https://{node.did[8:]}") for node in FIRST.nodes)
    real = replace(following(MADE), test=False, nodes=secure)
    refusal("member_list_other_network", signed(real))
    other = founded(roots=2)
    refusal("member_list_other_network", signed(following(other)))


def test_r17_keys_stay_listed_and_a_compromise_stays_told() -> None:
    first = FIRST.nodes[0]
    dropped = (replace(first, keys=first.keys[1:]), FIRST.nodes[1])
    refusal("member_list_key_dropped", signed(following(MADE, nodes=dropped)))
    other_key = replace(first.keys[0], public=replace_key(first.keys[0].kid))
    changed = (replace(first, keys=(other_key, *first.keys[1:])), FIRST.nodes[1])
    refusal("member_list_key_dropped", signed(following(MADE, nodes=changed)))
    told = replace(first.keys[0], compromised_from=START, compromise_announced=NOW)
    nodes = (replace(first, keys=(told, *first.keys[1:])), FIRST.nodes[1])
    second = member_list.advance(FIRST, signed(following(MADE, nodes=nodes)), now=NOW)
    silent = replace(
        member_list.MemberListDraft.after(second, issued_at=NOW, expires=FIRST.expires),
        nodes=FIRST.nodes,
    )
    refusal("member_list_key_dropped", signed(silent), second)
    again = member_list.MemberListDraft.after(second, issued_at=NOW, expires=FIRST.expires)
    assert member_list.advance(second, signed(again), now=NOW).version == 3


def replace_key(kid: str) -> object:
    from protocols import keys

    return keys.from_jwk(kid, signer(f"{B}#release-1").public_jwk)


def test_a_founding_list_is_version_one_and_signed_by_its_own_roots() -> None:
    with pytest.raises(MalformedError):
        member_list.open_founding(signed(following(MADE)), now=NOW)
    with pytest.raises(RefusedError) as caught:
        member_list.open_founding(signed(MADE.draft, 1), now=NOW)
    assert caught.value.code == "member_list_threshold"
    with pytest.raises(RefusedError):
        member_list.open_founding(FIRST.signed, now=FIRST.issued_at - timedelta(days=1))


def test_a_bad_signature_does_not_count_and_does_not_harm() -> None:
    envelope = jws.parse_multi(signed(MADE.draft, 3), typ=member_list.TYP)
    broken = replace(envelope.signatures[0], signature=bytes(64))
    signatures = (broken, *envelope.signatures[1:])
    assert (
        member_list.signatures_counted(replace(envelope, signatures=signatures), FIRST.roots) == 2
    )


def payload_with(**changes: object) -> bytes:
    members = strict_json.loads_object(MADE.draft.payload())
    return strict_json.canonical(members | changes)


NODE = strict_json.loads_object(MADE.draft.payload())["nodes"][0]
KEY = NODE["keys"][0]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"version": 0}, "/version"),
        ({"version": True}, "/version"),
        ({"name": ""}, "/name"),
        ({"test": "yes"}, "/test"),
        ({"expires": "2026-11-01T00:00:00Z"}, "/expires"),
        ({"issued": "2026-11-01"}, "/issued"),
        ({"previous": "x"}, "/previous"),
        ({"roots": []}, "/roots"),
        ({"roots": {"threshold": 1, "keys": []}}, "/roots/threshold"),
        (
            {"roots": {"threshold": 1, "keys": [{"kid": "x", "jwk": KEY["jwk"]}]}},
            "/roots/keys/0/kid",
        ),
        ({"roots": {"threshold": 1, "keys": [KEY, KEY | {"kid": f"{A}#root-9"}]}}, "/roots/keys"),
        ({"nodes": {}}, "/nodes"),
        ({"nodes": ["x"]}, "/nodes/0"),
        ({"nodes": [NODE | {"did": "did:web:EVIL"}]}, "/nodes/0/did"),
        ({"nodes": [NODE | {"endpoint": "http://user@host/path"}]}, "/nodes/0/endpoint"),
        ({"nodes": [NODE | {"roles": ["king"]}]}, "/nodes/0/roles"),
        ({"nodes": [NODE | {"roles": ["port", "port"]}]}, "/nodes/0/roles"),
        ({"nodes": [NODE | {"roles": "port"}]}, "/nodes/0/roles"),
        ({"nodes": [NODE | {"names": {"zh": 5}}]}, "/nodes/0/names"),
        ({"nodes": [NODE | {"names": {str(n): "x" for n in range(101)}}]}, "/nodes/0/names"),
        ({"nodes": [NODE | {"platform": "toolong"}]}, "/nodes/0/platform"),
        ({"nodes": [NODE | {"keys": [KEY | {"kid": f"{B}#credential-1"}]}]}, "/nodes/0/keys/0/kid"),
        ({"nodes": [NODE | {"keys": [KEY | {"purpose": "root"}]}]}, "/nodes/0/keys/0/purpose"),
        (
            {"nodes": [NODE | {"keys": [KEY | {"validUntil": "2000-01-01T00:00:00Z"}]}]},
            "/nodes/0/keys/0/validUntil",
        ),
        ({"nodes": [NODE | {"keys": [KEY | {"jwk": {"kty": "RSA"}}]}]}, "/nodes/0/keys/0/jwk"),
        ({"nodes": [NODE, NODE]}, "/nodes"),
        (
            {"nodes": [NODE | {"keys": [KEY, KEY | {"kid": f"{A}#title-9", "purpose": "title"}]}]},
            "/nodes",
        ),
        (
            {
                "issuers": [
                    {
                        "did": "did:web:nobody.example",
                        "documentType": "x",
                        "country": "CN",
                        "validFrom": "2026-01-01T00:00:00Z",
                    }
                ]
            },
            "/issuers",
        ),
        (
            {"logs": [{"origin": "o", "did": A, "vkey": "k", "epoch": 1, "policy": 5}]},
            "/logs/0/policy",
        ),
    ],
)
def test_a_malformed_list_names_the_place(changes: dict, pointer: str) -> None:
    with pytest.raises(MalformedError) as caught:
        member_list.open_founding(member_list.sign_list(payload_with(**changes), MADE.roots))
    assert caught.value.code in {"member_list_malformed", "key_malformed"}
    assert caught.value.pointer == pointer


def test_a_payload_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(MalformedError):
        member_list.open_founding(
            member_list.sign_list(MADE.draft.payload() + b" ", MADE.roots), now=NOW
        )


def test_a_compromise_cannot_be_announced_before_it_began_or_after_the_list() -> None:
    for since, announced in ((NOW, START), (START, NOW + timedelta(days=3))):
        told = replace(
            FIRST.nodes[0].keys[0], compromised_from=since, compromise_announced=announced
        )
        nodes = (replace(FIRST.nodes[0], keys=(told, *FIRST.nodes[0].keys[1:])), FIRST.nodes[1])
        refusal("member_list_malformed", signed(following(MADE, nodes=nodes)))


def test_outside_test_networks_endpoints_are_https() -> None:
    with pytest.raises(MalformedError):
        founded(test=False)
    secure = tuple(replace(node, endpoint=f"https://{node.did[8:]}") for node in MADE.draft.nodes)
    draft = replace(MADE.draft, nodes=secure, test=False)
    assert member_list.open_founding(signed(draft)).test is False


def test_unknown_members_survive_in_the_payload() -> None:
    payload = payload_with(future={"x": 1})
    opened = member_list.open_founding(member_list.sign_list(payload, MADE.roots), now=NOW)
    assert b'"future"' in opened.payload


def test_a_draft_replaces_entries_by_name_and_keeps_past_keys() -> None:
    draft = following(MADE)
    renewed = replace(
        FIRST.nodes[1], name="New name", keys=(listed(f"{B}#credential-2", "credential"),)
    )
    party = replace(FIRST.parties[0], keys=(listed(f"{PARTY}#title-2", "title"),))
    draft = (
        draft.with_node(renewed)
        .with_party(party)
        .with_issuer(IssuerEntry(B, "quality-certificate", "NL", NOW))
        .with_issuer(IssuerEntry(B, "plant-health-decision", "NL", NOW))
        .with_agreement(Agreement("cn-nl", "NL", "CN", ("quality-certificate",), START))
        .with_agreement(Agreement("nl-cn", "CN", "NL", ("quality-certificate",), START))
        .with_log(replace(FIRST.logs[0], policy="p"))
        .with_log(replace(FIRST.logs[0], policy="p", epoch=2, since=7))
        .with_registry(replace(FIRST.registries[0], policy="q"))
    )
    second = member_list.advance(FIRST, signed(draft), now=NOW)
    assert second.key(f"{B}#credential-1") is not None
    assert second.key(f"{PARTY}#title-1") is not None
    log = second.log("a-port.example/log")
    assert log is not None
    assert log.epoch == 2
    told = "\n".join(member_list.diff(FIRST, second))
    for expected in (
        f"changes node {B}: keys, name",
        f"changes party {PARTY}: keys",
        f"adds right {B}: plant-health-decision for NL",
        "changes agreement cn-nl: NL accepts quality-certificate from CN",
        "adds log a-port.example/log #2",
        "adds registry a-port.example/registry",
        "expires ",
    ):
        assert expected in told
    newcomer = draft.with_node(
        replace(
            renewed,
            did="did:web:c.example",
            keys=(listed("did:web:c.example#exchange-1", "exchange"),),
        )
    ).with_party(replace(party, did="did:web:p.example", keys=()))
    third = member_list.advance(FIRST, signed(newcomer), now=NOW)
    assert "admits node did:web:c.example (New name)" in member_list.diff(FIRST, third)
    assert f"removes node {B}" in member_list.diff(FIRST, replace(third, nodes=third.nodes[:1]))
    assert member_list.diff(None, FIRST) == ["founds the network A network with 2 nodes"]


def test_r17_a_key_is_changed_at_its_owner_only() -> None:
    draft = following(MADE)
    for kid in (f"{B}#credential-1", f"{PARTY}#title-1"):
        key = FIRST.key(kid)
        assert key is not None
        draft = draft.with_key(replace(key, valid_until=NOW))
    second = member_list.advance(FIRST, signed(draft), now=NOW)
    ended = [key.kid for key in second.keys.values() if key.valid_until is not None]
    assert sorted(ended) == [f"{B}#credential-1", f"{PARTY}#title-1"]


def test_only_a_root_signs_proposals() -> None:
    member_list.require_root(MADE.roots[0], FIRST.roots)
    with pytest.raises(RefusedError) as caught:
        member_list.require_root(signer(f"{B}#root-1"), FIRST.roots)
    assert caught.value.code == "not_a_root"


def test_optional_members_may_be_absent_and_present_ones_are_checked() -> None:
    party = reading.read_party(Fields({"did": PARTY, "name": "x", "host": A}, "c"))
    assert (party.keys, dict(party.names)) == ((), {})
    with pytest.raises(MalformedError):
        Fields({"a": []}, "c").child("a")
    assert Fields({}, "c").optional_child("a") is None
