"""Proofs over RDF: the standards' vectors with imported contexts, and made and verified here."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import pytest

from node.verification.canonicaliser import OfflineCanonicaliser
from node.verification.contexts import ContextStore
from protocols.credentials import data_integrity, foreign_credential, presentation
from schemas.errors import MalformedError, RefusedError, UnavailableError
from schemas.findings import Outcome
from tests.shared import ROOT, shared_path
from tests.unit.data_integrity.rdf_world import (
    AT,
    DOCUMENT,
    PASSED,
    PRIVATE,
    WRONG,
    canonical_nquads,
    contexts,
    proven,
    resolve,
    signer,
    verify,
    worst,
)


def index(folder: str) -> list[dict]:
    base = Path(os.environ.get("PRATIQUE_SHARED", ROOT.parent / "shared"))
    file = base / "vectors/credentials/INDEX.json"
    if not file.exists():
        return []
    vectors = json.loads(file.read_text())["vectors"]
    return [vector for vector in vectors if vector["file"].startswith(f"{folder}/")]


def load(name: str) -> dict:
    return foreign_credential.load(shared_path(f"vectors/credentials/{name}").read_bytes())


# --- vectors ------------------------------------------------------------------------------------


def test_the_vectors_are_all_here() -> None:
    shared_path("vectors/credentials/INDEX.json")
    assert [len(index(name)) for name in ("rdfc", "di", "vcdm2")] == [38, 50, 53]
    assert len(contexts().pins) == 9


@pytest.mark.parametrize("vector", index("rdfc"), ids=lambda vector: vector["file"])
def test_canonicalisation_vectors_give_their_bytes(vector: dict) -> None:
    case = json.loads(shared_path(f"vectors/credentials/{vector['file']}").read_text())
    found = canonical_nquads(case["input"].encode(), case["hashAlgorithm"])
    assert found == case["output"].encode()


@pytest.mark.parametrize("vector", index("di"), ids=lambda vector: vector["file"])
def test_data_integrity_vectors_get_their_verdict_with_contexts(
    vector: dict, machine: OfflineCanonicaliser
) -> None:
    document = load(vector["file"])
    found = verify(document, machine)
    if vector["expected"] == "reject":
        assert found.document is None
        assert found.worst.outcome is Outcome.FAILED
        return
    assert found.worst.outcome is Outcome.PASSED
    assert found.document is not None
    rest = {name: value for name, value in document.items() if name != "proof"}
    if vector["expected"] == "accept":
        assert found.document == rest


@pytest.mark.parametrize("vector", index("vcdm2"), ids=lambda vector: vector["file"])
def test_data_model_vectors_get_their_verdict_with_contexts(vector: dict) -> None:
    members = load(vector["file"])
    bodies = contexts().bodies

    def read() -> object:
        if presentation.is_presentation(members) or "verifiableCredential" in members:
            return presentation.read(members)
        return foreign_credential.read(members, bodies)

    if vector["expected"] == "accept":
        assert read()
        return
    with pytest.raises(MalformedError):
        read()


#: A vector whose proof is untouched, and one whose body is: together the document as it was signed.
ORIGINALS = {
    "signedDataInt": ("addctx", "created"),
    "signedECDSAP384": ("subject", "created"),
    "signedProofChain1": ("subject", "created"),
    "signedProofChain2": ("subject", "created"),
    "signedProofSet1": ("undefterm", "created"),
    "signedProofSet2": ("subject", "created"),
}


@pytest.mark.parametrize("name", ORIGINALS)
def test_the_documents_that_the_rejected_vectors_were_made_of_verify(
    name: str, machine: OfflineCanonicaliser
) -> None:
    proof, body = (load(f"di/{name}.{kind}.json") for kind in ORIGINALS[name])
    whole = body | {"proof": proof["proof"]}
    found = verify(whole, machine)
    assert found.worst.outcome is Outcome.PASSED, found.worst
    assert found.document == {key: value for key, value in body.items() if key != "proof"}


@pytest.mark.parametrize("kind", PRIVATE)
def test_what_is_signed_over_rdf_verifies_and_comes_back(
    kind: str, machine: OfflineCanonicaliser
) -> None:
    document = proven(machine, kind=kind, more={"domain": "a.example"})
    suite = "eddsa-rdfc-2022" if kind == "Ed25519" else "ecdsa-rdfc-2019"
    assert document["proof"]["cryptosuite"] == suite
    assert "@context" not in document["proof"]
    assert verify(document, machine).document == DOCUMENT
    # The order of members and of a set's values is not part of the graph; their values are.
    turned = dict(reversed(document.items()))
    assert worst(turned, machine) == PASSED
    turned["validFrom"] = "2026-01-01T00:00:01Z"
    assert worst(turned, machine) == WRONG


def test_sets_and_chains_mix_the_suites(machine: OfflineCanonicaliser) -> None:
    first = proven(machine, kind="Ed25519", proof_id="urn:first")
    both = data_integrity.issue(first, signer("P-256"), created=AT)
    chain = proven(machine, both, "P-384", previous=["urn:first"], proof_id="urn:third")
    found = verify(chain, machine)
    assert [proof.outcome for proof in found.proofs] == [Outcome.PASSED] * 3
    other = proven(machine, kind="P-256", proof_id="urn:first")["proof"]
    replaced = chain | {"proof": [other, *chain["proof"][1:]]}
    assert [proof.outcome for proof in verify(replaced, machine).proofs][-1] is Outcome.FAILED
    cut = chain | {"proof": chain["proof"][1:]}
    assert worst(cut, machine) == WRONG


def test_without_contexts_a_draft_cannot_be_completed(machine: OfflineCanonicaliser) -> None:
    own = signer("P-256")
    made = data_integrity.draft(DOCUMENT, own, created=AT, rdf=True)
    for forms in (None, machine.forms(made.inputs, ContextStore())):
        with pytest.raises(UnavailableError, match=r"credentials/v2.*examples/v2") as caught:
            data_integrity.complete(made, own, forms)
        assert caught.value.code == "proof_contexts_missing"
    with pytest.raises(RefusedError, match="proof_generation_error"):
        data_integrity.draft(DOCUMENT, own, created=AT, rdf=True, previous=["urn:x"])


def test_a_set_asks_for_each_form_once_and_only_where_it_can_help(
    machine: OfflineCanonicaliser,
) -> None:
    twice = proven(machine, proven(machine, kind="Ed25519"), "P-256")
    assert len(data_integrity.canonical_inputs(twice, resolve)) == 3
    assert len(data_integrity.canonical_inputs(twice, lambda _: None)) == 0
    broken = copy.deepcopy(twice)
    broken["proof"][0]["previousProof"] = "urn:nobody"
    broken["proof"][1]["cryptosuite"] = "eddsa-rdfc-2022"
    assert data_integrity.canonical_inputs(broken, resolve) == ()
    assert worst(broken, machine) == WRONG


def test_a_document_without_contexts_has_no_words(machine: OfflineCanonicaliser) -> None:
    own = signer("P-256")
    made = data_integrity.draft({"a": 1}, own, created=AT, rdf=True)
    with pytest.raises(RefusedError, match="data_loss_detection_error"):
        data_integrity.complete(made, own, machine.forms(made.inputs, contexts()))
