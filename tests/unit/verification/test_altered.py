"""What an altered copy's report names: the field and both values, beside the failing checks."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from protocols import base64url
from protocols.verify.altered import differences, given_payload, named_by
from schemas import registry
from schemas.findings import Severity
from tests.support import evidence_world as world

FILE = world.issued()
ALTERED = world.quality().replace(b'"26460"', b'"29460"')


def altered_file() -> bytes:
    head, body, signature = FILE.credential.split(".")
    payload = base64url.decode(body).replace(b'"26460"', b'"29460"')
    return f"{head}.{base64url.encode(payload)}.{signature}".encode()


def test_the_altered_weight_is_named_with_both_values() -> None:
    given = given_payload(altered_file())
    assert given is not None
    assert named_by(given) == ("quality-certificate", "Q-1")
    (finding,) = differences("quality-certificate", FILE.payload, given)
    assert finding.rule == "ALT-001"
    assert finding.pointer == "/totals/grossWeight/value"
    assert finding.values == {"held": "26460", "given": "29460"}
    assert finding.severity is Severity.ERROR


def test_a_plain_payload_and_one_beside_are_found_too() -> None:
    assert given_payload(ALTERED) == ALTERED
    beside = b"a.b.c\n<xml/>"
    assert given_payload(beside) == b"<xml/>"


def test_what_is_no_document_at_all_is_not_guessed() -> None:
    for data in (b"", b"a.b.c", b"hello", b"a.e30.c", b"..", b"\xff"):
        assert given_payload(data) is None
    subject = base64url.encode(json.dumps({"credentialSubject": {"document": 1}}).encode())
    assert given_payload(f"a.{subject}.c".encode()) is None
    assert named_by(b"nothing") is None
    assert named_by(b'{"documentType":"quality-certificate"}') is None


def test_equal_copies_differ_in_nothing_and_order_does_not_matter() -> None:
    same = json.dumps(dict(reversed(json.loads(FILE.payload).items()))).encode()
    assert differences("quality-certificate", FILE.payload, FILE.payload) == ()
    assert differences("quality-certificate", FILE.payload, same) == ()


def test_long_values_are_cut_in_the_sentence_and_kept_in_the_values() -> None:
    long = json.dumps({**json.loads(FILE.payload), "remarks": "x" * 500}).encode()
    (finding,) = differences("quality-certificate", FILE.payload, long, Severity.WARNING)
    assert len(finding.message) < 200
    assert finding.values["given"] == "x" * 500


def test_what_is_not_json_is_compared_by_its_view_or_said_to_differ() -> None:
    (finding,) = differences("quality-certificate", b"<a/>", b"<b/>")
    assert finding.pointer == ""


@given(st.binary(max_size=300))
def test_no_bytes_ever_raise(data: bytes) -> None:
    payload = given_payload(data)
    if payload is not None:
        named_by(payload)
        differences("quality-certificate", FILE.payload, payload)


PHYTO = registry.example("phytosanitary-certificate")


def test_an_altered_certificate_in_xml_is_named_by_its_view() -> None:
    given = PHYTO.replace(b"26460", b"29460")
    assert given != PHYTO
    found = differences("phytosanitary-certificate", PHYTO, given)
    assert {"held": "26460", "given": "29460"} in [finding.values for finding in found]
    assert named_by(PHYTO) == (
        "phytosanitary-certificate",
        registry.examine("phytosanitary-certificate", PHYTO).view.number,
    )


def test_xml_with_the_same_content_in_other_bytes_is_said_to_differ() -> None:
    (finding,) = differences("phytosanitary-certificate", PHYTO, PHYTO + b"\n")
    assert finding.values["given"] == "other bytes with the same content"
