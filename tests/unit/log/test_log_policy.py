from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.log import policy as log_policy
from protocols.log.note import COSIGNATURE, ED25519
from protocols.log.policy import threshold_policy
from schemas.errors import MalformedError, RefusedError, TooLargeError
from tests.shared import shared_path
from tests.unit.log.keys_for_tests import log_pair, pair, witness_pairs

LOG = log_pair()
ORIGIN = LOG.key.name
WITNESSES = witness_pairs(7)


def flat(count: int, quorum: int) -> str:
    return threshold_policy(LOG.key, [(item.key, "") for item in WITNESSES[:count]], quorum)


def in_vkeys(text: str) -> str:
    """A Sigsum policy with raw hexadecimal keys, its keys written as vkeys of the same letters."""

    def vkey(match: re.Match[str]) -> str:
        algorithm = ED25519 if match[1] == "log" else COSIGNATURE
        return match[1] + match[2] + pair(match[3][0], algorithm).key.to_text()

    return re.sub(r"(log|witness)( +(?:W\d? )?)([0-9a-f]{64})", vkey, text)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("policy-0", True),
        ("policy-3", False),
        ("policy-4", False),
        ("policy-9", False),
        ("policy-10", False),
        ("policy-11", False),
    ],
)
def test_sigsum_policies_give_their_expected_result(name: str, good: bool):
    text = in_vkeys(shared_path(f"vectors/ledger/sigsum-policy/{name}.txt").read_text())
    if good:
        policy = log_policy.parse(text)
        assert policy.satisfied({"W1", "W3", "W4"})
        assert policy.satisfied({"W2", "W4", "W5"})
        assert not policy.satisfied({"W1", "W2", "W3"})
        assert not policy.satisfied({"W3", "W4", "W5", "W6"})
        assert policy.smallest_quorum() == 3
    else:
        with pytest.raises(MalformedError) as caught:
            log_policy.parse(text)
        assert caught.value.code == "policy_malformed"


VKEY_LOG, VKEY_WITNESS = LOG.key.to_text(), WITNESSES[0].key.to_text()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum none",
        "quorum\n",
        "quorum none\nquorum none\n",
        "quorum W\n",
        "unknown line\nquorum none\n",
        "log\nquorum none\n",
        f"log {VKEY_WITNESS}\nquorum none\n",
        f"log {VKEY_LOG}\nlog {VKEY_LOG} http://x\nquorum none\n",
        "witness W\nquorum none\n",
        f"witness W {VKEY_LOG}\nquorum W\n",
        f"witness none {VKEY_WITNESS}\nquorum none\n",
        f"witness W {VKEY_WITNESS}\ngroup W any W\nquorum W\n",
        f"witness W {VKEY_WITNESS}\ngroup G any\nquorum G\n",
        f"witness W {VKEY_WITNESS}\ngroup G 2 W\nquorum G\n",
        f"witness W {VKEY_WITNESS}\ngroup G 0 W\nquorum G\n",
        f"witness W {VKEY_WITNESS}\ngroup G 01 W\nquorum G\n",
        f"witness W {VKEY_WITNESS}\ngroup G any W X\nquorum G\n",
        "quorum none\r\n",
        "quorum none\x7f\n",
    ],
)
def test_malformed_policies_are_refused(text: str):
    with pytest.raises(MalformedError):
        log_policy.parse(text)


def test_policies_have_caps():
    with pytest.raises(TooLargeError):
        log_policy.parse("#" * (log_policy.MAX_TEXT + 1))
    many = [pair(f"w{number}.example/w", COSIGNATURE).key for number in range(65)]
    text = "".join(f"witness w{n} {key.to_text()}\n" for n, key in enumerate(many))
    with pytest.raises(TooLargeError):
        log_policy.parse(text + "quorum none\n")
    assert len(log_policy.parse(text.split("witness w64")[0] + "quorum none\n").witnesses) == 64


def test_a_policy_may_have_comments_tabs_urls_and_any_names():
    text = f"# 港口\n\twitness 港 {VKEY_WITNESS}\thttps://w.example  \n\nquorum\t港 \n"
    policy = log_policy.parse(text)
    assert policy.witnesses["港"].url == "https://w.example"
    assert policy.satisfied({"港"})
    assert not policy.satisfied(set())
    assert policy.smallest_quorum() == policy.confirmations() == 1


def test_without_a_quorum_nothing_is_witnessed():
    policy = log_policy.parse(flat(0, 0))
    assert policy.logs == (LOG.key,)
    assert not policy.satisfied(set(), origin=ORIGIN)
    assert policy.confirmations(ORIGIN) == policy.smallest_quorum() == 0
    log_policy.check(policy, ORIGIN)


def test_r16_quorums_that_cannot_tolerate_liars_are_refused():
    for count in range(1, 8):
        liars = (count - 1) // 3
        for quorum in range(1, count + 1):
            policy = log_policy.parse(flat(count, quorum))
            if quorum >= -(-(count + liars + 1) // 2):
                log_policy.check(policy, ORIGIN)
            else:
                with pytest.raises(RefusedError) as caught:
                    log_policy.check(policy, ORIGIN)
                assert caught.value.code == "policy_intolerant"
        log_policy.check(log_policy.parse(flat(count, log_policy.default_quorum(count))), ORIGIN)
    assert [log_policy.default_quorum(n) for n in (0, 1, 4, 7)] == [0, 1, 3, 5]


def test_r16_every_two_tolerated_quorums_share_an_honest_witness():
    for count in range(1, 8):
        quorum, liars = log_policy.default_quorum(count), (count - 1) // 3
        everybody = range(count)
        for one in combinations(everybody, quorum):
            for two in combinations(everybody, quorum):
                assert len(set(one) & set(two)) > liars


def test_r16_the_operator_of_the_log_has_no_vote():
    own = pair("cn-rail.example/witness/1", COSIGNATURE)
    text = threshold_policy(LOG.key, [(own.key, ""), (WITNESSES[0].key, "")], 2)
    policy = log_policy.parse(text)
    with pytest.raises(RefusedError) as caught:
        log_policy.check(policy, ORIGIN)
    assert caught.value.code == "policy_counts_operator"
    assert not policy.satisfied({"w1", "w2"}, origin=ORIGIN)
    assert policy.satisfied({"w1", "w2"}, origin="other.example/log/1")


def test_r16_one_vote_per_organisation():
    twin = pair("w0.example/witness/2", COSIGNATURE)
    text = threshold_policy(LOG.key, [(WITNESSES[0].key, ""), (twin.key, "")], 2)
    with pytest.raises(RefusedError) as caught:
        log_policy.check(log_policy.parse(text), ORIGIN)
    assert caught.value.code == "policy_counts_twice"


def test_r15_confirmations_intersect_every_quorum():
    for count, quorum in [(1, 1), (4, 3), (7, 5)]:
        policy = log_policy.parse(flat(count, quorum))
        assert policy.confirmations(ORIGIN) == count - quorum + 1


def test_a_witness_is_found_by_name_and_key_id():
    policy = log_policy.parse(flat(4, 3))
    from protocols.log import cosignature

    line = cosignature.sign("x\n", 1, WITNESSES[2].key, WITNESSES[2].sign)
    found = policy.witness_of(line)
    assert found is not None
    assert found.name == "w3"
    stranger = cosignature.sign("x\n", 1, WITNESSES[5].key, WITNESSES[5].sign)
    assert policy.witness_of(stranger) is None


@given(st.text(alphabet="logwitnesgrupqm none\n\t123", max_size=80))
def test_any_text_gives_a_policy_or_a_refusal(text: str):
    try:
        log_policy.parse(text)
    except (MalformedError, TooLargeError):
        return
    assert "quorum none" in re.sub(r"[\t ]+", " ", text)
