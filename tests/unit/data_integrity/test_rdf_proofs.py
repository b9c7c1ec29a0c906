"""Proofs over RDF: the standards' vectors with imported contexts, and what may not be hidden."""

from __future__ import annotations

import copy
import json
import os
import struct
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from node.verification import canonicaliser
from node.verification.canonicaliser import WORKER, Limits, OfflineCanonicaliser
from node.verification.contexts import ContextStore
from protocols import data_integrity, did, foreign_credential, jsonld, keys, nquads, presentation
from protocols.canonical_forms import CanonicalInput
from protocols.data_integrity import Expected, Verification
from schemas.catalogue import explain
from schemas.errors import MalformedError, RefusedError, TradeError, UnavailableError
from schemas.findings import Outcome
from tests.shared import ROOT, shared_path

if TYPE_CHECKING:
    from collections.abc import Iterator

AT = datetime(2026, 6, 1, tzinfo=UTC)
V2 = "https://www.w3.org/ns/credentials/v2"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
PRIVATE = {
    "Ed25519": ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)),
    "P-256": ec.derive_private_key(7, ec.SECP256R1()),
    "P-384": ec.derive_private_key(8, ec.SECP384R1()),
}


def index(folder: str) -> list[dict]:
    base = Path(os.environ.get("PRATIQUE_SHARED", ROOT.parent / "shared"))
    file = base / "vectors/credentials/INDEX.json"
    if not file.exists():
        return []
    vectors = json.loads(file.read_text())["vectors"]
    return [vector for vector in vectors if vector["file"].startswith(f"{folder}/")]


def load(name: str) -> dict:
    return foreign_credential.load(shared_path(f"vectors/credentials/{name}").read_bytes())


@cache
def contexts() -> ContextStore:
    return ContextStore.of_files(shared_path("vectors/credentials/contexts"))


@pytest.fixture(scope="module")
def machine() -> Iterator[OfflineCanonicaliser]:
    with OfflineCanonicaliser() as found:
        yield found


def resolve(method: str) -> keys.PublicKey:
    return did.resolve(did.parse(method))


def signer(kind: str) -> keys.SoftwareSigner:
    name = did.key_did(keys.SoftwareSigner("", PRIVATE[kind]).public())
    return keys.SoftwareSigner(f"{name}#{name.removeprefix('did:key:')}", PRIVATE[kind])


def verify(document: dict, machine: OfflineCanonicaliser) -> Verification:
    forms = machine.forms(data_integrity.canonical_inputs(document, resolve), contexts())
    return data_integrity.verify(document, resolve, Expected(AT), forms)


def worst(document: dict, machine: OfflineCanonicaliser) -> tuple[str, str]:
    found = verify(document, machine).worst
    told = explain(found.code)
    assert not found.code or (told is not None and told.zh)
    return found.outcome.value, found.code


# --- vectors ------------------------------------------------------------------------------------


def test_the_vectors_are_all_here() -> None:
    shared_path("vectors/credentials/INDEX.json")
    assert [len(index(name)) for name in ("rdfc", "di", "vcdm2")] == [38, 50, 53]
    assert len(contexts().pins) == 9


def _canonical(data: bytes, digest: str, *, seconds: float = 5.0) -> bytes | None:
    """What the worker answers to N-Quads; None when it was ended."""
    words = [sys.executable, "-I", str(WORKER), str(512 * 2**20), "nquads"]
    head = struct.pack(">IIBI", int(seconds * 1000), 1000, int(digest == "SHA384"), len(data))
    done = subprocess.run(words, input=head + data, capture_output=True, timeout=30, check=False)
    answer = done.stdout[1:]
    if not answer:
        return None
    status, length = struct.unpack(">BI", answer[:5])
    assert (status, length) == (0, len(answer) - 5)
    return answer[5:]


@pytest.mark.parametrize("vector", index("rdfc"), ids=lambda vector: vector["file"])
def test_canonicalisation_vectors_give_their_bytes(vector: dict) -> None:
    case = json.loads(shared_path(f"vectors/credentials/{vector['file']}").read_text())
    found = _canonical(case["input"].encode(), case["hashAlgorithm"])
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


# --- making and verifying -----------------------------------------------------------------------

DOCUMENT = {
    "@context": [V2, EXAMPLES],
    "id": "urn:uuid:1",
    "type": ["VerifiableCredential"],
    "issuer": "did:example:x",
    "validFrom": "2026-01-01T00:00:00Z",
    "credentialSubject": {"id": "urn:s", "a": 1.50, "words": '€ 公 \u2028 "q" \t'},
}


def proven(
    machine: OfflineCanonicaliser, document: dict | None = None, kind: str = "P-256", **more: object
) -> dict:
    own = signer(kind)
    made = data_integrity.draft(document or DOCUMENT, own, **{"created": AT, "rdf": True, **more})
    return data_integrity.complete(made, own, machine.forms(made.inputs, contexts()))


PASSED = ("PASSED", "")
WRONG = ("FAILED", "proof_verification_error")
LOSS = ("FAILED", "data_loss_detection_error")
UNSAFE = ("FAILED", "jsonld_context_unsafe")
MISSING = ("INDETERMINATE", "proof_contexts_missing")


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


# --- group 12: contexts -------------------------------------------------------------------------


def changed(machine: OfflineCanonicaliser, **members: object) -> dict:
    """A signed document with members changed afterwards."""
    return proven(machine) | members


def test_group_12_without_the_contexts_the_verdict_is_unknown_and_names_them(
    machine: OfflineCanonicaliser,
) -> None:
    document = changed(machine, **{"@context": [V2, "https://evil.example/v1"]})
    found = verify(document, machine).worst
    assert (found.outcome.value, found.code) == MISSING
    assert "https://evil.example/v1" in found.detail
    assert V2 not in found.detail
    nothing = data_integrity.verify(document, resolve, Expected(AT)).worst
    assert (nothing.outcome.value, nothing.code) == MISSING
    assert "https://evil.example/v1" in nothing.detail
    assert V2 in nothing.detail


INLINE = {
    "protected_term_defined_anew": {"issuer": "https://evil.example/issuer"},
    "a_coercion_changed": {"validFrom": {"@id": "https://www.w3.org/2018/credentials#validFrom"}},
    "vocab_injected": {"@vocab": "https://evil.example/#"},
    "base_injected": {"@base": "https://evil.example/"},
    "import_injected": {"@import": V2},
    "language_injected": {"@language": "nl"},
    "a_second_word_for_a_claim": {"until": "https://www.w3.org/2018/credentials#validUntil"},
    "a_second_word_by_a_prefix": {"x": "issuer:validUntil"},
    "a_word_dropped": {"words": None},
    "a_relative_meaning": {"words": "words"},
    "a_reversed_word": {"words": {"@reverse": "https://a.example/w"}},
    "a_container_that_drops_keys": {
        "words": {"@id": "https://a.example/w", "@container": "@index"}
    },
    "a_scoped_redefinition": {
        "words": {"@id": "https://a.example/w", "@context": {"issuer": "https://evil.example/i"}}
    },
    "a_scope_that_forgets": {"words": {"@id": "https://a.example/w", "@context": None}},
}


@pytest.mark.parametrize("name", INLINE)
def test_group_12_a_context_in_the_document_may_not(
    name: str, machine: OfflineCanonicaliser
) -> None:
    document = changed(machine, **{"@context": [V2, EXAMPLES, INLINE[name]]})
    assert worst(document, machine) == UNSAFE
    nested = proven(machine)
    nested["credentialSubject"] = {**DOCUMENT["credentialSubject"], "@context": INLINE[name]}
    assert worst(nested, machine) == UNSAFE


def test_group_12_new_words_may_stand_in_the_document(machine: OfflineCanonicaliser) -> None:
    weight = {"@id": "https://a.example/w", "@container": "@list"}
    scoped = {"@protected": True, "id": "@id", "type": "@type", "maker": "https://a.example/m"}
    maker = {"@id": "https://a.example/Maker", "@context": scoped}
    own = [V2, {"@version": 1.1, "weight": weight, "Maker": maker}]
    again = {"weight": {"@id": "https://a.example/w", "@container": "@list", "@protected": True}}
    subject = {"id": "urn:s", "type": "Maker", "maker": "m", "@context": again, "weight": [1, 2, 1]}
    document = proven(machine, {**DOCUMENT, "@context": own, "credentialSubject": subject})
    assert worst(document, machine) == PASSED
    assert len(jsonld.inline_contexts(document)) == 2


HIDDEN = {
    "undefined_term": ({"unheardOf": "x"}, LOSS),
    "undefined_type": ({"type": ["VerifiableCredential", "Unheard"]}, LOSS),
    "undefined_term_within": ({"evidence": {"type": "urn:t", "unheardOf": {"a": "b"}}}, LOSS),
    "relative_identifier": ({"issuer": "issuers/1"}, LOSS),
    "invalid_iri": ({"issuer": "did:example:x <y>"}, LOSS),
    "control_character_in_an_iri": ({"issuer": "did:example:\u0001x"}, LOSS),
    "null": ({"validUntil": None}, LOSS),
    "null_in_a_list": ({"issuer": ["did:example:x", None]}, LOSS),
    "direction": ({"name": {"@value": "x", "@direction": "rtl"}}, LOSS),
    "language_that_is_none": ({"name": {"@value": "x", "@language": "!"}}, LOSS),
    "index": ({"@index": "x"}, LOSS),
    "reverse": ({"@reverse": {"issuer": "urn:x"}}, LOSS),
    "included": ({"@included": [{"id": "urn:x", "type": "urn:y"}]}, LOSS),
    "graph": ({"@graph": []}, LOSS),
    "keyword_for_an_alias": ({"@id": "urn:uuid:1"}, LOSS),
    "set": ({"credentialSubject": {"@set": [{"id": "urn:s"}]}}, LOSS),
    "blank_predicate": ({"_:p": "x"}, UNSAFE),
    "full_iri_for_a_term": (
        {"https://www.w3.org/2018/credentials#validUntil": "2027-01-01T00:00:00Z"},
        UNSAFE,
    ),
    "claim_at_a_second_place": (
        {"evidence": {"id": "urn:uuid:1", "type": "urn:t"}},
        UNSAFE,
    ),
    "context_that_is_a_number": ({"@context": [V2, 5]}, UNSAFE),
    "too_many_contexts": ({"@context": [V2] * 41}, UNSAFE),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_group_12_nothing_is_lost_or_hidden_on_the_way_to_rdf(
    name: str, machine: OfflineCanonicaliser
) -> None:
    change, verdict = HIDDEN[name]
    base = {"@context": [V2], "credentialSubject": {"id": "urn:s", "name": "n"}}
    document = changed(machine, **(base | change))
    assert worst(document, machine) == verdict


def test_group_12_the_end_of_validity_cannot_be_hidden(machine: OfflineCanonicaliser) -> None:
    """The graph stays the same, the signature fits; whoever reads the JSON sees no end."""
    document = proven(machine, DOCUMENT | {"validUntil": "2026-02-01T00:00:00Z"})
    assert worst(document, machine) == PASSED
    end = document.pop("validUntil")
    renamed = {"https://www.w3.org/2018/credentials#validUntil": end}
    assert worst(document | renamed, machine) == UNSAFE
    typed = {"until": {"@id": "https://www.w3.org/2018/credentials#validUntil"}}
    aliased = {"@context": [V2, EXAMPLES, typed], "until": end}
    assert worst(document | aliased, machine) == UNSAFE
    moved = document["credentialSubject"] | {"other": {"id": "urn:uuid:1", "validUntil": end}}
    assert worst(document | {"credentialSubject": moved}, machine) == UNSAFE


def test_group_12_json_literals_are_whole(machine: OfflineCanonicaliser) -> None:
    inside = {"@context": "https://evil.example/", "a:b": None, "@index": [1.0, None]}
    subject = {"id": "urn:s", "document": {"@type": "@json", "@value": inside}}
    document = proven(machine, DOCUMENT | {"credentialSubject": subject})
    assert worst(document, machine) == PASSED
    document["credentialSubject"]["document"]["@value"]["a:b"] = 1
    assert worst(document, machine) == WRONG


def test_group_12_a_word_for_json_takes_any_json_and_only_where_it_always_does(
    machine: OfflineCanonicaliser,
) -> None:
    words = {"document": {"@id": "https://a.example/document", "@type": "@json"}}
    inside = {"document": {"a:b": None, "@index": [1, None]}}
    subject = {"credentialSubject": {"id": "urn:s", **inside}}
    document = proven(machine, DOCUMENT | {"@context": [V2, words]} | subject)
    assert worst(document, machine) == PASSED
    document["credentialSubject"]["document"] = {"a:b": 0, "@index": [1, None]}
    assert worst(document, machine) == WRONG
    other = {"Scope": {"@id": "urn:scope", "@context": {"document": "https://a.example/d"}}}
    mine = {V2: contexts().bodies[V2], "urn:words": words, "urn:other": other}
    jsonld.prepared({"@context": [V2, "urn:words"], **inside}, mine)
    with pytest.raises(RefusedError, match="named by a word"):
        jsonld.prepared({"@context": [V2, "urn:words", "urn:other"], **inside}, mine)


def test_group_12_an_imported_context_may_not_define_protected_terms_anew() -> None:
    mine = {V2: contexts().bodies[V2], "urn:other": {"VerifiableCredential": "urn:v"}}
    with pytest.raises(RefusedError, match="protected"):
        jsonld.prepared({"@context": [V2, "urn:other"], "issuer": "urn:x"}, mine)
    # The same definition once more is none anew: every pair of well-known contexts goes together.
    bodies = contexts().bodies
    for one in bodies:
        # Except the two versions of the data model, and the older context beside the newer one.
        if not one.endswith(("credentials/v1", "data-integrity/v1")):
            jsonld.prepared({"@context": [V2, one]}, bodies)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"@context": V2},
        {"@context": []},
        {"@context": [V2]},
        {"@context": [None]},
        {"@context": {"@import": V2}},
        {"@context": {"@base": "https://a.example/"}},
        {"@context": {"word": None}},
        {"@context": {"word": {"@id": "urn:w", "@context": V2}}},
        {"@context": {"word": {"@id": "urn:w", "@context": {"inner": None}}}},
    ],
)
def test_a_context_that_leans_on_others_is_not_imported(body: object) -> None:
    with pytest.raises(MalformedError) as caught:
        jsonld.read_context(body)
    assert caught.value.code == "jsonld_context_malformed"


def test_contexts_within_contexts_have_an_end() -> None:
    body: dict = {"word": "urn:w"}
    for _ in range(20):
        body = {"word": {"@id": "urn:w", "@context": body}}
    with pytest.raises(MalformedError):
        jsonld.read_context({"@context": body})
    scoped = {"@context": {"word": {"@id": "urn:w", "@context": None}}}
    assert jsonld.read_context(scoped) == scoped["@context"]


def test_a_document_of_too_many_values_is_not_walked() -> None:
    with pytest.raises(RefusedError):
        jsonld.context_urls({"a": [0] * (jsonld.MAX_VALUES + 1)})


# --- group 13: poison ---------------------------------------------------------------------------


def clique(size: int) -> dict:
    """Blank nodes that all know each other: no order among them is better than another."""
    names = [f"_:n{at}" for at in range(size)]
    knows = {"knows": {"@id": "https://a.example/knows", "@type": "@id"}}
    people = [{"id": one, "knows": [other for other in names if other != one]} for one in names]
    return DOCUMENT | {"@context": [V2, knows], "credentialSubject": people}


def test_group_13_a_poison_graph_ends_and_the_next_document_is_served() -> None:
    with OfflineCanonicaliser(Limits(seconds=0.5)) as machine:
        document = proven(machine)
        for poison in (clique(12), clique(12)):
            own = signer("P-256")
            made = data_integrity.draft(poison, own, created=AT, rdf=True)
            with pytest.raises(UnavailableError) as caught:
                data_integrity.complete(made, own, machine.forms(made.inputs, contexts()))
            assert caught.value.code == "rdf_limit_exceeded"
        assert worst(document, machine) == PASSED


def test_group_13_time_alone_ends_the_worker() -> None:
    lines = [
        f"_:n{one} <urn:p> _:n{other} .\n"
        for one in range(10)
        for other in range(10)
        if one != other
    ]
    assert _canonical("".join(lines).encode(), "SHA256", seconds=0.2) is None


def test_group_13_blank_nodes_are_counted_before_anything_is_ordered() -> None:
    with OfflineCanonicaliser(Limits(blank_nodes=5)) as machine:
        subject = {"id": "urn:s", "items": [{"n": at} for at in range(6)]}
        document = DOCUMENT | {"credentialSubject": subject}
        for digest in ("sha256", "sha384"):
            with pytest.raises(UnavailableError, match="5 blank nodes"):
                machine.canonicalise(document, digest=digest, contexts=contexts())


def test_group_13_a_small_clique_is_no_poison(machine: OfflineCanonicaliser) -> None:
    item = CanonicalInput(clique(4), "sha256")
    assert machine.forms([item], contexts())[item.key] == machine.canonicalise(
        item.document, digest="sha256", contexts=contexts()
    )


def test_what_is_not_json_ld_is_refused(machine: OfflineCanonicaliser) -> None:
    document = DOCUMENT | {"name": {"@value": {"a": 1}}}
    with pytest.raises(RefusedError) as caught:
        machine.canonicalise(document, digest="sha256", contexts=contexts())
    assert caught.value.code == "proof_transformation_error"


def test_a_worker_that_does_not_start_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(canonicaliser, "WORKER", tmp_path / "nothing.py")
    with (
        OfflineCanonicaliser() as machine,
        pytest.raises(UnavailableError, match="rdf_unavailable"),
    ):
        machine.canonicalise(DOCUMENT, digest="sha256", contexts=contexts())


# --- statements ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\n",
        b"nothing\n",
        b'<urn:a> <urn:b> "x"@en--ltr .\n',
        b"<a> <urn:b> <urn:c> .\n",
        b"<urn:a> <b> <urn:c> .\n",
        b'<urn:a> <urn:b> "c"^^<d> .\n',
        b'<urn:a> <urn:b> "c" <g> .\n',
        b"<urn:a> <urn:b> <urn:c>\n",
    ],
)
def test_statements_that_say_less_than_the_document_are_refused(text: bytes) -> None:
    with pytest.raises(TradeError) as caught:
        nquads.require_whole(text)
    assert caught.value.code == "data_loss_detection_error"
