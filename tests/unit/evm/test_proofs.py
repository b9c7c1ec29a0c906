"""Receipt-trie proofs, headers and seals; `trie` and py-evm are the independent word."""

from __future__ import annotations

import warnings
from dataclasses import replace

import pytest
import rlp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger.receipt_trie import MAX_RECEIPTS, ReceiptTrie
from protocols.digest import sha256
from protocols.evm import calls as evm_calls
from protocols.evm import proof as evm_proof
from protocols.evm.calls import Anchored
from protocols.evm.keys import SoftwareEvmSigner, keccak256
from protocols.evm.proof import EventProof
from schemas.errors import MalformedError, TradeError
from tests.support.evm_world import EvmWorld

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from trie import HexaryTrie

VALIDATORS = [SoftwareEvmSigner(sha256(b"validator %d" % number)) for number in range(7)]
PINNED = [signer.address for signer in VALIDATORS[:4]]


def oracle(receipts: list[bytes]) -> HexaryTrie:
    trie = HexaryTrie({}, prune=False)
    for index, receipt in enumerate(receipts):
        trie[rlp.encode(index)] = receipt
    return trie


@settings(max_examples=60, deadline=None)
@example([b"\x01"], 0)
@example([b"x"] * 130, 128)
@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=300), st.integers(0, 299))
def test_our_trie_is_that_of_another_implementation_and_its_paths_verify(
    receipts: list[bytes], at: int
) -> None:
    made, theirs, index = ReceiptTrie(receipts), oracle(receipts), at % len(receipts)
    assert made.root == theirs.root_hash
    path = made.path(index)
    assert evm_proof.verify_path(made.root, rlp.encode(index), path) == receipts[index]
    nodes = [rlp.decode(node) for node in path]
    assert HexaryTrie.get_from_proof(made.root, rlp.encode(index), nodes) == receipts[index]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.integers(0, 10**6), st.integers(0, 255))
def test_a_changed_byte_or_another_place_never_verifies(count: int, at: int, flip: int) -> None:
    receipts = [sha256(b"%d" % number) * 3 for number in range(count)]
    made, index = ReceiptTrie(receipts), at % count
    path = list(made.path(index))
    node = at % len(path)
    place = at % len(path[node])
    changed = bytearray(path[node])
    changed[place] ^= flip or 1
    path[node] = bytes(changed)
    with pytest.raises(TradeError, match=r"evm_path_invalid|evm_proof_malformed"):
        evm_proof.verify_path(made.root, rlp.encode(index), path)
    other = (index + 1) % count
    if other != index:
        with pytest.raises(TradeError, match=r"evm_path_invalid|evm_proof_malformed"):
            evm_proof.verify_path(made.root, rlp.encode(other), made.path(index))


def test_nodes_that_nobody_needs_or_that_are_missing_are_refused() -> None:
    made = ReceiptTrie([sha256(b"%d" % number) for number in range(40)])
    path, key = made.path(17), rlp.encode(17)
    for nodes in (path[:-1], (*path, path[-1]), (), path * 13):
        with pytest.raises(TradeError, match=r"evm_path_invalid|evm_proof_malformed"):
            evm_proof.verify_path(made.root, key, nodes)
    with pytest.raises(TradeError, match=r"evm_path_invalid|evm_proof_malformed"):
        evm_proof.verify_path(made.root, rlp.encode(40), made.path(39))
    with pytest.raises(ValueError, match="at most"):
        ReceiptTrie([b""] * (MAX_RECEIPTS + 1))


@pytest.mark.parametrize(
    "node",
    [
        [b"", b"value"],
        [b"\x40", b"value"],
        [b"\x21", b"value"],
        [b"\x00", b"x" * 32],
        [b"\x20\x80"],
        [b"\x20\x80", b""],
        [b"\x20\x80\x00", b"value"],
        [b"\x3f", b"value"],
        [b"\x18", b"short"],
        [b""] * 3,
        [b""] * 17,
        b"text",
        [[], b"value"],
    ],
)
def test_no_node_of_another_form_is_followed(node: list[bytes]) -> None:
    encoded = rlp.encode(node)
    with pytest.raises(TradeError, match=r"evm_path_invalid|evm_proof_malformed"):
        evm_proof.verify_path(keccak256(encoded), b"\x80", [encoded])


def test_a_branch_may_hold_a_value_where_its_key_ends() -> None:
    encoded = rlp.encode([[b""] * 16, b""][0] + [b"here"])
    assert evm_proof.verify_path(keccak256(encoded), b"", [encoded]) == b"here"


@pytest.fixture(scope="module")
def mined() -> tuple[EvmWorld, EventProof, Anchored]:
    """A real block with three transactions, the second of which anchors."""
    world = EvmWorld()
    origin, root = sha256(b"origin"), sha256(b"root")
    world.chain.transact(world.anchors, evm_calls.call(evm_calls.OPEN, origin))
    size = evm_calls.word(12)
    calls = [
        evm_calls.call(evm_calls.OPEN, sha256(b"another")),
        evm_calls.call(evm_calls.ANCHOR, origin, size, root),
        evm_calls.call(evm_calls.ANCHOR, origin, evm_calls.word(11), root),
    ]
    world.chain.together(world.chain.now + 9, world.anchors, calls)
    chain = world.chain.chain
    block = chain.get_canonical_block_by_number(chain.get_canonical_head().block_number)
    receipts = [item.encode() for item in block.get_receipts(chain.chaindb)]
    made = ReceiptTrie(receipts)
    assert made.root == block.header.receipt_root
    proof = EventProof(rlp.encode(block.header), 1, made.path(1), 0)
    return world, proof, Anchored(origin, world.chain.address, 12, root)


def test_an_event_is_proven_against_a_real_block(
    mined: tuple[EvmWorld, EventProof, Anchored],
) -> None:
    world, proof, anchored = mined
    proven = evm_proof.verify_event(proof, world.anchors)
    assert evm_calls.read_event(proven.log) == anchored
    head = world.chain.chain.get_canonical_head()
    assert proven.header.hash == head.hash
    assert (proven.header.number, proven.header.time) == (head.block_number, head.timestamp)


def test_a_proof_of_something_else_is_refused(
    mined: tuple[EvmWorld, EventProof, Anchored],
) -> None:
    world, proof, _ = mined
    with pytest.raises(TradeError, match="evm_event_other_contract"):
        evm_proof.verify_event(proof, world.registry)
    chain = world.chain.chain
    block = chain.get_canonical_block_by_number(chain.get_canonical_head().block_number)
    made = ReceiptTrie([item.encode() for item in block.get_receipts(chain.chaindb)])
    # The third transaction failed: it logged nothing that counts.
    failed = replace(proof, transaction=2, nodes=made.path(2))
    for wrong in (replace(proof, log=1), replace(proof, transaction=0), failed):
        with pytest.raises(TradeError, match="evm_path_invalid"):
            evm_proof.verify_event(wrong, world.anchors)
    for wrong in (replace(proof, log=-1), replace(proof, transaction=2**32)):
        with pytest.raises(MalformedError, match="evm_proof_malformed"):
            evm_proof.verify_event(wrong, world.anchors)
    empty = rlp.decode(proof.header)
    empty[5] = keccak256(b"\x80")
    with pytest.raises(TradeError, match="no transactions"):
        evm_proof.verify_event(replace(proof, header=rlp.encode(empty)), world.anchors)


# Seals. The layout is Besu's; the header otherwise that of a real block.


def sealed(
    mined_header: bytes, signers: list[SoftwareEvmSigner], round_: bytes = b"", named: int = 4
) -> bytes:
    fields = rlp.decode(mined_header)
    validators = [signer.address for signer in VALIDATORS[:named]]
    extra = [bytes(32), validators, [], round_, []]
    fields[12] = rlp.encode(extra)
    digest = keccak256(rlp.encode(fields))
    seals = []
    for signer in signers:
        raw = signer.sign_digest(digest).to_bytes()
        seals.append(raw[:64] + bytes([raw[64] - 27]))
    fields[12] = rlp.encode([*extra[:4], seals])
    return bytes(rlp.encode(fields))


@pytest.mark.parametrize(
    ("validators", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 4), (6, 4), (7, 5)]
)
def test_the_quorum_is_two_thirds_rounded_up(validators: int, needed: int) -> None:
    assert evm_proof.quorum(validators) == needed


def test_a_quorum_of_the_pinned_validators_seals_a_block(
    mined: tuple[EvmWorld, EventProof, Anchored],
) -> None:
    for round_ in (b"", b"\x02"):
        header = evm_proof.read_header(sealed(mined[1].header, VALIDATORS[:3], round_))
        found = evm_proof.verify_seals(header, PINNED)
        plain = evm_proof.read_header(sealed(mined[1].header, []))
        # The block's name leaves out round and seals.
        assert found == plain.hash
    assert evm_proof.read_seals(header).validators == tuple(PINNED)


def test_r3_r5_seals_count_once_and_only_of_pinned_validators(
    mined: tuple[EvmWorld, EventProof, Anchored],
) -> None:
    twice = [VALIDATORS[0], VALIDATORS[0], VALIDATORS[1], VALIDATORS[1]]
    strangers = VALIDATORS[3:]
    for signers in (VALIDATORS[:2], twice, strangers):
        header = evm_proof.read_header(sealed(mined[1].header, signers, named=7))
        with pytest.raises(TradeError, match="evm_block_unsealed"):
            evm_proof.verify_seals(header, PINNED)
    with pytest.raises(TradeError, match="evm_block_unsealed"):
        evm_proof.verify_seals(header, [])


def test_a_seal_over_another_header_counts_for_nothing(
    mined: tuple[EvmWorld, EventProof, Anchored],
) -> None:
    fields = rlp.decode(sealed(mined[1].header, VALIDATORS[:4]))
    fields[8] = b"\x7f"
    header = evm_proof.read_header(rlp.encode(fields))
    with pytest.raises(TradeError, match="evm_block_unsealed"):
        evm_proof.verify_seals(header, PINNED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\xf8\x00",
        rlp.encode([b""] * 15),
        rlp.encode(
            [b"", b"", b"", b"", b"", bytes(32), b"", b"", b"\0", b"", b"", b"", *[b""] * 3]
        ),
        rlp.encode([b"", b"", b"", b"", b"", bytes(32), b"", b"", [], b"", b"", b"", *[b""] * 3]),
        b"\xc1" * 20_000,
    ],
)
def test_no_header_of_another_form_is_read(data: bytes) -> None:
    with pytest.raises(MalformedError, match="evm_proof_malformed"):
        evm_proof.read_header(data)


def test_extra_data_without_seals_and_receipts_of_another_form_are_refused(
    mined: tuple[EvmWorld, EventProof, Anchored],
) -> None:
    header = evm_proof.read_header(mined[1].header)
    with pytest.raises(MalformedError, match="evm_proof_malformed"):
        evm_proof.verify_seals(header, PINNED)
    for data in (b"", b"\x02", b"\xc0", rlp.encode([b"\x01", b"", b"", [[b"", [], b""]]])):
        with pytest.raises(MalformedError, match="evm_proof_malformed"):
            evm_proof.read_receipt(data)
