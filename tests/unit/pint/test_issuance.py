"""Requests for issuance and surrender and their answers, written and read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from protocols.digest import sha256
from protocols.pint import chain, endorsement, issuance, surrender
from protocols.pint.parties import TaxLegalReference, no_party
from protocols.pint.reading import CODE, checksum_of
from protocols.pint.words import (
    Action,
    IssuanceCode,
    LinkAction,
    Reason,
    SurrenderAction,
    SurrenderCode,
)
from protocols.title.machine import Ending
from schemas.errors import MalformedError, RefusedError
from tests.support import pint_world as w
from tests.unit.pint.published import encoded, fields, valid


def _request(**changes: Any) -> issuance.IssuanceRequest:
    document = w.bill()
    issue_to = issuance.IssueToParty("exp-a", "HOME", w.SHIPPER.codes)
    picture = issuance.Visualisation("bill.pdf", b"%PDF")
    value = issue_to.to_json()
    manifest = chain.issuance_manifest(document, value, sha256(b"%PDF"))
    made = issuance.IssuanceRequest(
        document, issue_to, value, manifest.sign(w.signer_of("HOME")), picture
    )
    return replace(made, **changes)


def test_an_issuance_request_is_read_as_written_and_its_checksums_hold() -> None:
    old = issuance.TransportDocumentRelation("OLD", "1")
    replaced = issuance.Replacements((old,), (issuance.TransportDocumentRelation("NEW"),))
    for request in (
        _request(replacements=replaced),
        _request(visualisation=issuance.Visualisation("a.doc", b"%PDF", "application/msword")),
    ):
        valid("iss", "IssuanceRequest", request.to_json())
        again = issuance.read_request(encoded(request.to_json()))
        assert again == request
        assert issuance.require_manifest(again)[1].document == checksum_of(request.document)


@pytest.mark.parametrize(
    "changes",
    [
        {"document": {"a": 1}},
        {"issue_to_value": {"partyName": "other"}},
        {"visualisation": None},
        {"visualisation": issuance.Visualisation("bill.pdf", b"other")},
    ],
)
def test_an_issuance_request_for_something_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match="pint_not_as_issued"):
        issuance.require_manifest(_request(**changes))


def test_tax_references_of_the_first_possessor_are_kept() -> None:
    party = issuance.IssueToParty(
        "exp-a", "HOME", w.SHIPPER.codes, (TaxLegalReference("PAN", "IN", "AAAAA0000A"),)
    )
    assert issuance.read_issue_to(fields(party.to_json())) == party


def test_an_issuance_answer_is_read_as_written() -> None:
    relation = issuance.TransportDocumentRelation("HHL71800000")
    for code in IssuanceCode:
        made = issuance.IssuanceResponse(
            relation, code, "why", (issuance.IssuanceError("a", "E1"), issuance.IssuanceError())
        )
        valid("iss", "IssuanceResponse", made.to_json())
        assert issuance.read_response(encoded(made.to_json())) == made
        assert made.may_be_asked_again == (code is not IssuanceCode.ISSU)
    plain = issuance.IssuanceResponse(relation, IssuanceCode.ISSU)
    assert "errors" not in plain.to_json()


def test_a_surrender_is_asked_with_the_chain_and_the_no_party() -> None:
    asks = w.act(Action.SURRENDER_FOR_AMENDMENT, w.SHIPPER, w.CARRIER, minute=9, reason=Reason.SWTP)
    signs = w.act(Action.SIGN, w.SHIPPER, minute=2)
    relation = issuance.TransportDocumentRelation("HHL71800000")
    request = surrender.request_of("s-1", relation, [w.ISSUE, w.TO_BUYER, signs, asks])
    assert [link.action for link in request.links] == [
        LinkAction.ISSUE,
        LinkAction.SIGN,
        LinkAction.SURRENDER_FOR_AMENDMENT,
    ]
    assert request.ending is Ending.PAPER
    body = request.to_json()
    valid("sur", "SurrenderRequestDetails", body)
    assert body["endorsementChain"][1]["recipient"] == no_party().to_json()
    assert surrender.read_request(encoded(body)) == request
    with pytest.raises(KeyError):
        surrender.request_of("s-1", relation, [w.ISSUE])


def test_a_surrender_request_that_cannot_be_is_refused() -> None:
    relation = issuance.TransportDocumentRelation("HHL71800000")
    link = endorsement.links_of([w.ISSUE])[0]
    good = surrender.SurrenderRequest("s-1", relation, SurrenderCode.SREQ, links=(link,)).to_json()
    bare = link.to_json()
    del bare["recipient"]
    nobody = bare | {"recipient": no_party().to_json()}
    for bad in (
        {"reasonCode": "SWTP"},
        {"surrenderRequestCode": "AREQ", "reasonCode": "WHY"},
        {"endorsementChain": [bare]},
        {"endorsementChain": [nobody]},
        {"surrenderRequestReference": " x"},
        {"transportDocumentReference": "T" * 21},
    ):
        with pytest.raises(MalformedError, match=CODE):
            surrender.read_request(encoded(good | bad))
    # An empty reason says as little as none.
    assert surrender.read_request(encoded(good | {"reasonCode": ""})).reason is None


def test_a_surrender_answer_is_read_as_written_and_a_rejection_says_why() -> None:
    fault = surrender.FeedbackElement("ERROR", "not yet", "$.a")
    for made in (
        surrender.SurrenderAnswer("s-1", SurrenderAction.SURR),
        surrender.SurrenderAnswer("s-1", SurrenderAction.SREJ, "not yet", (fault,)),
    ):
        valid("sur", "SurrenderRequestAnswer", made.to_json())
        assert surrender.read_answer(encoded(made.to_json())) == made
    unexplained = b'{"surrenderRequestReference":"s-1","action":"SREJ"}'
    with pytest.raises(MalformedError, match=CODE):
        surrender.read_answer(unexplained)
    taken = surrender.read_answer(unexplained, reason_required=False)
    assert taken.action is SurrenderAction.SREJ
