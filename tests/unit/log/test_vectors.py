"""Every file of the ledger vectors: tried somewhere, or listed here with the reason why not."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json

import cbor2
import nacl.bindings
import pytest

from protocols.log import checkpoint, cose_receipt, cosignature, merkle, note
from protocols.log.entry_bundle import unbundle
from protocols.log.merkle import Tree, leaf_hash
from schemas.errors import MalformedError, RefusedError
from tests.shared import shared_path

TRIED = {
    "merkle-consistency": "test_merkle",
    "merkle-inclusion": "test_merkle",
    "merkle-subtreeconsistency": "test_merkle",
    "merkle-subtreeinclusion": "test_merkle",
    "tessera-log": "test_checkpoint, test_ledger_log",
    "sunlight-ct": "here: leaf hashes of RFC 6962 entries against their tiles",
    "sunlight-witness": "here, test_checkpoint, test_ledger_log",
    "witness-session": "test_ledger_witness",
    "signed-note": "test_note",
    "sigsum-proof": "here",
    "sigsum-policy": "test_log_policy",
    "ed25519-edge": "test_note",
    "cose-receipts": "here",
}
OTHER_KEY = nacl.bindings.crypto_sign_seed_keypair(b"1" * 32)[0]
NOT_APPLICABLE = {
    "opentimestamps": "anchors are EVM blocks; a proof in Bitcoin's needs a Bitcoin node",
    "sigstore-bundle": "X.509 identities of a build system and Rekor's own entry formats; no log "
    "of this network takes or gives them",
    "ml-dsa-accumulated": "one digest over deterministic signatures; ours are hedged, as FIPS 204 "
    "recommends, so no run gives it (the files are the generator's build files; no vector)",
}


def test_every_suite_is_tried_or_has_a_reason():
    index = json.loads(shared_path("vectors/ledger/INDEX.json").read_text())
    assert set(index["counts"]) == set(TRIED) | set(NOT_APPLICABLE)
    assert not set(TRIED) & set(NOT_APPLICABLE)


# -- Sunlight: a CT log's tiles, and a mirror ------------------------------------------------------


@pytest.mark.parametrize("name", ["000", "002"])
def test_sunlight_data_tiles_give_the_hashes_of_their_tiles(name: str):
    folder = shared_path("vectors/ledger/sunlight-ct/navigli2025h2/tile")
    data = (folder / "data" / name).read_bytes()
    hashes = (folder / "0" / name).read_bytes()
    found = b"".join(leaf_hash(entry) for entry in timestamped_entries(data))
    assert found == hashes


def timestamped_entries(data: bytes) -> list[bytes]:
    """RFC 6962 MerkleTreeLeaf structures out of static-ct-api's TileLeaf sequence."""
    entries, at = [], 0
    while at < len(data):
        start = at
        kind = int.from_bytes(data[at + 8 : at + 10], "big")
        at += 10 + (32 if kind else 0)
        at += 3 + int.from_bytes(data[at : at + 3], "big")
        at += 2 + int.from_bytes(data[at : at + 2], "big")
        entries.append(b"\x00\x00" + data[start:at])
        if kind:  # a precertificate follows its entry
            at += 3 + int.from_bytes(data[at : at + 3], "big")
        at += 2 + int.from_bytes(data[at : at + 2], "big")
    return entries


def test_a_sunlight_mirror_holds_what_its_checkpoint_says():
    base = shared_path("vectors/ledger/sunlight-witness/witness/mirror")
    folder = next(item for item in base.iterdir() if item.is_dir())
    parsed = note.parse((folder / "checkpoint").read_bytes())
    head = checkpoint.parse_body(parsed.text)
    assert hashlib.sha256(head.origin.encode()).hexdigest() == folder.name
    key = note.parse_vkey(json.loads((base / "mirror.v0.json").read_text())["verifier_keys"][0])
    assert cosignature.verify(parsed.text, parsed.signatures[0], key) > 1_700_000_000
    hashes = b"".join((folder / "tile/0" / name).read_bytes() for name in ("000", "001.p/44"))
    tree = Tree(hashes[at : at + 32] for at in range(0, len(hashes), 32))
    assert (tree.size, tree.root()) == (head.size, head.root)
    # Its bundles are placeholders, and no bundles.
    for name in ("000", "001.p/44"):
        with pytest.raises(MalformedError):
            unbundle(gzip.decompress((folder / "tile/entries" / name).read_bytes()))


# -- Sigsum proofs ---------------------------------------------------------------------------------


def sections(name: str) -> list[list[tuple[str, str]]]:
    text = shared_path(f"vectors/ledger/sigsum-proof/{name}.txt").read_text()
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return [[tuple(line.split("=", 1)) for line in block.strip().split("\n")] for block in blocks]


LOG_KEY = "rCbAqFWsRRplOUeOGhYDiPAks4XxNj782kcBcAdsAeU="
WITNESS_KEY = "y+NX5rRkBJ5wO3vmyJIBGTrMKhjAlbBpGq9QubHhV4o="
SUBMIT_KEY = "x0tzFWMIBBQdsPiMJ8U/5/y/WebKNaSrqteJ7Gsrwgg="
"""The keys that the third proof was made with (sigsum-go, TestVerify)."""


@pytest.mark.parametrize(("name", "number"), [("proof-2", 1), ("proof-3", 1), ("proof-7", 4)])
def test_the_leaf_of_a_sigsum_proof_is_in_its_tree(name: str, number: int):
    fields, head, *rest = sections(name)
    submitted = dict(fields)["leaf"].split(" ")
    key_hash, signature = (bytes.fromhex(item) for item in submitted[-2:])
    message = b"foo-%d\n" % number
    checksum = hashlib.sha256(b" " * (32 - len(message)) + message).digest()
    leaf = leaf_hash(checksum + signature + key_hash)
    place = rest[0] if rest else []
    hashes = [bytes.fromhex(value) for key, value in place if key == "node_hash"]
    index, size = int(dict(place).get("leaf_index", 0)), int(dict(head)["size"])
    root = bytes.fromhex(dict(head)["root_hash"])
    merkle.verify_inclusion(index, size, leaf, hashes, root)
    with pytest.raises(RefusedError):
        merkle.verify_inclusion(index, size, leaf_hash(checksum), hashes, root)


def test_a_sigsum_tree_head_is_a_checkpoint_and_its_cosignature_one_of_ours():
    fields, head, _ = sections("proof-7")
    told = dict(head)
    origin = f"sigsum.org/v1/tree/{dict(fields)['log']}"
    root = bytes.fromhex(told["root_hash"])
    key = note.verifier_key(origin, note.ED25519, base64.b64decode(LOG_KEY))
    assert hashlib.sha256(key.public_key).hexdigest() == dict(fields)["log"]
    body = checkpoint.Checkpoint(origin, int(told["size"]), root).body()
    line = note.Signature(key.name, key.key_id, bytes.fromhex(told["signature"]))
    opened = checkpoint.open_checkpoint(note.Note(body, (line,)).to_text(), key)
    assert opened.checkpoint.root == root
    by, time, value = told["cosignature"].split(" ")
    witness = note.verifier_key("witness", note.COSIGNATURE, base64.b64decode(WITNESS_KEY))
    assert hashlib.sha256(witness.public_key).hexdigest() == by
    data = int(time).to_bytes(8, "big") + bytes.fromhex(value)
    cosigned = note.Signature(witness.name, witness.key_id, data)
    assert cosignature.verify(body, cosigned, witness) == int(time)
    submitter = hashlib.sha256(base64.b64decode(SUBMIT_KEY)).hexdigest()
    assert dict(fields)["leaf"].startswith(submitter)


# -- COSE receipts ---------------------------------------------------------------------------------


def test_the_cose_receipt_of_the_draft_is_read_and_leads_to_a_root():
    data = shared_path("vectors/ledger/cose-receipts/inclusion-receipt.cbor").read_bytes()
    receipt = cose_receipt.parse(data)
    assert (receipt.size, receipt.index, len(receipt.hashes)) == (5, 3, 3)
    assert receipt.algorithm == -7
    with pytest.raises(RefusedError):  # by ES256, with a key that is not in the vectors
        cose_receipt.verify(receipt, b"", OTHER_KEY)
    assert cbor2.loads(data).tag == 18


def test_our_cose_receipts_have_the_layout_of_the_draft():
    signing = nacl.bindings.crypto_sign_seed_keypair(bytes(32))
    tree = Tree(leaf_hash(str(number).encode()) for number in range(5))

    def sign(message: bytes) -> bytes:
        return nacl.bindings.crypto_sign(message, signing[1])[:64]

    hashes = tree.inclusion_proof(3, 5)
    data = cose_receipt.issue(
        "rail.example/log/1", b"\x01\x02\x03\x04", 3, 5, hashes, tree.root(), sign
    )
    receipt = cose_receipt.parse(data)
    assert cose_receipt.verify(receipt, b"3", signing[0]) == tree.root()
    theirs = cbor2.loads(
        shared_path("vectors/ledger/cose-receipts/inclusion-receipt.cbor").read_bytes()
    ).value
    ours = cbor2.loads(data).value
    assert list(cbor2.loads(ours[0])) == [1, 4, 15, 395]
    assert set(cbor2.loads(theirs[0])) == set(cbor2.loads(ours[0]))
    assert [type(item) for item in ours] == [type(item) for item in theirs]
    assert ours[1].keys() == theirs[1].keys()
    for entry, key in ((b"4", signing[0]), (b"3", OTHER_KEY)):
        with pytest.raises(RefusedError):
            cose_receipt.verify(receipt, entry, key)


def sign1(proof: object, payload: object = None, vds: int = 1) -> bytes:
    header = cbor2.dumps({1: -8, 395: vds})
    members = [header, {396: {-1: [cbor2.dumps(proof)]}}, payload, b"signature"]
    return cbor2.dumps(cbor2.CBORTag(18, members))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xd2\x84",
        cbor2.dumps(cbor2.CBORTag(18, [b"", {}, None, b""])),
        cbor2.dumps([1]),
        cbor2.dumps(cbor2.CBORTag(17, [])),
        bytes(10_000),
        sign1([5, 3, []], payload=b"root"),
        sign1([5, 3, []], vds=2),
        sign1([5, "3", []]),
        sign1([5, 3, [b"short"]]),
        sign1([5, 3, ["text" * 8]]),
        sign1([5, 3, [bytes(32)] * 65]),
        sign1([5, 3]),
    ],
)
def test_other_bytes_are_no_cose_receipt(data: bytes):
    with pytest.raises(MalformedError):
        cose_receipt.parse(data)


def test_a_cose_receipt_without_an_issuer_is_still_one():
    assert cose_receipt.parse(sign1([5, 3, []])).issuer == ""
