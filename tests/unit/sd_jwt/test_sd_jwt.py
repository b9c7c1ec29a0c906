"""SD-JWT (RFC 9901): what is concealed can be shown again, and nothing else can be slipped in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url, jws
from protocols.credentials import sd_jwt
from protocols.credentials.sd_jwt import SdJwt
from schemas import strict_json
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from tests.support.made_network import A, signer

KEY = signer(f"{A}#credential-1")
TYP = "dc+sd-jwt"
CLAIMS = {"a": 1, "b": {"c": "x", "d/~e": [1, {"f": True}, 3]}, "g": "plain"}


def salts(size: int) -> bytes:
    return b"\x05" * size


def signed(members: object, *disclosures: str, typ: str = TYP) -> SdJwt:
    text = jws.sign(strict_json.canonical(members), typ=typ, signer=KEY)
    return sd_jwt.parse("~".join((text, *disclosures, "")), typ=typ)


def made(*pointers: str) -> SdJwt:
    members, disclosures = sd_jwt.conceal(CLAIMS, pointers, salts)
    return signed(members, *disclosures)


def disclosure(*items: object) -> str:
    return base64url.encode(strict_json.canonical(list(items)))


def refused(given_: SdJwt) -> str:
    with pytest.raises(TradeError) as caught:
        sd_jwt.reveal(given_)
    assert explain(caught.value.code) is not None
    return caught.value.code


def test_everything_disclosed_gives_the_claims_again() -> None:
    all_of = made("/a", "/b/c", "/b", "/b/d~1~0e/1", "/b/d~1~0e/1/f")
    revealed = sd_jwt.reveal(all_of)
    assert revealed.claims == CLAIMS
    assert {one.pointer for one in revealed.disclosed} == {
        "/a", "/b/c", "/b", "/b/d~1~0e/1", "/b/d~1~0e/1/f",
    }  # fmt: skip
    assert not revealed.hidden
    assert revealed.elements == {"/b/d~1~0e"}
    assert sd_jwt.parse(all_of.text, typ=TYP) == all_of


def test_nothing_disclosed_leaves_the_rest_and_says_where_something_is_concealed() -> None:
    whole = made("/a", "/b/c", "/b/d~1~0e/1")
    revealed = sd_jwt.reveal(SdJwt(whole.jws))
    assert revealed.claims == {"b": {"d/~e": [1, 3]}, "g": "plain"}
    assert revealed.hidden == {"": 1, "/b": 1}
    assert revealed.disclosed == ()
    for text in ('"x"', '"c"', base64url.encode(salts(16))):
        assert text.encode() not in whole.jws.payload


def test_a_subset_is_presented_with_what_it_lies_in() -> None:
    whole = made("/a", "/b", "/b/c")
    assert sd_jwt.reveal(sd_jwt.present(whole, [])).claims == {"g": "plain"}
    assert sd_jwt.reveal(sd_jwt.present(whole, ["/b/c"])).claims == {
        "b": CLAIMS["b"], "g": "plain",
    }  # fmt: skip
    assert sd_jwt.reveal(sd_jwt.present(whole, ["/b"])).claims == {"b": CLAIMS["b"], "g": "plain"}
    with pytest.raises(RefusedError) as caught:
        sd_jwt.present(whole, ["/a", "/g"])
    assert caught.value.code == "disclosure_no_such_place"
    with pytest.raises(RefusedError) as caught:
        sd_jwt.present(SdJwt(whole.jws, whole.disclosures, "a.b.c"), [])
    assert caught.value.code == "sd_jwt_already_bound"


def test_r2_identity_is_the_same_whatever_is_disclosed() -> None:
    whole = made("/a", "/b/c")
    part = sd_jwt.present(whole, ["/a"])
    assert part.text != whole.text
    assert part.jws.payload_digest == whole.jws.payload_digest


names = st.text(min_size=1, max_size=4).filter(lambda name: name not in ("_sd", "..."))
values = st.recursive(
    st.integers(0, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


def pointers_in(value: object, place: str = "") -> list[str]:
    items = (
        [(str(at), item) for at, item in enumerate(value)]
        if isinstance(value, list)
        else list(value.items()) if isinstance(value, dict) else []
    )  # fmt: skip
    below = [sd_jwt.child(place, name) for name, _ in items]
    return below + [
        each for (name, item), here in zip(items, below, strict=True)
        for each in pointers_in(item, here)
    ]  # fmt: skip


@given(st.dictionaries(names.filter(lambda n: n != "_sd_alg"), values, max_size=4), st.data())
def test_any_claims_with_any_members_concealed_come_back(
    claims: dict[str, object], data: st.DataObject
) -> None:
    places = pointers_in(claims)
    chosen = data.draw(st.lists(st.sampled_from(places), unique=True)) if places else []
    counter = iter(range(1000))
    members, disclosures = sd_jwt.conceal(
        claims, chosen, lambda size: next(counter).to_bytes(size, "big")
    )
    revealed = sd_jwt.reveal(signed(members, *disclosures))
    assert revealed.claims == claims
    assert {one.pointer for one in revealed.disclosed} == set(chosen)


@pytest.mark.parametrize("text", ["a.b.c", "~~", "a.b.c~~", ""])
def test_what_is_no_sd_jwt_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        sd_jwt.parse(text, typ=TYP)


def test_size_and_number_are_capped() -> None:
    with pytest.raises(TooLargeError):
        sd_jwt.parse("~" * (sd_jwt.MAX_DISCLOSURES + 2), typ=TYP)
    with pytest.raises(TooLargeError):
        sd_jwt.parse("a.b.c~", typ=TYP, max_bytes=3)


def test_disclosures_within_disclosures_do_not_nest_without_end() -> None:
    texts, members = [], {"v": 1}
    for level in range(sd_jwt.MAX_DEPTH + 1):
        texts.append(disclosure(f"s{level}", "n", members))
        members = {"_sd": [sd_jwt.digest_of(texts[-1])]}
    assert refused(signed(members, *texts)) == "json_too_deep"


@pytest.mark.parametrize(
    ("items", "code"),
    [
        (("s", "_sd", 1), "disclosure_malformed"),
        (("s", "...", 1), "disclosure_malformed"),
        (("s", 1, 1), "disclosure_malformed"),
        ((1, "n", 1), "disclosure_malformed"),
        (("s", 1), "disclosure_malformed"),
        (("s",), "disclosure_malformed"),
        (("s", "n", 1, 1), "disclosure_malformed"),
        (("s", "g", 1), "disclosure_name_exists"),
        (("s", "n", {"_sd": 1}), "sd_jwt_malformed"),
    ],
)
def test_a_disclosure_that_the_standard_rejects_is_rejected(items: object, code: str) -> None:
    text = disclosure(*items)
    assert refused(signed({"g": 1, "_sd": [sd_jwt.digest_of(text)]}, text)) == code


def test_two_disclosures_cannot_make_one_member() -> None:
    texts = [disclosure("s", "n", 1), disclosure("t", "n", 1)]
    digests = [sd_jwt.digest_of(text) for text in texts]
    assert refused(signed({"_sd": digests}, *texts)) == "disclosure_name_exists"


def test_an_element_has_no_name_and_stands_in_an_array() -> None:
    named, bare = disclosure("s", "n", 1), disclosure("s", 1)
    element = {"...": sd_jwt.digest_of(named)}
    assert refused(signed({"l": [element]}, named)) == "disclosure_malformed"
    element = {"...": sd_jwt.digest_of(bare)}
    assert sd_jwt.reveal(signed({"l": [element]}, bare)).claims == {"l": [1]}
    for bad in ({"l": [element | {"x": 1}]}, {"l": element}, {"l": [{"...": 1}]}):
        assert refused(signed(bad, bare)) == "sd_jwt_malformed"


def test_a_digest_stands_once_and_every_disclosure_is_named() -> None:
    text = disclosure("s", "n", 1)
    digest = sd_jwt.digest_of(text)
    assert refused(signed({"_sd": [digest], "o": {"_sd": [digest]}}, text)) == "sd_digest_twice"
    assert refused(signed({"_sd": ["x", "x"]})) == "sd_digest_twice"
    assert refused(signed({"_sd": [digest]}, text, text)) == "sd_digest_twice"
    assert refused(signed({"_sd": ["x"]}, text)) == "disclosure_unreferenced"
    assert refused(signed({"_sd": "x"})) == "sd_jwt_malformed"
    assert refused(signed({"_sd": [1]})) == "sd_jwt_malformed"


@pytest.mark.parametrize("algorithm", ["md5", "SHA-256", 1])
def test_a_hash_that_is_not_listed_is_refused(algorithm: object) -> None:
    assert refused(signed({"_sd_alg": algorithm})) == "sd_alg_unknown"


@pytest.mark.parametrize("algorithm", ["sha-384", "sha-512"])
def test_other_hashes_of_the_standard_are_read(algorithm: str) -> None:
    text = disclosure("s", "n", 1)
    digest = sd_jwt.digest_of(text, algorithm)
    revealed = sd_jwt.reveal(signed({"_sd": [digest], "_sd_alg": algorithm}, text))
    assert (revealed.claims, revealed.hash) == ({"n": 1}, algorithm)


def test_only_what_is_there_and_has_a_free_name_can_be_concealed() -> None:
    for pointer in ("", "/x", "/b/d~1~0e/3", "/g/x", "/b/d~1~0e/01"):
        with pytest.raises(RefusedError) as caught:
            sd_jwt.conceal(CLAIMS, [pointer], salts)
        assert caught.value.code == "disclosure_no_such_place"
    for bad in ({"_sd": []}, {"l": [{"...": "x"}]}):
        with pytest.raises(RefusedError) as caught:
            sd_jwt.conceal(bad, [], salts)
        assert caught.value.code == "sd_reserved_name"


def test_values_and_salts_are_in_no_representation() -> None:
    whole = made("/b/c")
    told = f"{whole!r}{sd_jwt.reveal(whole)!r}"
    assert whole.disclosures[0] not in told
    assert "'x'" not in told
