"""Proposals: what a next list changes, what follows from it, who signs it, what is refused (R4)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from node.trust import views, wishes
from node.trust.wishes import End, Grant, RootChange, Wish
from protocols import member_list
from protocols.joining import Right
from protocols.member_list import MemberList
from protocols.members import changes, consequences, proposal
from protocols.members.proposal import Proposal
from schemas import strict_json
from schemas.errors import ConflictError, MalformedError, RefusedError, TradeError
from tests.support.made_network import NOW, A, B, founded, signer

MADE = founded()
HELD = MADE.members
COO = "certificate-of-origin"
NEW_ROOT = signer(f"{B}#root-1")


def proposed(wish: Wish, held: MemberList = HELD) -> Proposal:
    return proposal.draft_of(wishes.draft(held, wish, (), A, NOW).payload())


def told(wish: Wish, lang: str = "en") -> str:
    return "\n".join(member_list.diff(HELD, proposed(wish).members, lang))


def follows(wish: Wish) -> list[str]:
    return [one.tell() for one in consequences.consequences(HELD, proposed(wish).members)]


def in_force(made: Proposal, held: MemberList = HELD, count: int = 2) -> MemberList:
    signed = made.signed_by(MADE.roots[:count]).to_bytes()
    return member_list.advance(held, signed, now=NOW)


def test_a_proposal_is_a_file_that_gathers_signatures_one_by_one() -> None:
    made = proposed(Wish())
    again = proposal.read(made.to_bytes())
    assert (again.digest, again.members.previous) == (made.digest, HELD.digest)
    assert not proposal.standing(again, HELD).begun
    one = proposal.read(again.signed_by(MADE.roots[:1]).to_bytes())
    standing = proposal.standing(one, HELD)
    assert (standing.signatures, standing.threshold, standing.complete) == (1, 2, False)
    other = again.signed_by(MADE.roots[1:2])
    assert proposal.standing(one.joined(other), HELD).complete
    assert proposal.standing(one.signed_by(MADE.roots[:1]), HELD).signatures == 1


@pytest.mark.parametrize(
    "data", [b"{}", b'{"payload":5,"signatures":[]}', b'{"payload":"e30","signatures":[{}]}']
)
def test_what_is_no_proposal_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        proposal.read(data)


def test_r4_a_proposal_over_another_base_is_refused_before_anyone_signs() -> None:
    second = in_force(proposed(Wish()))
    with pytest.raises(ConflictError) as caught:
        proposal.require_next(proposed(Wish()), second)
    assert caught.value.code == "proposal_outdated"
    stranger = founded(roots=2).members
    with pytest.raises(RefusedError) as refused:
        proposal.require_next(proposed(Wish(), stranger), HELD)
    assert refused.value.code == "member_list_other_network"


def test_r4_a_proposal_that_no_list_may_say_is_refused_before_anyone_signs() -> None:
    bare = replace(HELD.nodes[0], keys=())
    draft = member_list.MemberListDraft.after(HELD, issued_at=NOW, expires=HELD.expires)
    dropped = replace(draft, nodes=(bare, HELD.nodes[1]))
    with pytest.raises(RefusedError) as caught:
        proposal.require_next(proposal.draft_of(dropped.payload()), HELD)
    assert caught.value.code == "member_list_key_dropped"


def test_r4_roots_rotate_by_the_old_threshold_and_then_the_new_ones_hold() -> None:
    rotation = RootChange((NEW_ROOT.public(),), (MADE.roots[0].kid,), threshold=2)
    made = proposed(Wish(roots=rotation))
    by_old = made.signed_by(MADE.roots[:2])
    standing = proposal.standing(by_old, HELD)
    # The second of the two old roots stays a root: its signature counts for both lists.
    assert (standing.signatures, standing.new_signatures, standing.complete) == (2, 1, False)
    with pytest.raises(RefusedError):
        member_list.advance(HELD, by_old.to_bytes(), now=NOW)
    second = member_list.advance(HELD, by_old.signed_by([NEW_ROOT]).to_bytes(), now=NOW)
    third = proposed(Wish(), second)
    # The old threshold says nothing any more, the new one does.
    with pytest.raises(RefusedError):
        member_list.advance(second, third.signed_by(MADE.roots[:2]).to_bytes(), now=NOW)
    by_new = third.signed_by([NEW_ROOT, MADE.roots[1]])
    assert member_list.advance(second, by_new.to_bytes(), now=NOW).version == 3


def test_r4_the_threshold_changes_by_the_old_one_and_stays_reachable() -> None:
    second = in_force(proposed(Wish(roots=RootChange(threshold=3))), count=3)
    assert second.roots.threshold == 3
    with pytest.raises(RefusedError):
        in_force(proposed(Wish(), second), second)
    for change in (RootChange(threshold=4), RootChange(removed=tuple(HELD.roots.by_kid())[:2])):
        with pytest.raises(RefusedError) as caught:
            proposed(Wish(roots=change))
        assert caught.value.code == "threshold_unreachable"
    with pytest.raises(TradeError):
        proposed(Wish(roots=RootChange(removed=(f"{B}#root-9",))))


def test_a_right_ends_on_a_date_and_the_consequence_is_told_with_it() -> None:
    day = NOW + timedelta(days=5)
    wish = Wish(ends=(End("right", A, day, Right(COO, "CN")),))
    assert f"changes right {A}: {COO} for CN (origin)" in told(wish)
    assert f"变更签发权：{A}为CN签发{COO}" in told(wish, "zh")
    (effect,) = follows(wish)
    assert effect == (
        f"from 2026-11-23T06:00:00.000Z on CN, NL no longer accept {COO} of {A} for CN"
    )


def test_what_starts_to_count_is_told_and_a_delegation_that_widens_is_warned_of() -> None:
    right = Right("quality-certificate", "NL")
    wide = Grant(B, Right(COO, "CN"), delegated_by=A)
    wish = Wish(grants=(wide, Grant(A, right, until=NOW + timedelta(days=300), delegated_by=B)))
    found = follows(wish)
    assert any("the right did:web:b-customs.example" in one for one in found)
    office = Wish(grants=(Grant(B, Right(COO, "CN", "origin"), delegated_by=A),))
    assert any(f"accept {COO} of {B} for CN" in one for one in follows(office))
    opened = in_force(proposed(office))
    assert opened.issuer_entry(B, COO, "CN", NOW) is not None
    # No widening: the giver holds for one office, so a right for the whole country is none.
    assert in_force(proposed(Wish(grants=(wide,)))).issuer_entry(B, COO, "CN", NOW) is None


def test_r17_a_member_ends_with_all_its_keys_and_they_stay_listed() -> None:
    second = in_force(proposed(Wish(ends=(End("node", A),))))
    node = second.node(A)
    assert node is not None
    assert node.keys
    assert not any(key.valid_at(NOW) for key in node.keys)
    party = second.party(HELD.parties[0].did)
    assert party is not None
    assert not any(key.valid_at(NOW) for key in party.keys)
    assert second.issuer_entry(A, COO, "CN", NOW) is None
    assert second.issuer_entry(A, COO, "CN", NOW - timedelta(hours=1)) is not None
    effects = "\n".join(follows(Wish(ends=(End("node", A),))))
    assert f"CN, NL no longer accept {COO}" in effects
    assert f"{A} has no credential key in force any more" in effects


def test_an_agreement_ends_and_begins_on_dates() -> None:
    ended = Wish(ends=(End("agreement", "cn-nl", NOW + timedelta(days=1)),))
    assert follows(ended) == [
        f"from 2026-11-19T06:00:00.000Z on NL no longer accept {COO} of {A} for CN"
    ]
    second = in_force(proposed(ended))
    assert second.agreement("NL", "CN", COO, NOW) is not None
    assert second.agreement("NL", "CN", COO, NOW + timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (End("key", f"{A}#credential-9"), "key_not_on_list"),
        (End("node", "did:web:nobody.example"), "member_not_on_list"),
        (End("agreement", "x"), "agreement_not_on_list"),
        (End("right", B, None, Right(COO, "CN")), "right_not_on_list"),
    ],
)
def test_what_is_not_on_the_list_cannot_end(end: End, code: str) -> None:
    with pytest.raises(TradeError) as caught:
        proposed(Wish(ends=(end,)))
    assert caught.value.code == code


def test_an_edited_list_is_a_proposal_and_cannot_choose_its_place() -> None:
    edited = strict_json.loads_object(HELD.payload)
    edited |= {"name": "Renamed", "version": 99, "expires": "2027-01-01T00:00:00.000Z"}
    made = proposed(Wish(edited=edited, days=9))
    assert (made.members.version, made.members.previous) == (2, HELD.digest)
    assert made.members.name == "Renamed"
    assert made.members.expires.year == 2027
    assert told(Wish(edited=edited)).splitlines() == [
        "renames the network A network to Renamed",
        "expires 2027-01-01T00:00:00.000Z",
    ]


def test_a_short_term_and_thin_roots_are_warned_of() -> None:
    assert any("expires within 3 days" in one for one in follows(Wish(days=3)))
    every = follows(Wish(roots=RootChange(threshold=3)))
    assert every == ["all 3 roots must sign: the loss of one key ends every later change"]
    assert follows(Wish(roots=RootChange(threshold=1)))[0].startswith("one root of 3")


def test_every_kind_is_told_in_both_languages() -> None:
    for words in (*changes.WORDS.values(), *consequences.WORDS.values()):
        assert all(words)
        assert words[0] != words[1]


def test_the_api_reads_a_wish_strictly() -> None:
    wish = views.read_wish(
        {
            "ends": [
                {"node": B},
                {"key": f"{A}#log-1", "until": "2027-01-01T00:00:00Z"},
                {"did": A, "right": {"documentType": COO, "country": "CN"}},
            ],
            "roots": {"remove": [f"{A}#root-1"], "threshold": 1},
            "expires": "2027-01-01T00:00:00Z",
        }
    )
    assert [end.what for end in wish.ends] == ["node", "key", "right"]
    assert wish.roots.threshold == 1
    assert not wish.changes_nothing
    assert Wish(days=5, dry_run=True).changes_nothing
    for bad in ({"ends": [{}]}, {"ends": [{"key": "a", "node": "b"}]}, {"roots": {"threshold": 0}}):
        with pytest.raises(MalformedError):
            views.read_wish(bad)
