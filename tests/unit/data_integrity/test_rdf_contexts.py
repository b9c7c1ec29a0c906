"""Group 12: what a context may not hide or change between a document and its graph."""

from __future__ import annotations

import pytest

from node.verification.canonicaliser import OfflineCanonicaliser
from protocols.credentials import data_integrity, jsonld, nquads
from protocols.credentials.data_integrity import Expected
from schemas.errors import MalformedError, RefusedError, TradeError
from tests.unit.data_integrity.rdf_world import (
    AT,
    DOCUMENT,
    EXAMPLES,
    PASSED,
    V2,
    WRONG,
    contexts,
    proven,
    resolve,
    verify,
    worst,
)

LOSS = ("FAILED", "data_loss_detection_error")
UNSAFE = ("FAILED", "jsonld_context_unsafe")
MISSING = ("INDETERMINATE", "proof_contexts_missing")


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
