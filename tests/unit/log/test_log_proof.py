from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.log import checkpoint, cosignature, merkle
from protocols.log import policy as log_policy
from protocols.log import proof as log_proof
from protocols.log.checkpoint import Checkpoint
from protocols.log.merkle import Tree, leaf_hash
from protocols.log.note import COSIGNATURE
from protocols.log.proof import LogProof
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from tests.unit.log.keys_for_tests import Pair, log_pair, pair, witness_pairs

LOG = log_pair()
WITNESSES = witness_pairs(4)
POLICY = log_policy.threshold_policy(LOG.key, [(item.key, "") for item in WITNESSES], 3)
ENTRIES = [f"entry {number}".encode() for number in range(7)]
TREE = Tree([leaf_hash(entry) for entry in ENTRIES])
INDEX = 5


def receipt(cosigners: list[Pair], *, extra: bytes | None = None, times: int = 100) -> str:
    note = checkpoint.sign(Checkpoint(LOG.key.name, 7, TREE.root()), LOG.key, LOG.sign)
    lines = [
        cosignature.sign(note.text, times + number, item.key, item.sign)
        for number, item in enumerate(cosigners)
    ]
    text = note.with_signatures(lines).to_text()
    return LogProof(INDEX, TREE.inclusion_proof(INDEX, 7), text, extra).to_text()


def verify(text: str, *, policy: str = POLICY, strict: bool = True) -> log_proof.ProofResult:
    return log_proof.verify(text, ENTRIES[INDEX], LOG.key.to_text(), policy, strict=strict)


GOOD = receipt(WITNESSES[:3])


def test_a_receipt_with_a_quorum_is_witnessed():
    result = verify(GOOD)
    assert (result.index, result.size, result.root) == (INDEX, 7, TREE.root())
    assert result.witnessed
    assert result.witness_times == {"w1": 100, "w2": 101, "w3": 102}
    assert result.witness_time == 101
    assert result.leaf_hash == leaf_hash(ENTRIES[INDEX])


def test_a_receipt_survives_writing_and_reading():
    for text in (GOOD, receipt([], extra=b"more"), receipt([])):
        assert log_proof.parse(text).to_text() == text
    assert len(receipt(WITNESSES).encode()) < 2000


def test_r17_without_a_quorum_a_receipt_proves_no_time():
    result = verify(receipt(WITNESSES[:2]))
    assert not result.witnessed
    assert result.witness_time is None
    assert not verify(receipt([]), policy="quorum none\n").witnessed


def test_another_entry_or_log_is_refused():
    with pytest.raises(RefusedError) as caught:
        log_proof.verify(GOOD, b"other", LOG.key, POLICY)
    assert caught.value.code == "inclusion_proof_invalid"
    with pytest.raises(RefusedError):
        log_proof.verify(GOOD, ENTRIES[INDEX], log_pair("x.example/log/1").key, POLICY)


def test_r16_a_witness_outside_the_policy_counts_nothing():
    strangers = [pair(f"s{number}.example/witness/1", COSIGNATURE) for number in range(3)]
    text = receipt([*WITNESSES[:2], *strangers])
    assert not verify(text, strict=False).witnessed
    with pytest.raises(RefusedError) as caught:
        verify(text)
    assert caught.value.code == "signature_of_stranger"


def test_r3_two_cosignatures_by_one_key_count_once():
    text = receipt([WITNESSES[0], WITNESSES[0], WITNESSES[1]])
    result = verify(text, strict=False)
    assert not result.witnessed
    assert result.witness_times == {"w1": 100, "w2": 102}
    with pytest.raises(MalformedError):
        verify(text)


def test_r16_the_operators_own_witness_has_no_vote():
    own = pair("cn-rail.example/witness/1", COSIGNATURE)
    keys = [(own.key, ""), *((item.key, "") for item in WITNESSES[:3])]
    policy = log_policy.threshold_policy(LOG.key, keys, 3)
    result = verify(receipt([own, *WITNESSES[:2]]), policy=policy)
    assert not result.witnessed
    assert set(result.witness_times) == {"w2", "w3"}


def test_r5_a_policy_of_the_attackers_own_does_not_make_it_witnessed():
    own = [pair(f"evil{number}.example/w", COSIGNATURE) for number in range(4)]
    assert not verify(receipt(own), strict=False).witnessed


def test_a_wrong_cosignature_of_a_known_witness_refuses_the_whole_receipt():
    lines = GOOD.split("\n")
    other = receipt(WITNESSES[:3], times=500).split("\n")
    stolen = lines[-2][:60] + other[-2][60:]
    with pytest.raises(RefusedError) as caught:
        verify("\n".join([*lines[:-2], stolen, ""]), strict=False)
    assert caught.value.code == "cosignature_invalid"


def test_strict_receipts_have_no_unauthenticated_extra():
    assert verify(receipt(WITNESSES[:3], extra=b"x"), strict=False).witnessed
    with pytest.raises(MalformedError):
        verify(receipt(WITNESSES[:3], extra=b"x"))


def test_every_changed_byte_of_a_strict_receipt_fails():
    data = GOOD.encode()
    for place in range(len(data)):
        for change in (1, 0x20, 0x80):
            mutated = bytearray(data)
            mutated[place] ^= change
            with pytest.raises((TradeError, UnicodeDecodeError)):
                verify(mutated.decode())


@given(st.integers(0, len(GOOD) - 1), st.characters())
def test_a_replaced_character_never_passes(place: int, character: str):
    mutated = GOOD[:place] + character + GOOD[place + 1 :]
    if mutated != GOOD:
        with pytest.raises(TradeError):
            verify(mutated)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1\n",
        GOOD.replace("index 5", "index 05"),
        GOOD.replace("index 5", "index"),
        GOOD.replace("index 5\n", "index 5\n" + "A" * 43 + "=\n" * 1 + ("A" * 43 + "=\n") * 65),
        GOOD.replace("index 5\n", "index 5\nAAAB\n").replace("AAAB", "AAB="),
        GOOD.replace("@v1\n", "@v1\nextra \n"),
        GOOD.replace("\n\ncn-rail", "\n\n\ncn-rail"),
    ],
)
def test_malformed_receipts_are_refused(text: str):
    with pytest.raises(MalformedError):
        verify(text, strict=False)


def test_receipts_have_a_cap():
    with pytest.raises(TooLargeError):
        log_proof.parse("x" * (log_proof.MAX_TEXT + 1))


def test_a_checked_checkpoint_serves_many_proofs():
    proof = log_proof.parse(GOOD)
    checked = log_proof.check_checkpoint(proof.checkpoint, LOG.key, log_policy.parse(POLICY))
    assert log_proof.verify_under(checked, proof, leaf_hash(ENTRIES[INDEX])).witnessed
    with pytest.raises(RefusedError):
        log_proof.verify_under(checked, proof, merkle.leaf_hash(b"other"))
