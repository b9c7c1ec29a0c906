"""The ePhyto hub's words: header, content, tracking states and acknowledgements."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interop import ephyto_hub
from interop.ephyto_hub import Delivery, Tracking
from schemas import sps
from schemas.catalogue import catalogue
from schemas.errors import MalformedError, RefusedError, TooLargeError, TradeError
from tests.shared import shared_path
from tests.support.ginger import ginger

CERTIFICATE = sps.write(ginger())
HEADER = ephyto_hub.header_for(sps.examine(CERTIFICATE)[0])
ENVELOPE = ephyto_hub.envelope_bytes(HEADER, CERTIFICATE)


def code_of(data: bytes) -> str:
    with pytest.raises(TradeError) as caught:
        ephyto_hub.read_envelope(data)
    return caught.value.code


def test_the_header_repeats_five_facts_of_the_certificate() -> None:
    assert HEADER.members() == {
        "From": "CN",
        "To": "NL",
        "CertificateType": "851",
        "CertificateStatus": "70",
        "NPPOCertificateNumber": "CN-PC-2026-004711",
    }


def test_a_real_certificate_has_a_header() -> None:
    path = shared_path("vectors/documents/ephyto_xml/mattilsynet_SPSCertificateContent.xml")
    header = ephyto_hub.header_for(sps.examine(path.read_bytes())[0])
    assert (header.sender, header.recipient, header.certificate_number) == ("AR", "EC", "123ABC")


def test_bytes_through_an_envelope_are_unaltered() -> None:
    envelope = ephyto_hub.read_envelope(ENVELOPE)
    assert envelope.certificate == CERTIFICATE
    assert envelope.header == HEADER
    assert (envelope.tracking, envelope.hub_delivery_number) == (None, "")


def test_the_envelope_has_the_order_of_the_hubs_schema() -> None:
    places = [ENVELOPE.index(b"<" + name.encode()) for name in [*HEADER.members(), "Content"]]
    assert places == sorted(places)


def test_the_hubs_numbers_are_read() -> None:
    told = (
        b"<hubDeliveryNumber> 42 </hubDeliveryNumber><HUBTrackingInfo>Delivered</HUBTrackingInfo>"
    )
    envelope = ephyto_hub.read_envelope(ENVELOPE.replace(b"<Content>", told + b"<Content>"))
    assert (envelope.hub_delivery_number, envelope.tracking) == ("42", Tracking.DELIVERED)


@pytest.mark.parametrize(
    "declaration",
    [
        "",
        "<?xml version='1.0' encoding='UTF-8'?>",
        '\ufeff\n<?xml version="1.0" encoding="utf-16" standalone="yes"?>',
    ],
)
def test_plain_content_is_read_whatever_encoding_it_declares(declaration: str) -> None:
    body = CERTIFICATE.decode().partition("?>")[2]
    read = ephyto_hub.content_bytes(declaration + body)
    assert sps.examine(read)[1] == ()


def test_base64_content_may_be_broken_into_lines() -> None:
    assert ephyto_hub.content_bytes(base64.encodebytes(CERTIFICATE).decode()) == CERTIFICATE


@pytest.mark.parametrize("content", ["", "hello", "aGVsbG8=", "\u4e2d"])
def test_other_content_is_refused(content: str) -> None:
    with pytest.raises(MalformedError) as caught:
        ephyto_hub.content_bytes(content)
    assert caught.value.code == "hub_content_unreadable"


def test_content_is_capped() -> None:
    with pytest.raises(TooLargeError):
        ephyto_hub.content_bytes("<" * (ephyto_hub.MAX_CONTENT + 1))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (b"<To>NL</To>", b"", "hub_header_incomplete"),
        (b"<To>NL</To>", b"<To>NL</To><To>BE</To>", "hub_header_incomplete"),
        (b">851<", b">PC<", "hub_header_incomplete"),
        (b"<To>NL</To>", b"<To>BE</To>", "hub_header_mismatch"),
        (b"<CertificateStatus>70", b"<CertificateStatus>40", "hub_header_mismatch"),
        (b"<Content>", b"<HUBTrackingInfo>Lost</HUBTrackingInfo><Content>", "hub_tracking_unknown"),
        (b"</Envelope>", b"", "xml_syntax"),
    ],
)
def test_an_envelope_that_lies_is_refused(old: bytes, new: bytes, code: str) -> None:
    assert code_of(ENVELOPE.replace(old, new)) == code


def test_content_that_is_no_certificate_is_refused() -> None:
    assert code_of(ephyto_hub.envelope_bytes(HEADER, b"<note/>")) == "hub_content_unreadable"


def test_r7_a_hostile_certificate_in_an_envelope_is_not_resolved() -> None:
    path = shared_path("vectors/documents/ephyto_xml/own/attack_xxe.xml")
    assert code_of(ephyto_hub.envelope_bytes(HEADER, path.read_bytes())) == "xml_doctype"


@pytest.mark.parametrize("tracking", list(Tracking))
def test_every_tracking_state_has_one_delivery_state_and_back(tracking: Tracking) -> None:
    assert ephyto_hub.tracking_of(ephyto_hub.delivery_of(tracking.value)) is tracking


def test_r13_a_failed_delivery_is_not_a_refusal() -> None:
    assert ephyto_hub.delivery_of("FailedDelivery") is Delivery.FAILED
    assert ephyto_hub.delivery_of("DeliveredNotReadable") is Delivery.REJECTED
    with pytest.raises(MalformedError):
        ephyto_hub.delivery_of("Refused")


def test_three_answers_of_a_receiver() -> None:
    assert ephyto_hub.acknowledgement(Delivery.STORED, "7", "unused") == (
        "AcknowledgeEnvelopeReceipt",
        {"hubTrackingNumber": "7"},
    )
    assert ephyto_hub.acknowledgement(Delivery.VALIDATED, "7", "one warning") == (
        "AdvancedAcknowledgeEnvelopeReceipt",
        {"hubTrackingNumber": "7", "warningMessage": "one warning"},
    )
    assert ephyto_hub.acknowledgement(Delivery.REJECTED, "7", "no number") == (
        "AcknowledgeFailedEnvelopeReceipt",
        {"hubTrackingNumber": "7", "message": "no number"},
    )
    with pytest.raises(RefusedError) as caught:
        ephyto_hub.acknowledgement(Delivery.PENDING, "7")
    assert caught.value.code == "hub_no_answer"


def test_every_operation_and_state_is_in_the_hubs_description() -> None:
    wsdl = shared_path("vectors/documents/ephyto_xml/ippc_hub_prod.wsdl").read_text("utf-8")
    operations = [
        ephyto_hub.acknowledgement(state, "7")[0]
        for state in (Delivery.STORED, Delivery.VALIDATED, Delivery.REJECTED)
    ]
    for word in [*operations, *HEADER.members(), *(item.value for item in Tracking)]:
        assert f'"{word}"' in wsdl, word


def test_every_code_is_explained() -> None:
    codes = {"hub_tracking_unknown", "hub_no_answer", "hub_header_incomplete"}
    assert codes | {"hub_header_mismatch", "hub_content_unreadable"} <= set(catalogue())


@given(st.text(max_size=60))
def test_any_content_ends_in_bytes_or_a_named_refusal(content: str) -> None:
    code = ""
    try:
        ephyto_hub.content_bytes(content)
    except MalformedError as error:
        code = error.code
    assert code in {"", "hub_content_unreadable"}
