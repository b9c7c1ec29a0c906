"""PINT 3.0.0 under contract: each status of each operation, and each request that we send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from typing_extensions import override

from protocols.digest import sha256
from protocols.pint.words import Action
from tests.integration.pint import contract_world as c
from tests.integration.pint.receiving_world import JSON, Answer, Sender, bill, moved, platform
from tests.support import contract
from tests.support import pint_world as w

if TYPE_CHECKING:
    from pathlib import Path

DOCUMENT, OTHER = b"%PDF-1.7 packing list", b"%PDF-1.7 another"
START = "POST /v3/envelopes"
PUT = "PUT /v3/envelopes/{envelopeReference}/additional-documents/{documentChecksum}"
FINISH = "PUT /v3/envelopes/{envelopeReference}/finish-transfer"
VALIDATION = "POST /v3/receiver-validation"
#: Every status that these operations have here, beside 503 and 500.
ANSWERED = {
    (START, 200), (START, 201), (START, 400), (START, 409), (START, 413), (START, 415),
    (START, 422), (PUT, 204), (PUT, 400), (PUT, 404), (PUT, 409), (PUT, 415), (FINISH, 200),
    (FINISH, 400), (FINISH, 404), (FINISH, 409), (VALIDATION, 200), (VALIDATION, 400),
    (VALIDATION, 404), (VALIDATION, 413), (VALIDATION, 415),
}  # fmt: skip


@dataclass
class Watched(Sender):
    """A sender that holds every answer against the files."""

    ledger: contract.Ledger = field(default_factory=contract.Ledger)

    @override
    async def call(
        self, method: str, path: str, body: bytes | None = None, headers: Any = JSON
    ) -> Answer:
        answer = await super().call(method, path, body, headers)
        self.ledger.answered(method, path, answer.status, answer.headers, answer.body)
        return answer


async def test_every_answer_of_every_operation_is_as_published(tmp_path: Path) -> None:
    async with platform(tmp_path) as plain:
        sender = Watched(plain.node, plain.session)
        words = {await _accepted(sender), *await _refused(sender), *await _documents(sender)}
        assert words == {"RECE", "DUPE", "BSIG", "BENV", "DISE", "INCD", "MDOC"}
        await _unsigned(sender)
        await _validation(sender)
        assert sender.ledger.seen == ANSWERED


async def _accepted(sender: Watched) -> str:
    document = bill()
    envelope = w.pack(document, moved(document))
    assert contract.request_faults("POST", "/v3/envelopes", envelope) == []
    assert (await sender.post(envelope)).word == "RECE"
    return (await sender.post(envelope)).word


async def _refused(sender: Watched) -> set[str]:
    document = bill()
    fork = w.act(Action.TRANSFER, w.SHIPPER, w.BANK, minute=1)
    other = w.chain_of(w.first(document, w.ISSUE, fork, registry=None))
    fresh = bill("TDR-2")
    away = w.act(Action.TRANSFER, w.SHIPPER, w.OTHER, minute=1)
    elsewhere = w.chain_of(w.first(fresh, w.ISSUE, away, registry=None))
    forged = w.pack(fresh, [w.resigned(moved(fresh)[0], w.platform_key("FARR"))])
    envelopes = (w.pack(document, other), w.pack(fresh, elsewhere), forged)
    return {(await sender.post(one)).word for one in envelopes}


async def _documents(sender: Watched) -> set[str]:
    document = bill("TDR-3")
    listed = [w.document_of(DOCUMENT), w.document_of(OTHER)]
    started = await sender.post(w.pack(document, moved(document), supporting=listed))
    reference = started.json["envelopeReference"]
    words = {(await sender.put(reference, sha256(DOCUMENT), OTHER)).word}
    assert (await sender.put(reference, sha256(DOCUMENT), DOCUMENT)).status == 204
    words.add((await sender.finish(reference)).word)
    assert (await sender.put(reference, sha256(OTHER), OTHER)).status == 204
    return {*words, (await sender.finish(reference)).word}


async def _unsigned(sender: Watched) -> None:
    text = {"Content-Type": "text/plain"}
    document = bill("TDR-4")
    started = await sender.post(
        w.pack(document, moved(document), supporting=[w.document_of(DOCUMENT)])
    )
    path = f"/v3/envelopes/{started.json['envelopeReference']}"
    content = f"{path}/additional-documents/{sha256(DOCUMENT).hex()}"
    assert (await sender.post(b"{}")).status == 400
    assert (await sender.post(b"{}", text)).status == 415
    assert (await sender.post(b" " * (9 * 1024 * 1024))).status == 413
    assert (await sender.call("PUT", content, b'"?"')).status == 400
    assert (await sender.call("PUT", content, b'"YQ=="', text)).status == 415
    assert (await sender.put("none", sha256(b"x"), b"x")).status == 404
    assert (await sender.call("PUT", f"{path}/finish-transfer", None, {"API-Version": "4"})).status
    assert (await sender.finish("none")).status == 404


async def _validation(sender: Watched) -> None:
    where = "/v3/receiver-validation"
    known = {"codeListProvider": "W3C", "partyCode": "did:web:imp-a.example"}
    assert contract.request_faults("POST", where, orjson.dumps(known)) == []
    assert (await sender.call("POST", where, orjson.dumps(known))).status == 200
    assert (await sender.validate("ZZZ", "nobody")).status == 404
    assert (await sender.call("POST", where, b"[]")).status == 400
    assert (await sender.call("POST", where, b"[]", {"Content-Type": "text/plain"})).status == 415
    assert (await sender.call("POST", where, b" " * 70_000)).status == 413


def _order(recipient: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = {"platform": c.OUTSIDE, "document": c.bill("TDR-OUT"), "recipient": recipient}
    return made | more


async def test_every_request_that_we_send_is_as_published(tmp_path: Path) -> None:
    async with c.contract(tmp_path) as held:
        outside, operator = held.outside, held.operator
        await told(held, outside)
        recipient = w.party("receiver", c.OUTSIDE).to_json()
        for hops in (1, 2):
            sent = await operator.apost("/v1/test/ebl/transfers", _order(recipient, hops=hops))
            assert sent["response"] == "RECE"
        sent = await operator.apost("/v1/test/ebl/transfers", _order(recipient, documents=1))
        assert (sent["outcome"], len(sent["missing"])) == ("started", 1)
        path = f"/v1/test/ebl/transfers/{sent['transfer']}"
        outcomes = [
            (await operator.apost(f"{path}/{step}"))["outcome"]
            for step in ("signed-again", "altered", "again", "document", "finish")
        ]
        assert outcomes == ["started", "started", "started", "taken", "decided"]
        asked = {"platform": c.OUTSIDE, "code": c.account("receiver")}
        found = await operator.apost("/v1/test/ebl/receiver-validation", asked)
        assert found == {"partyName": "Outside"}
        assert len(outside.heard["/v3/envelopes"]) == 6


async def told(held: c.Contract, outside: c.Outside) -> None:
    """Let the node know the platform and carrier outside, for a test."""
    peer = {
        "code": c.OUTSIDE,
        "certificates": [outside.certificate],
        "url": outside.url,
        "headers": {"X-Our-Key": c.OURS},
    }
    body = orjson.dumps({"peers": [peer], "carriers": [outside.certificate]})
    headers = {"Content-Type": "application/json"}
    await held.operator.arequest("PUT", "/v1/test/ebl", body, headers=headers)


def test_the_checks_themselves_find_what_is_wrong() -> None:
    document = bill()
    envelope = orjson.loads(w.pack(document, moved(document)))
    for change in (
        {"envelopeTransferChain": []},
        {"envelopeManifestSignedContent": envelope["envelopeTransferChain"][0]},
        {"transportDocument": {}},
    ):
        data = orjson.dumps(envelope | change)
        assert contract.request_faults("POST", "/v3/envelopes", data)
    typed = {"API-Version": "3.0.0", "Content-Type": "application/json"}
    assert contract.answer_faults("POST", "/v3/envelopes", 200, typed, b'"no"')
    assert contract.answer_faults("POST", "/v3/envelopes", 500, {}, b"{}")
    with pytest.raises(AssertionError, match="no file describes"):
        contract.operation("DELETE", "/v3/envelopes")
