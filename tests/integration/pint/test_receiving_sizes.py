"""What a receiving platform takes over the wire, however large, and what it takes from nobody."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from node.pint import rows
from protocols.digest import sha256
from protocols.pint.reading import to_base64
from tests.integration.pint.receiving_world import JSON, bill, moved, platform
from tests.support import pint_world as w

if TYPE_CHECKING:
    from pathlib import Path

PDF = b"%PDF-1.7\n" + random.Random(5).randbytes(5 * 1024 * 1024)
TERMS = "".join(chr(0x4E00 + n % 5000) if n % 3 else "§ " for n in range(50_000))[:50_000]


async def test_fifty_thousand_characters_of_terms_and_a_pdf_of_five_megabytes_are_received(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as sender:
        document = bill(**{"/termsAndConditions": TERMS})
        texts = moved(document)
        envelope = w.pack(document, texts, supporting=[w.document_of(PDF)])
        started = await sender.post(envelope)
        assert (started.status, len(TERMS)) == (201, 50_000)
        reference = started.json["envelopeReference"]
        assert (await sender.put(reference, sha256(PDF), PDF)).status == 204
        ended = await sender.finish(reference)
        assert (ended.word, ended.signed.received) == ("RECE", (sha256(PDF),))
        read = sender.node.store.read
        kept = await read(rows.document_content, w.checksum_of(document), sha256(PDF))
        assert kept == PDF
        longer = bill("TDR-2", **{"/termsAndConditions": TERMS + "x"})
        assert (await sender.post(w.pack(longer, moved(longer)))).status == 400


@pytest.mark.parametrize(
    ("member", "code"),
    [
        (b'"isToOrder":true,"isToOrder":true', "json_duplicate_name"),
        (b'"isToOrder":true,"x":9007199254740993', "json_number"),
        (b'"isToOrder":true,"x":-1e400', "json_number"),
    ],
    ids=["duplicated name", "integer beyond 2^53", "number beyond all"],
)
async def test_what_two_readers_may_read_differently_is_no_envelope(
    member: bytes, code: str, tmp_path: Path
) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        right = w.pack(document, moved(document))
        wrong = await sender.post(right.replace(b'"isToOrder":true', member, 1))
        assert wrong.status == 400
        assert wrong.code.startswith(code)
        assert (await sender.post(right)).word == "RECE"


async def test_a6_documents_come_in_json_alone_and_a11_no_operation_is_called_options(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as sender:
        document = bill()
        content = b"%PDF-1.7 packing list"
        envelope = w.pack(document, moved(document), supporting=[w.document_of(content)])
        reference = (await sender.post(envelope)).json["envelopeReference"]
        path = f"/v3/envelopes/{reference}/additional-documents/{sha256(content).hex()}"
        bare = await sender.call("PUT", path, content, {"Content-Type": "application/pdf"})
        assert (bare.status, bare.error.method) == (415, "PUT")
        for path_of in ("/v3/envelopes", path):
            async with sender.session.options(sender.node.local_url + path_of) as answer:
                assert answer.status == 405
        body = b'"' + to_base64(content).encode() + b'"'
        assert (await sender.call("PUT", path, body, JSON)).status == 204
        assert (await sender.finish(reference)).word == "RECE"
