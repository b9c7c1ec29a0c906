"""Group 13: documents that are made to keep the canonicaliser busy for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.verification import canonicaliser
from node.verification.canonicaliser import Limits, OfflineCanonicaliser
from protocols.credentials import data_integrity
from protocols.credentials.canonical_forms import CanonicalInput
from schemas.errors import RefusedError, UnavailableError
from tests.unit.data_integrity.rdf_world import (
    AT,
    DOCUMENT,
    PASSED,
    V2,
    canonical_nquads,
    contexts,
    proven,
    signer,
    worst,
)


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
    assert canonical_nquads("".join(lines).encode(), "SHA256", seconds=0.2) is None


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
