"""A platform that is no node sends to a real one: every answer of PINT 3.0.0's four endpoints."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import orjson

from ledger import log
from node.pint import rows
from node.pint.replies import Reply
from node.store import events
from protocols.digest import sha256
from protocols.pint import signed
from protocols.pint.words import Action
from schemas import strict_json
from tests.integration.pint.receiving_world import JSON, Sender, bill, moved, platform
from tests.support import pint_world as w

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from node.pint.receiving import Received


async def test_a_bill_is_received_and_every_repetition_gets_the_accepted_entry(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        texts = moved(document)
        envelope = w.pack(document, texts)
        first = await sender.post(envelope)
        assert (first.status, first.word, first.signed.received) == (200, "RECE", ())
        assert first.signed.last == signed.checksum(texts[-1])
        again = await sender.post(envelope)
        assert (again.word, again.signed.duplicate_of) == ("DUPE", texts[-1])
        resigned = [w.resigned(texts[0], w.platform_key("HOME"))]
        other = await sender.post(w.pack(document, resigned))
        assert (other.word, other.signed.duplicate_of) == ("DUPE", texts[-1])
        await _is_kept(sender, document, texts)
        # Once, in our own log too: no arbiter's operation says when it came.
        (told,) = await sender.node.store.read(events.newest_of, "pint-received")
        assert told.leaf is not None
        assert (await sender.node.store.read(log.find, told.leaf)) is not None
        assert told.detail["entry"] == signed.parse(texts[-1]).payload_digest.hex()


async def _is_kept(sender: Sender, document: dict[str, Any], texts: list[str]) -> None:
    key = w.checksum_of(document)
    held = await sender.node.store.read(rows.bill, key)
    known = await sender.node.store.read(rows.known_chain, key)
    assert known is not None
    assert (known.texts, known.accepted) == (tuple(texts), {len(texts) - 1})
    assert held is not None
    assert strict_json.loads(held.body.encode()) == document
    assert held.status == rows.HERE
    report = orjson.loads(held.report)
    assert {"PINT-14": "pint_registry_absent"}.items() <= {
        one["id"]: one["code"] for one in report["checks"]
    }.items()


async def test_two_at_once_are_one_receipt_and_one_duplicate(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        envelope = w.pack(document, moved(document))
        answers = await asyncio.gather(*(sender.post(envelope) for _ in range(4)))
        assert sorted(one.word for one in answers) == ["DUPE", "DUPE", "DUPE", "RECE"]


async def test_r8_of_envelopes_that_come_together_each_fails_alone(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        bills = [bill(f"TDR-{number}") for number in range(8)]
        bodies = [w.pack(document, moved(document)) for document in bills]
        bodies[5] = w.pack(bills[5] | {"isToOrder": False}, moved(bills[5]))
        keys, calls = [w.checksum_of(document) for document in bills], list[int]()

        def fail(_: Connection, received: Received) -> None:
            calls.append(keys.index(received.document))
            if calls[-1] == 2:
                raise RuntimeError("a mistake of ours")

        receiving = sender.node.pint.receiving
        receiving.watch(fail)
        # The writer is at work on something else until all of them wait for it.
        begun, busy, store = threading.Event(), threading.Event(), sender.node.store

        def hold(_: Connection) -> bool:
            begun.set()
            return busy.wait(60)

        waiting = asyncio.create_task(store.write(hold))
        assert await asyncio.to_thread(begun.wait, 60)
        asked = asyncio.gather(*map(receiving.start, bodies), return_exceptions=True)
        await asyncio.sleep(0)
        busy.set()
        found = await asked
        assert await waiting
        words = [one.code if isinstance(one, Reply) else type(one).__name__ for one in found]
        assert words == ["RECE", "RECE", "RuntimeError", "RECE", "RECE", "BSIG", "RECE", "RECE"]
        kept = [await store.read(rows.bill, key) for key in keys]
        assert [one is not None for one in kept] == [word == "RECE" for word in words]
        assert calls == [0, 1, 2, 0, 1, 2, 3, 4, 6, 7]
        assert await store.read(log.size) == words.count("RECE")


async def test_a_transfer_whose_sender_never_went_on_is_forgotten_in_the_end(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        started = await sender.post(_with_documents(document, moved(document)))
        reference = started.json["envelopeReference"]
        await sender.put(reference, sha256(LIST), LIST)
        now = sender.node.clock.now_ms()
        assert await sender.node.store.write(rows.lapse, now) == 0
        assert await sender.node.store.write(rows.lapse, now + 1) == 1
        assert (await sender.finish(reference)).status == 404
        started = await sender.post(_with_documents(document, moved(document)))
        assert len(started.json["missingAdditionalDocumentChecksums"]) == 2


async def test_an_altered_chain_is_disputed_and_the_bill_stays(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        assert (await sender.post(w.pack(document, moved(document)))).word == "RECE"
        fork = w.act(Action.TRANSFER, w.SHIPPER, w.BANK, minute=1)
        other = w.chain_of(w.first(document, w.ISSUE, fork, registry=None))
        assert (await sender.post(w.pack(document, other))).word == "DISE"
        await _is_kept(sender, document, moved_texts := (await _texts(sender, document)))
        assert len(moved_texts) == 1


async def _texts(sender: Sender, document: dict[str, Any]) -> list[str]:
    known = await sender.node.store.read(rows.known_chain, w.checksum_of(document))
    assert known is not None
    return list(known.texts)


async def test_after_each_refusal_the_right_envelope_is_accepted(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        for number, (spoil, word) in enumerate(_SPOILT):
            document = bill(f"TDR-{number}")
            texts = moved(document)
            refused = await sender.post(spoil(document, texts))
            assert refused.word == word, number
            assert refused.signed.reason
            # Twice: a refusal is not remembered either.
            assert (await sender.post(spoil(document, texts))).word == word
            assert (await sender.post(w.pack(document, texts))).word == "RECE", number


def _bad_signature(document: dict[str, Any], texts: list[str]) -> bytes:
    body, _, signature = texts[-1].rpartition(".")
    turned = "A" if signature[10] != "A" else "B"
    return w.pack(document, [f"{body}.{signature[:10]}{turned}{signature[11:]}"])


def _wrong_hop(document: dict[str, Any], texts: list[str]) -> bytes:
    return w.pack(document, [w.resigned(texts[0], w.platform_key("FARR"))])


def _stale_manifest(document: dict[str, Any], texts: list[str]) -> bytes:
    other = w.chain_of(w.first(document, w.ISSUE, registry=None))
    manifest = w.read(w.pack(document, other)).manifest
    return w.body(w.pack(document, texts), envelopeManifestSignedContent=manifest)


def _for_elsewhere(document: dict[str, Any], texts: list[str]) -> bytes:
    del texts
    away = w.act(Action.TRANSFER, w.SHIPPER, w.OTHER, minute=1)
    return w.pack(document, w.chain_of(w.first(document, w.ISSUE, away, registry=None)))


def _for_nobody(document: dict[str, Any], texts: list[str]) -> bytes:
    del texts
    nobody = w.act(Action.TRANSFER, w.SHIPPER, w.party("nobody", "AWAY"), minute=1)
    return w.pack(document, w.chain_of(w.first(document, w.ISSUE, nobody, registry=None)))


def _other_document(document: dict[str, Any], texts: list[str]) -> bytes:
    return w.body(w.pack(document, texts), transportDocument=bill("TDR-OTHER"))


def _unknown_platform(document: dict[str, Any], texts: list[str]) -> bytes:
    del texts
    first = w.first(document, registry=None, platform="NONE")
    return w.pack(document, [first.sign(w.platform_key("HOME"))])


_SPOILT = (
    (_bad_signature, "BSIG"),
    (_wrong_hop, "BSIG"),
    (_stale_manifest, "BSIG"),
    (_for_elsewhere, "BENV"),
    (_for_nobody, "BENV"),
    (_other_document, "BSIG"),
    (_unknown_platform, "BSIG"),
)

PICTURE, LIST = b"%PDF-1.7 packing list", b"%PDF-1.7 another"


def _with_documents(document: dict[str, Any], texts: list[str]) -> bytes:
    return w.pack(document, texts, supporting=[w.document_of(PICTURE), w.document_of(LIST)])


async def test_documents_arrive_one_by_one_and_the_end_is_told_again_as_it_was(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        texts = moved(document)
        envelope = _with_documents(document, texts)
        started = await sender.post(envelope)
        assert started.status == 201
        both = [sha256(PICTURE).hex(), sha256(LIST).hex()]
        assert started.json["missingAdditionalDocumentChecksums"] == both
        assert started.json["transportDocumentChecksum"] == w.checksum_of(document).hex()
        reference = started.json["envelopeReference"]
        assert (await sender.put(reference, sha256(PICTURE), PICTURE)).status == 204
        early = await sender.finish(reference)
        assert (early.word, early.signed.missing) == ("MDOC", (sha256(LIST),))
        # A retry of the active transfer: what was received stays received.
        retried = await sender.post(envelope)
        assert retried.json["missingAdditionalDocumentChecksums"] == both[1:]
        assert retried.json["envelopeReference"] == reference
        assert (await sender.put(reference, sha256(LIST), LIST)).status == 204
        ended = await sender.finish(reference)
        assert (ended.word, ended.signed.received) == ("RECE", (sha256(PICTURE), sha256(LIST)))
        assert (await sender.finish(reference)).body == ended.body
        duplicate = await sender.post(envelope)
        assert (duplicate.word, duplicate.signed.received) == ("DUPE", ended.signed.received)
        assert (await sender.put(reference, sha256(LIST), LIST)).status == 204


async def test_the_last_document_makes_a_retried_start_the_end(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        envelope = _with_documents(document, moved(document))
        reference = (await sender.post(envelope)).json["envelopeReference"]
        for content in (PICTURE, LIST):
            await sender.put(reference, sha256(content), content)
        assert (await sender.post(envelope)).word == "RECE"


async def test_a_wrong_document_is_inconclusive_and_ends_nothing(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        reference = (await sender.post(_with_documents(document, moved(document)))).json[
            "envelopeReference"
        ]
        assert (await sender.put(reference, sha256(PICTURE), LIST)).word == "INCD"
        assert (await sender.put(reference, sha256(b"x"), b"x")).word == "INCD"
        for content in (PICTURE, LIST):
            assert (await sender.put(reference, sha256(content), content)).status == 204
        assert (await sender.finish(reference)).word == "RECE"


async def test_a_transfer_goes_on_under_another_manifest(tmp_path: Path) -> None:
    """After INCD a sender may start again with other documents (PINT 3.0.0)."""
    async with platform(tmp_path) as sender:
        document = bill()
        texts = moved(document)
        first = await sender.post(_with_documents(document, texts))
        reference = first.json["envelopeReference"]
        await sender.put(reference, sha256(PICTURE), PICTURE)
        other = b"%PDF-1.7 corrected"
        supporting = [w.document_of(PICTURE), w.document_of(other)]
        again = await sender.post(w.pack(document, texts, supporting=supporting))
        assert again.json["missingAdditionalDocumentChecksums"] == [sha256(other).hex()]
        reference = again.json["envelopeReference"]
        assert (await sender.put(reference, sha256(LIST), LIST)).word == "INCD"
        assert (await sender.put(reference, sha256(other), other)).status == 204
        ended = await sender.finish(reference)
        assert (ended.word, ended.signed.received) == ("RECE", (sha256(PICTURE), sha256(other)))


async def test_r12_documents_of_one_platform_are_not_told_to_another(tmp_path: Path) -> None:
    """What FARR sent for the same bill does not count for HOME."""
    async with platform(tmp_path) as sender:
        document = bill()
        now = sender.node.clock.now_ms()
        await sender.node.store.write(
            rows.put_document, w.checksum_of(document), "FARR", sha256(LIST), LIST, now
        )
        started = await sender.post(_with_documents(document, moved(document)))
        assert len(started.json["missingAdditionalDocumentChecksums"]) == 2


async def test_documents_beyond_the_caps_are_refused_before_anything_begins(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path, max_document=2048, max_active=1) as sender:
        document = bill()
        texts = moved(document)
        large = w.pack(document, texts, supporting=[w.document_of(bytes(4096))])
        assert (await sender.post(large)).word == "BENV"
        assert (await sender.post(_with_documents(document, texts))).status == 201
        other = bill("TDR-2")
        many = await sender.post(_with_documents(other, moved(other)))
        assert (many.status, many.code) == (503, "pint_too_many_transfers")


async def test_what_is_no_envelope_gets_the_standards_unsigned_error(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        right = w.pack(document, moved(document))
        bad = await sender.post(b'{"a":1,"a":2}')
        assert (bad.status, bad.code) == (400, "json_duplicate_name")
        facility = {"facilityCode": "INVALID_FACILITY_CODE", "facilityCodeListProvider": "SMDG"}
        place = {"UNLocationCode": "NLRTM", "facility": facility}
        broken = bill(**{"/transports/placeOfDelivery": place})
        assert (await sender.post(w.pack(broken, moved(broken)))).status == 400
        typed = await sender.post(right, {"Content-Type": "text/plain"})
        assert typed.error.status == 415
        older = await sender.post(right, JSON | {"API-Version": "2"})
        assert (older.status, older.code) == (400, "pint_version_unknown")
        assert (await sender.post(b" " * (9 * 1024 * 1024))).error.status == 413
        lost = await sender.finish("no-such-transfer")
        assert (lost.status, lost.code) == (404, "pint_transfer_unknown")
        path = "/v3/envelopes/x/additional-documents/ABC"
        assert (await sender.call("PUT", path, b'"YQ=="')).error.status == 400
        reference = (await sender.post(_with_documents(document, moved(document)))).json[
            "envelopeReference"
        ]
        path = f"/v3/envelopes/{reference}/additional-documents/{sha256(LIST).hex()}"
        assert (await sender.call("PUT", path, b'"not base64"')).error.status == 400


async def test_a_receiver_is_named_by_its_code_or_not_at_all(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        found = await sender.validate("W3C", "did:web:imp-a.example", codeListName="DID")
        assert (found.status, found.json) == (200, {"partyName": "imp-a"})
        unknown = [
            await sender.validate("W3C", "did:web:exp-a.example", codeListName="DID"),
            await sender.validate("SMDG", "MSK"),
            await sender.validate("W3C", "did:web:nobody.example"),
        ]
        assert {(one.status, one.code) for one in unknown} == {(404, "pint_receiver_unknown")}
        assert len({one.error.errors[0].message for one in unknown}) == 1
        assert (await sender.call("POST", "/v3/receiver-validation", b"{}")).status == 400


async def test_an_account_added_by_the_operator_receives_until_it_is_closed(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as sender:
        code = w.IdentifyingCode("GLEIF", "529900T8BM49AURSDO55", "LEI")
        trader = w.TransactionParty("Trader Y", "AWAY", (code,))
        now = sender.node.clock.now_ms()
        put = sender.node.store.write
        await put(rows.put_account, code, rows.Account("Trader Y", None), now)
        assert (await sender.validate("GLEIF", code.code)).json == {"partyName": "Trader Y"}
        document = bill()
        to_trader = w.act(Action.TRANSFER, w.SHIPPER, trader, minute=1)
        texts = w.chain_of(w.first(document, w.ISSUE, to_trader, registry=None))
        assert (await sender.post(w.pack(document, texts))).word == "RECE"
        await put(rows.put_account, code, rows.Account("Trader Y", None, False), now)
        assert (await sender.validate("GLEIF", code.code)).status == 404
        other = bill("TDR-2")
        texts = w.chain_of(w.first(other, w.ISSUE, to_trader, registry=None))
        assert (await sender.post(w.pack(other, texts))).word == "BENV"


async def test_a_bill_that_no_registry_guards_is_refused_where_one_is_required(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path, registry_required=True) as sender:
        document = bill()
        assert (await sender.post(w.pack(document, moved(document)))).word == "BENV"
        known = await sender.node.store.read(rows.known_chain, w.checksum_of(document))
        assert known is None


async def test_a_chain_over_three_platforms_comes_from_one_that_is_known_by_certificate(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as sender:
        agent = w.party("agent", "OUTS")
        document = bill()
        out = w.act(Action.TRANSFER, w.SHIPPER, agent, minute=1)
        back = w.act(Action.TRANSFER, agent, w.BUYER, minute=2)
        texts = w.chain_of(w.first(document, w.ISSUE, out, registry=None), [back])
        assert (await sender.post(w.pack(document, texts, by="OUTS"))).word == "RECE"
        await _is_kept(sender, document, texts)
        # Another hop away and back again goes on from the very texts that are known.
        away = w.act(Action.TRANSFER, w.BUYER, agent, minute=3)
        home = w.act(Action.TRANSFER, agent, w.BANK, minute=4)
        own = sender.node.keys.signer("platform")
        longer = [*texts, w.following(texts, "AWAY", [away]).sign(own)]
        longer.append(w.following(longer, "OUTS", [home]).sign(w.signer_of("OUTS")))
        assert (await sender.post(w.pack(document, longer, by="OUTS"))).word == "RECE"
        known = await sender.node.store.read(rows.known_chain, w.checksum_of(document))
        assert known is not None
        assert known.accepted == {1, 3}
        # The shorter one was accepted and stays so.
        assert (await sender.post(w.pack(document, texts, by="OUTS"))).word == "DUPE"


async def test_a_notice_of_an_endorsement_moves_no_possession(tmp_path: Path) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        endorsed = w.act(Action.ENDORSE_TO_ORDER, w.SHIPPER, w.BUYER, minute=1)
        texts = w.chain_of(w.first(document, w.ISSUE, endorsed, registry=None))
        assert (await sender.post(w.pack(document, texts))).word == "RECE"
        held = await sender.node.store.read(rows.bill, w.checksum_of(document))
        assert held is not None
        assert held.status == rows.SENT
        state = orjson.loads(held.state)
        assert state["possessor"]["eblPlatform"] == "HOME"
        assert state["holder"]["partyName"] == "imp-a"
