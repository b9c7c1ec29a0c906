"""What a document stands on, and who may say that it was lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from protocols import basis, jws
from protocols.basis import Lost
from protocols.credentials import status_list
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError
from tests.support.made_network import NOW, A, B, founded, signer

COO = "preferential-certificate-of-origin"
ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))
MEMBERS = founded().members
URL = status_list.list_url(B, "r1")
MINE = signer(f"{A}#exchange-1")


def pinned(digest: bytes, kind: str = COO) -> dict[str, Any]:
    return {"type": kind, "number": "N", "digest": digest.hex()}


def test_what_a_document_stands_on_is_read_from_its_references() -> None:
    original: dict[str, Any] = {"backToBack": {"digest": TWO.hex()}}
    assert basis.stands_on(COO, {"inputs": [pinned(ONE), pinned(ONE)], **original}) == (ONE, TWO)
    report = {"evaluation": {"standsOn": [{"digest": THREE.hex()}]}}
    assert basis.stands_on("origin-evaluation", report) == (THREE,)
    subjects = {"subjects": [pinned(ONE), pinned(TWO, "bill-of-lading")]}
    assert basis.stands_on("customs-decision", subjects) == (ONE,)
    assert basis.stands_on("bill-of-lading", subjects) == ()
    assert basis.stands_on(COO, {"inputs": [{"digest": "AB"}, {"number": "N"}]}) == ()


def lost(**more: Any) -> Lost:
    made = Lost(MEMBERS.network.hex(), A, (ONE, TWO, THREE), B, URL, 7, NOW)
    return replace(made, **more)


def test_r25_a_statement_says_what_is_flagged_and_what_was_revoked() -> None:
    text = basis.sign(lost(), MINE)
    read = basis.read(text, MEMBERS)
    assert (read.document, read.lost, read.text) == (ONE, THREE, text)
    assert replace(read, text="") == lost()
    assert basis.parse(text) == read


@pytest.mark.parametrize(
    ("made", "kid"),
    [
        (lost(), f"{B}#exchange-1"),
        (lost(), f"{A}#credential-1"),
        (lost(by="did:web:nobody.example"), f"{A}#exchange-1"),
        (lost(network="00" * 32), f"{A}#exchange-1"),
        (lost(at=NOW - timedelta(days=900)), f"{A}#exchange-1"),
    ],
)
def test_r1_only_whom_it_names_signs_a_statement(made: Lost, kid: str) -> None:
    with pytest.raises(RefusedError) as untrusted:
        basis.read(basis.sign(made, signer(kid)), MEMBERS)
    assert untrusted.value.code == "basis_untrusted"


@pytest.mark.parametrize("path", [[], [ONE.hex()], [ONE.hex()] * 2, ["AB", "CD"], "path"])
def test_a_statement_without_a_path_is_malformed(path: Any) -> None:
    body = strict_json.loads_object(lost().payload()) | {"path": path}
    text = jws.sign(strict_json.canonical(body), typ=basis.TYP, signer=MINE)
    with pytest.raises(MalformedError):
        basis.read(text, MEMBERS)


def revoking(index: int | None, purpose: str = status_list.REVOCATION) -> status_list.StatusList:
    bits = bytes(16_384)
    text = status_list.sign_list(
        url=URL, issuer=B, network=MEMBERS.network, purpose=purpose,
        bits=bits if index is None else status_list.set_bit(bits, index),
        ttl=timedelta(minutes=5), valid_from=NOW, valid_until=NOW + timedelta(days=1),
        signer=signer(f"{B}#credential-1"),
    )  # fmt: skip
    return status_list.open_list(text, members=MEMBERS, now=NOW)


def test_r11_the_statement_alone_flags_nothing() -> None:
    basis.require_revoked(lost(), revoking(7))
    cases = (
        (lost(), revoking(None)),
        (lost(), revoking(8)),
        (lost(), revoking(7, status_list.SUSPENSION)),
        (lost(index=2**30), revoking(7)),
        (lost(keeper=A), revoking(7)),
        (lost(list_url=URL + "x"), revoking(7)),
    )
    for made, opened in cases:
        with pytest.raises(RefusedError) as refused:
            basis.require_revoked(made, opened)
        assert refused.value.code == "basis_not_lost"


def test_r25_a_pin_tells_where_it_stands_and_what_else_is_said_of_it() -> None:
    document: dict[str, Any] = {
        "inputs": [{"number": "N"}, pinned(ONE)],
        "backToBack": {"number": "M", "digest": TWO.hex()},
    }
    first, second = basis.pins(COO, document)
    assert first == basis.Pin(ONE, COO, "N", "", "/inputs/1/digest")
    assert second == basis.Pin(TWO, "", "M", "", "/backToBack/digest")
    cited = {"digest": THREE.hex(), "issuer": B, "number": "N"}
    (third,) = basis.pins("origin-evaluation", {"evaluation": {"standsOn": [cited]}})
    assert third == basis.Pin(THREE, "", "N", B, "/evaluation/standsOn/0/digest")
