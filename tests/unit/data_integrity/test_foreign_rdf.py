"""A member's credential with a proof over RDF: every step, by verifier and by command offline."""

from __future__ import annotations

import json
from functools import cache, partial
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from node.cli.main import build
from node.verification import offline
from node.verification.canonicaliser import OfflineCanonicaliser
from node.verification.contexts import ContextStore
from protocols import base64url, jws, member_list
from protocols.credentials import data_integrity
from protocols.credentials.canonical_forms import Rdf
from protocols.digest import sha256
from protocols.verify import Case, foreign_steps, verify_document
from schemas import strict_json
from schemas.catalogue import explain
from schemas.findings import Outcome
from tests.shared import shared_path
from tests.support import evidence_world as world
from tests.support.title_world import NOW, ecdsa
from tests.unit.data_integrity.rdf_world import UNHURRIED

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.findings import Check, Report

OWN = ecdsa("cn-cert", "credential")
V2 = "https://www.w3.org/ns/credentials/v2"
TRADE = "https://pratique.example/ns/trade/v1"
#: Stands for the published context of the network's words.
WORDS = b"""{"@context": {"@vocab": "https://pratique.example/ns/trade#",
  "document": {"@id": "https://pratique.example/ns/trade#document", "@type": "@json"}}}"""


@cache
def contexts() -> ContextStore:
    store = ContextStore()
    store.add(shared_path("vectors/credentials/contexts/cred-v2.json").read_bytes())
    store.add(WORDS, TRADE, sha256(WORDS).hex())
    return store


def members(**changes: object) -> dict:
    file = world.issued()
    return strict_json.loads_object(jws.parse(file.credential, typ="vc+jwt").payload) | changes


def proven(document: dict | None = None) -> bytes:
    made = data_integrity.draft(document or members(), OWN, created=world.ISSUED, rdf=True)
    with OfflineCanonicaliser(UNHURRIED) as machine:
        forms = machine.forms(made.inputs, contexts())
    return json.dumps(data_integrity.complete(made, OWN, forms)).encode()


def verify(file: bytes, store: ContextStore | None) -> Report:
    rdf = None
    if store is not None:
        with OfflineCanonicaliser(UNHURRIED) as machine:
            inputs = foreign_steps.rdf_inputs(Case(file, world.MEMBERS, NOW))
            rdf = Rdf(store.bodies, machine.forms(inputs, store), store.resources)
    report, verified = verify_document(
        file, members=world.MEMBERS, at=NOW, status=world.status(), verifier_country="NL", rdf=rdf
    )
    assert verified is None
    return report


def check(report: Report, name: str) -> Check:
    found = next(one for one in report.checks if one.id == name)
    told = explain(found.code) if found.code else None
    assert not found.code or (told is not None and told.zh and told.next)
    return found


def test_a_members_credential_with_a_proof_over_rdf_passes_every_step() -> None:
    report = verify(proven(), contexts())
    assert report.verdict is Outcome.PASSED, report.to_json()


@pytest.mark.parametrize(("store", "named"), [(None, [V2, TRADE]), (ContextStore(), [V2, TRADE])])
def test_group_12_without_contexts_it_is_indeterminate_and_says_what_to_import(
    store: ContextStore | None, named: list[str]
) -> None:
    report = verify(proven(), store)
    assert report.verdict is Outcome.INDETERMINATE
    found = check(report, "CRED-03")
    assert (found.outcome, found.code) == (Outcome.INDETERMINATE, "proof_contexts_missing")
    assert found.evidence["missing"] == named
    entry = explain(found.code)
    assert entry is not None
    assert "pratique contexts import" in entry.next_step("en")


def test_group_12_one_missing_context_is_the_one_that_is_named() -> None:
    store = ContextStore()
    store.add(shared_path("vectors/credentials/contexts/cred-v2.json").read_bytes())
    assert check(verify(proven(), store), "CRED-03").evidence["missing"] == [TRADE]


def test_group_12_words_that_only_the_document_defines_are_not_covered() -> None:
    own = {"@context": [V2, TRADE, {"grade": "https://a.example/grade"}]}
    report = verify(proven(members(**own)), contexts())
    found = check(report, "CRED-03")
    assert (found.outcome, found.code) == (Outcome.INDETERMINATE, "proof_contexts_inline")
    both = strict_json.loads_object(proven(members(**own)))
    with_jcs = data_integrity.issue(both, OWN, created=world.ISSUED)
    assert verify(json.dumps(with_jcs).encode(), contexts()).verdict is Outcome.PASSED


def test_a_changed_claim_fails() -> None:
    document = strict_json.loads_object(proven())
    document["credentialSubject"]["exportCountry"] = "SG"
    found = check(verify(json.dumps(document).encode(), contexts()), "CRED-03")
    assert (found.outcome, found.code) == (Outcome.FAILED, "proof_verification_error")


def test_group_12_a_term_dropped_by_json_ld_fails_with_its_problem() -> None:
    document = strict_json.loads_object(proven()) | {"validUntil": None}
    found = check(verify(json.dumps(document).encode(), contexts()), "CRED-03")
    assert (found.outcome, found.code) == (Outcome.FAILED, "data_loss_detection_error")
    problem = found.evidence["proofs"][0]["problem"]
    assert problem == "https://w3id.org/security#DATA_LOSS_DETECTION_ERROR"


def test_a_related_resource_that_is_another_here_breaks_the_data_model() -> None:
    other = "u" + base64url.encode(b"\x12\x20" + bytes(32))
    document = members(relatedResource={"id": V2, "digestMultibase": other})
    found = check(verify(proven(document), contexts()), "CRED-04")
    assert (found.outcome, found.code) == (Outcome.FAILED, "credential_malformed")


def test_a_file_that_cannot_be_read_needs_no_canonical_form() -> None:
    for file in (b'{"proof": ', b'{"proof": []}', b"eyJ"):
        assert foreign_steps.rdf_inputs(Case(file, world.MEMBERS, NOW)) == ()


def test_it_is_verified_offline_with_a_folder_of_contexts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unhurried = partial(OfflineCanonicaliser, UNHURRIED)
    monkeypatch.setattr(offline, "OfflineCanonicaliser", unhurried)
    file, trust, folder = tmp_path / "vc.json", tmp_path / "trust", tmp_path / "contexts"
    signed = member_list.sign_list(world.draft().payload(), [ecdsa("founder", "root")])
    trust.write_bytes(member_list.write_export([signed]))
    file.write_bytes(proven())
    file.with_suffix(".status.jwt").write_text(world.status())
    store = ContextStore.load(folder)
    store.add(shared_path("vectors/credentials/contexts/cred-v2.json").read_bytes())
    store.add(WORDS, TRADE, sha256(WORDS).hex())
    day = NOW.isoformat()
    command = ["verify", str(file), "--trust", str(trust), "--at", day, "--json", "--country", "NL"]
    command += ["--contexts", str(tmp_path / "none")]
    answer = CliRunner().invoke(build(command), command)
    assert getattr(answer.exception, "code", "") == "file_unreadable"
    del command[-2:]
    for more, outcome in ((["--contexts", str(folder)], "PASSED"), ([], "INDETERMINATE")):
        answer = CliRunner().invoke(build([*command, *more]), [*command, *more])
        body = json.loads(answer.stdout)
        assert body["verdict"] == outcome, body
