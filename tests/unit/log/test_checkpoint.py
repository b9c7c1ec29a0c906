from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa

from protocols.digest import sha256
from protocols.log import checkpoint, cosignature, merkle, note
from protocols.log import policy as log_policy
from protocols.log import proof as log_proof
from protocols.log.checkpoint import Checkpoint
from protocols.log.merkle import Tree, leaf_hash
from protocols.log.note import Note, Signature
from schemas.errors import MalformedError, RefusedError, TradeError
from tests.shared import shared_path
from tests.unit.log.keys_for_tests import log_pair, witness_pairs

LOG = log_pair()
ORIGIN = LOG.key.name
TESSERA = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
TESSERA_LEAVES = (
    b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten"
)


def signed(tree: Tree, size: int | None = None, origin: str = ORIGIN) -> str:
    size = tree.size if size is None else size
    head = Checkpoint(origin, size, tree.root(size))
    return checkpoint.sign(head, LOG.key, LOG.sign).to_text()


def tree_of(*entries: str) -> Tree:
    return Tree([leaf_hash(entry.encode()) for entry in entries])


def test_tessera_checkpoints_verify_and_follow_from_their_leaves():
    folder = shared_path("vectors/ledger/tessera-log")
    key = note.parse_vkey(TESSERA)
    tree = Tree([leaf_hash(entry) for entry in TESSERA_LEAVES.split()])
    for path in sorted(folder.glob("checkpoint*")):
        opened = checkpoint.open_checkpoint(path.read_bytes(), key)
        head = opened.checkpoint
        assert head.root == tree.root(head.size)
        assert opened.note.to_text().encode() == path.read_bytes()


def test_sunlight_witness_cosignature_verifies():
    folder = shared_path("vectors/ledger/sunlight-witness/witness")
    pairs = {
        "witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN": "",
        "mirror.example.org+3fb148ef+BAAjjch9GyYz0sJsJx7ALhbdAtz2ov0unbzSl1vMp94O": "mirror/",
    }
    name = "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706/checkpoint"
    for vkey, prefix in pairs.items():
        key = note.parse_vkey(vkey)
        opened = note.parse((folder / (prefix + name)).read_bytes())
        checkpoint.parse_body(opened.text)
        lines = [line for line in opened.signatures if line.names(key)]
        assert [cosignature.verify(opened.text, line, key) for line in lines] == [1_767_139_200]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "origin\n1\n",
        "origin\n1\nAAAA\n",
        "origin\n01\n" + note.encode64(bytes(32)) + "\n",
        "origin\n-1\n" + note.encode64(bytes(32)) + "\n",
        "origin\n\u0661\n" + note.encode64(bytes(32)) + "\n",
        "origin\n9223372036854775808\n" + note.encode64(bytes(32)) + "\n",
        "\n1\n" + note.encode64(bytes(32)) + "\n",
        "origin\n1\n" + note.encode64(bytes(32)) + "\nextension\n",
        "origin\n1\n" + note.encode64(bytes(32)),
        "origin\n1\n" + note.encode64(bytes(32)).rstrip("=") + "\n",
    ],
)
def test_malformed_checkpoints_are_refused(body: str):
    with pytest.raises(MalformedError) as caught:
        checkpoint.parse_body(body)
    assert caught.value.code == "checkpoint_malformed"


def test_a_checkpoint_of_another_origin_is_refused():
    text = signed(tree_of("a"), origin="other.example/log/1")
    with pytest.raises(RefusedError) as caught:
        checkpoint.open_checkpoint(text, LOG.key)
    assert caught.value.code == "checkpoint_origin_mismatch"
    opened = checkpoint.open_checkpoint(text, LOG.key, origin="other.example/log/1")
    assert opened.checkpoint.size == 1


def test_two_roots_for_one_size_are_proof_of_equivocation():
    one, two = signed(tree_of("a", "b")), signed(tree_of("a", "c"))
    found = checkpoint.equivocation(one, two, LOG.key.to_text())
    assert found is not None
    assert found.same_size
    assert checkpoint.equivocation(two, one, LOG.key) == found
    assert checkpoint.equivocation(one, one, LOG.key) is None


def test_a_consistency_proof_from_another_past_is_proof_of_equivocation():
    honest, forked = tree_of("a", "b", "c"), tree_of("a", "b", "x", "d", "e")
    proof = forked.consistency_proof(3, 5)
    found = checkpoint.equivocation(signed(honest), signed(forked), LOG.key, proof)
    assert found is not None
    assert not found.same_size
    assert (found.smaller.size, found.larger.size) == (3, 5)


def test_an_honest_log_is_never_accused():
    tree = tree_of("a", "b", "c", "d", "e", "f", "g")
    for old in range(1, 7):
        for new in range(old, 8):
            for proof in (tree.consistency_proof(old, new), (), (bytes(32),), (bytes(32),) * 9):
                accused = checkpoint.equivocation(
                    signed(tree, old), signed(tree, new), LOG.key, proof
                )
                assert accused is None


def test_a_fork_without_the_logs_own_signatures_proves_nothing():
    stranger = log_pair("stranger.example/log/1")
    with pytest.raises(TradeError):
        checkpoint.equivocation(signed(tree_of("a")), signed(tree_of("b")), stranger.key)


def test_a_proof_over_a_power_of_two_accuses_nobody():
    honest, forked = tree_of("a", "b"), tree_of("a", "x", "c")
    proof = forked.consistency_proof(2, 3)
    assert checkpoint.equivocation(signed(honest), signed(forked), LOG.key, proof) is None
    with pytest.raises(RefusedError):
        merkle.verify_consistency(2, 3, honest.root(), forked.root(), proof)


def test_cosignatures_verify_at_their_time_only():
    witness, other = witness_pairs(2)
    body = Checkpoint(ORIGIN, 1, bytes(32)).body()
    line = cosignature.sign(body, 1_700_000_000, witness.key, witness.sign)
    assert cosignature.verify(body, line, witness.key) == 1_700_000_000
    later = Signature(line.name, line.key_id, (1_700_000_001).to_bytes(8, "big") + line.value[8:])
    short = Signature(line.name, line.key_id, line.value[:-1])
    zero = Signature(line.name, line.key_id, bytes(72))
    for bad, key in [(later, witness.key), (short, witness.key), (zero, witness.key)]:
        with pytest.raises(RefusedError) as caught:
            cosignature.verify(body, bad, key)
        assert caught.value.code == "cosignature_invalid"
    for bad_key in (other.key, LOG.key):
        with pytest.raises(RefusedError):
            cosignature.verify(body, line, bad_key)
    with pytest.raises(RefusedError):
        cosignature.verify(body.replace("1", "2", 1), line, witness.key)
    for key, time in [(LOG.key, 1), (witness.key, 0)]:
        with pytest.raises(ValueError, match="0x04"):
            cosignature.sign(body, time, key, witness.sign)


def test_r1_a_log_signature_is_no_cosignature():
    witness = witness_pairs(1)[0]
    body = Checkpoint(ORIGIN, 1, bytes(32)).body()
    forged = Signature(witness.key.name, witness.key.key_id, bytes(8) + LOG.sign(body.encode()))
    with pytest.raises(RefusedError):
        cosignature.verify(body, forged, witness.key)
    assert Note(body, (forged,)).to_text().count("\u2014") == 1


def post_quantum_pair(name: str) -> tuple[note.VerifierKey, mldsa.MLDSA44PrivateKey]:
    secret = mldsa.MLDSA44PrivateKey.from_seed_bytes(sha256(name.encode()))
    raw = secret.public_key().public_bytes_raw()
    return note.verifier_key(name, note.ML_DSA_44, raw), secret


def test_ml_dsa_44_cosignatures_sign_name_time_origin_size_and_root():
    key, secret = post_quantum_pair("w0.example/witness/1")
    head = Checkpoint(LOG.key.name, 3, sha256(b"root"))
    line = cosignature.sign(head.body(), 1_700_000_000, key, secret.sign)
    assert len(line.value) == 8 + 2420
    assert cosignature.verify(head.body(), line, key) == 1_700_000_000
    # The layout of C2SP tlog-cosignature, byte for byte.
    written = (
        b"subtree/v1\n\x00"
        + bytes((len(key.name),))
        + key.name.encode()
        + (1_700_000_000).to_bytes(8, "big")
        + bytes((len(LOG.key.name),))
        + LOG.key.name.encode()
        + bytes(8)
        + (3).to_bytes(8, "big")
        + head.root
    )
    secret.public_key().verify(line.value[8:], written)
    assert note.parse_vkey(key.to_text()) == key
    changed = [
        Checkpoint("other.example/log/1", 3, head.root),
        Checkpoint(LOG.key.name, 4, head.root),
        Checkpoint(LOG.key.name, 3, bytes(32)),
    ]
    later = Signature(line.name, line.key_id, (1_700_000_001).to_bytes(8, "big") + line.value[8:])
    for body, tried in [*((other.body(), line) for other in changed), (head.body(), later)]:
        with pytest.raises(RefusedError) as caught:
            cosignature.verify(body, tried, key)
        assert caught.value.code == "cosignature_invalid"


def test_ml_dsa_44_messages_have_no_names_that_do_not_fit():
    for name in ("", "n" * 256):
        with pytest.raises(MalformedError):
            cosignature.subtree_message(name, 1, "origin", 0, 1, bytes(32))


def test_keys_of_another_length_than_their_type_are_refused():
    for algorithm, size in ((note.ML_DSA_44, 32), (note.COSIGNATURE, 1312), (note.ML_DSA_44, 0)):
        with pytest.raises(MalformedError) as caught:
            note.verifier_key("w0.example/witness/1", algorithm, bytes(size))
        assert caught.value.code == "vkey_malformed"


def test_a_second_line_is_known_without_having_a_vote():
    pairs = witness_pairs(4)
    second, secret = post_quantum_pair(pairs[0].key.name)
    text = log_policy.threshold_policy(
        LOG.key, [(pair.key, "") for pair in pairs], 3, known=[second]
    )
    policy = log_policy.parse(text)
    log_policy.check(policy, LOG.key.name)
    head = Checkpoint(LOG.key.name, 1, sha256(b"root"))
    lines = [cosignature.sign(head.body(), 7, pair.key, pair.sign) for pair in pairs[:2]]
    lines.append(cosignature.sign(head.body(), 7, second, secret.sign))
    signed = checkpoint.sign(head, LOG.key, LOG.sign)
    checked = log_proof.check_checkpoint(signed.with_signatures(lines).to_text(), LOG.key, policy)
    assert not checked.witnessed  # two votes of three: the second line of the first adds none
    lines.append(cosignature.sign(head.body(), 7, pairs[2].key, pairs[2].sign))
    whole = signed.with_signatures(lines)
    assert log_proof.check_checkpoint(whole.to_text(), LOG.key, policy).witnessed
    value = lines[2].value
    broken = Signature(second.name, second.key_id, value[:-1] + bytes([value[-1] ^ 1]))
    forged = signed.with_signatures([lines[0], lines[1], broken, lines[3]]).to_text()
    with pytest.raises(RefusedError):
        log_proof.check_checkpoint(forged, LOG.key, policy)
