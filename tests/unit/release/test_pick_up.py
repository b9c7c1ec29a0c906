"""The pick-up right from company to company: who is entitled, and every way in which nobody is."""

from __future__ import annotations

import base64
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from protocols import jws, member_list
from protocols.keys import SoftwareSigner
from protocols.member_list import (
    ListedKey,
    MemberList,
    MemberListDraft,
    NodeEntry,
    PartyEntry,
    Roots,
)
from protocols.release import pick_up
from protocols.release.pick_up import (
    Company,
    Link,
    entitled,
    read_link,
    read_revocation,
    require_form,
)
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

NOW = datetime(2026, 11, 18, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=8)
BOX, UCR = "NHLU2631075", "6CN91370784MA0DEMQ00FA261118"
NAMES = ("nhl", "forwarder-a", "haulier-a", "haulier-b")


def did(name: str) -> str:
    return f"did:web:{name}.example"


def key(name: str, purpose: str) -> SoftwareSigner:
    return SoftwareSigner(f"{did(name)}#{purpose}-1", ec.generate_private_key(ec.SECP256R1()))


KEYS = {name: key(name, "release" if name == "nhl" else "title") for name in NAMES}
ROOT = key("nhl", "root")


def the_members() -> MemberList:
    start = NOW - timedelta(days=2)
    listed = {
        name: ListedKey(signer.public(), "release" if name == "nhl" else "title", did(name), start)
        for name, signer in KEYS.items()
    }
    draft = MemberListDraft(
        name="gates",
        test=True,
        issued_at=start,
        expires=NOW + timedelta(days=30),
        roots=Roots(1, (ROOT.public(),)),
        nodes=(
            NodeEntry(
                did("nhl"), "NHL", ("carrier",), "CN", "http://127.0.0.1:1", (listed["nhl"],)
            ),
        ),
        parties=tuple(
            PartyEntry(did(name), name, did("nhl"), (listed[name],)) for name in NAMES[1:]
        ),
    )
    signed = member_list.sign_list(draft.payload(), [ROOT])
    return member_list.open_founding(signed, now=NOW)


MEMBERS = the_members()


def link(by: str, to: str, previous: str = "", **more: Any) -> Link:
    company = Company(did(to), to, KEYS[to].public().thumbprint())
    made = Link(MEMBERS.network.hex(), BOX, UCR, did(by), company, previous, NOW, LATER)
    text = pick_up.sign_link(replace(made, **more), more.get("signer_", KEYS[by]))
    return read_link(text, MEMBERS)


def chain(*names: str) -> list[Link]:
    links: list[Link] = []
    for by, to in itertools.pairwise(names):
        links.append(link(by, to, links[-1].digest if links else ""))
    return links


ROOTS = frozenset({did("nhl")})


def code(links: list[Link], revoked: set[str] | None = None, **more: Any) -> str:
    roots, at = more.get("roots", ROOTS), more.get("at", NOW)
    return entitled(links, frozenset(revoked or ()), roots, at).code


def test_the_right_leads_from_carrier_to_forwarder_to_haulier() -> None:
    links = chain("nhl", "forwarder-a", "haulier-a")
    links[1] = link("forwarder-a", "haulier-a", links[0].digest, vehicle="12-ABC-3")
    found = entitled(reversed(links), frozenset(), ROOTS, NOW)
    assert found.collector == Company(
        did("haulier-a"), "haulier-a", KEYS["haulier-a"].public().thumbprint()
    )
    assert (found.vehicle, [one.to.name for one in found.path]) == (
        "12-ABC-3",
        ["forwarder-a", "haulier-a"],
    )
    require_form(links[1], MEMBERS)


def test_a_revoked_link_takes_all_that_hangs_on_it() -> None:
    links = chain("nhl", "forwarder-a", "haulier-a")
    assert code(links) == ""
    for one in links:
        assert code(links, {one.digest}) == "pick_up_right_revoked"
    again = link("forwarder-a", "haulier-b", links[0].digest, nonce="2")
    found = entitled([*links, again], frozenset({links[1].digest}), ROOTS, NOW)
    assert found.collector is not None
    assert found.collector.name == "haulier-b"


def test_two_standing_links_from_one_point_are_worth_nothing() -> None:
    links = chain("nhl", "forwarder-a", "haulier-a")
    other = link("forwarder-a", "haulier-b", links[0].digest)
    assert code([*links, other]) == "pick_up_right_forked"
    assert code([*links, other], {other.digest}) == ""


def test_only_carriers_and_agents_begin_and_the_end_of_time_ends_it() -> None:
    links = chain("nhl", "forwarder-a")
    assert code(links, roots=frozenset({did("agent")})) == "pick_up_right_missing"
    assert code([]) == "pick_up_right_missing"
    assert code(links, at=LATER) == "pick_up_right_expired"
    stranger = link("haulier-b", "haulier-a")
    assert code([*links, stranger]) == ""


def test_r3_only_the_key_that_a_link_names_passes_the_right_on() -> None:
    first = link("nhl", "forwarder-a")
    other_key = replace(first, to=replace(first.to, thumbprint="A" * 43))
    second = link("forwarder-a", "haulier-a", first.digest)
    found = entitled([other_key, second], frozenset(), ROOTS, NOW)
    assert found.collector == other_key.to


def test_r1_a_link_is_signed_by_a_listed_key_of_the_company_it_names() -> None:
    good = link("nhl", "forwarder-a")
    for text in (
        pick_up.sign_link(good, KEYS["haulier-a"]),
        pick_up.sign_link(replace(good, network="00"), KEYS["nhl"]),
        pick_up.sign_link(replace(good, delegator=did("nobody")), KEYS["nhl"]),
    ):
        with pytest.raises(RefusedError) as caught:
            read_link(text, MEMBERS)
        assert caught.value.code == "pick_up_link_untrusted"
    forged = good.text[:-6] + ("AAAAAA" if good.text[-6:] != "AAAAAA" else "BBBBBB")
    with pytest.raises((RefusedError, MalformedError)):
        read_link(forged, MEMBERS)
    with pytest.raises(RefusedError) as typ:
        read_revocation(good.text, MEMBERS)
    assert typ.value.code == "jws_typ_unexpected"


def test_a_revocation_is_read_back_and_no_other_company_signs_it() -> None:
    one = link("nhl", "forwarder-a")
    network = MEMBERS.network.hex()
    text = pick_up.sign_revocation(network, one.digest, NOW, "paid late", KEYS["nhl"])
    found = read_revocation(text, MEMBERS)
    assert (found.link, found.delegator, found.reason) == (one.digest, did("nhl"), "paid late")
    body = strict_json.canonical(
        {
            "network": network,
            "link": one.digest,
            "by": did("nhl"),
            "at": "2026-11-18T09:00:00.000Z",
            "reason": "x",
        }
    )
    stolen = jws.sign(body, typ=pick_up.REVOCATION_TYP, signer=KEYS["haulier-b"])
    with pytest.raises(RefusedError):
        read_revocation(stolen, MEMBERS)


def test_a_link_to_an_unlisted_key_or_backwards_in_time_is_malformed() -> None:
    good = link("nhl", "forwarder-a")
    wrong = (
        replace(good, to=replace(good.to, thumbprint="A" * 43)),
        replace(good, not_after=NOW),
    )
    for one in wrong:
        with pytest.raises(MalformedError):
            require_form(one, MEMBERS)


def test_a_chain_of_more_than_ten_links_entitles_nobody() -> None:
    links = [link("nhl", "forwarder-a")]
    for _ in range(11):
        by = "forwarder-a" if len(links) % 2 else "haulier-a"
        to = "haulier-a" if len(links) % 2 else "forwarder-a"
        links.append(link(by, to, links[-1].digest))
    assert code(links[:10]) == ""
    assert code(links) == "pick_up_right_missing"


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise(data: bytes) -> None:
    text = base64.urlsafe_b64encode(data).decode()
    for given_text in (text, f"{text}.{text}.{text}"):
        with pytest.raises((MalformedError, RefusedError)):
            read_link(given_text, MEMBERS)
