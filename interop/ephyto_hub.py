"""The IPPC ePhyto hub's words: envelopes, tracking states, acknowledgements.

The hub carries a certificate as an opaque string in ``Envelope/Content``, plain or base64, behind
a header that repeats five facts of the certificate. It signs nothing, and its states speak of
delivery, never of the certificate. This module turns one into the other; it sends nothing.
Source: the hub's WSDL (http://ephyto.ippc.int/, HUB.Entities); IPPC ePhyto mapping.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lxml import etree

from schemas import sps, strict_xml
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping

ENTITIES = "http://ephyto.ippc.int/HUB.Entities"
MAX_CONTENT = 8 * 1024 * 1024

_INTEGER = re.compile(r"[0-9]{1,9}", re.ASCII)
_ENCODING = re.compile(r"""(<\?xml[^>]*?)\s+encoding\s*=\s*["'][^"'<>]*["']""")


class Tracking(StrEnum):
    """The hub's HUBTrackingInfo."""

    PENDING = "PendingDelivery"
    DELIVERED = "Delivered"
    FAILED = "FailedDelivery"
    UNKNOWN = "EnvelopeNotExists"
    DELIVERED_WITH_WARNINGS = "DeliveredWithWarnings"
    NOT_READABLE = "DeliveredNotReadable"


class Delivery(StrEnum):
    """Our delivery states: under way, the two levels of a receipt, and how it can end."""

    PENDING = "pending"
    STORED = "stored"
    VALIDATED = "validated"
    REJECTED = "rejected"
    FAILED = "failed"
    NOT_FOUND = "not-found"


# A failed delivery is a matter of transport, to be tried again; a certificate that the receiver
# could not read was refused by it (R13: the first is never taken for the second).
_DELIVERIES: Mapping[Tracking, Delivery] = {
    Tracking.PENDING: Delivery.PENDING,
    Tracking.DELIVERED: Delivery.STORED,
    Tracking.DELIVERED_WITH_WARNINGS: Delivery.VALIDATED,
    Tracking.NOT_READABLE: Delivery.REJECTED,
    Tracking.FAILED: Delivery.FAILED,
    Tracking.UNKNOWN: Delivery.NOT_FOUND,
}

# How a receiver answers the hub: the operation that acknowledges, and whether it takes a message.
_ACKNOWLEDGEMENTS: Mapping[Delivery, tuple[str, bool]] = {
    Delivery.STORED: ("AcknowledgeEnvelopeReceipt", False),
    Delivery.VALIDATED: ("AdvancedAcknowledgeEnvelopeReceipt", True),
    Delivery.REJECTED: ("AcknowledgeFailedEnvelopeReceipt", True),
}


@dataclass(frozen=True, slots=True)
class EnvelopeHeader:
    """The five mandatory members of the hub's EnvelopeHeader, in its order.

    sender, recipient: ISO 3166-1 alpha-2 of the two plant protection organisations
    certificate_type, certificate_status: UNTDID 1001 and the ePhyto status, as the certificate
    """

    sender: str
    recipient: str
    certificate_type: int
    certificate_status: int
    certificate_number: str

    def members(self) -> dict[str, str]:
        """The hub's element names and texts, in the order of its schema."""
        return {
            "From": self.sender,
            "To": self.recipient,
            "CertificateType": str(self.certificate_type),
            "CertificateStatus": str(self.certificate_status),
            "NPPOCertificateNumber": self.certificate_number,
        }


@dataclass(frozen=True, slots=True)
class Envelope:
    """One envelope as received: its header, the hub's numbers, and the certificate's bytes."""

    header: EnvelopeHeader
    certificate: bytes
    hub_delivery_number: str = ""
    tracking: Tracking | None = None


def delivery_of(tracking: str) -> Delivery:
    """Our delivery state for a HUBTrackingInfo. Raises MalformedError hub_tracking_unknown."""
    try:
        return _DELIVERIES[Tracking(tracking)]
    except ValueError:
        raise MalformedError("hub_tracking_unknown", "the hub named another state") from None


def tracking_of(delivery: Delivery) -> Tracking:
    """The hub's word for one of our delivery states."""
    return next(said for said, ours in _DELIVERIES.items() if ours is delivery)


def acknowledgement(
    delivery: Delivery, hub_tracking_number: str, message: str = ""
) -> tuple[str, dict[str, str]]:
    """The hub operation by which a receiver answers, and its arguments in the hub's words.

    Only stored, validated and rejected are answers; anything else raises RefusedError
    hub_no_answer: what we do not know yet is not told.
    """
    if delivery not in _ACKNOWLEDGEMENTS:
        raise RefusedError("hub_no_answer", f"{delivery} is no answer of a receiver")
    operation, takes_message = _ACKNOWLEDGEMENTS[delivery]
    name = "warningMessage" if delivery is Delivery.VALIDATED else "message"
    told = {name: message} if takes_message else {}
    return operation, {"hubTrackingNumber": hub_tracking_number, **told}


def header_for(fields: Mapping[str, Any]) -> EnvelopeHeader:
    """The envelope header that fits an examined certificate (`schemas.sps.examine`).

    Raises MalformedError hub_header_incomplete when the certificate lacks one of the five facts.
    """
    facts = fields["facts"]
    members = {
        "From": facts.get("exportCountry", ""),
        "To": facts.get("importCountry", ""),
        "CertificateType": facts.get("typeCode", ""),
        "CertificateStatus": facts.get("statusCode", ""),
        "NPPOCertificateNumber": facts.get("number", ""),
    }
    return _header(members)


def envelope_bytes(header: EnvelopeHeader, certificate: bytes) -> bytes:
    """The hub's Envelope with the certificate in base64, so that its bytes arrive unaltered."""
    root = etree.Element(f"{{{ENTITIES}}}Envelope", nsmap={None: ENTITIES})  # type: ignore[dict-item] # stubs: no default
    content = {"Content": base64.b64encode(certificate).decode("ascii")}
    for name, value in (header.members() | content).items():
        etree.SubElement(root, f"{{{ENTITIES}}}{name}").text = value
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def read_envelope(data: bytes) -> Envelope:
    """One Envelope (the element itself, without SOAP around it) and the certificate inside.

    Raises MalformedError or TooLargeError: xml_… for the envelope, hub_header_incomplete,
    hub_content_unreadable, hub_tracking_unknown; hub_header_mismatch when the header says other
    things than the certificate.
    """
    root = strict_xml.parse(data)
    members: dict[str, str] = {}
    for child in root:
        name = strict_xml.local_name(child)
        if name in members:
            raise MalformedError("hub_header_incomplete", "a member of the envelope is repeated")
        members[name] = child.text or ""
    header = _header({name: value.strip() for name, value in members.items()})
    certificate = content_bytes(members.get("Content", ""))
    _compare(header, certificate)
    tracking = members.get("HUBTrackingInfo", "").strip()
    return Envelope(
        header=header,
        certificate=certificate,
        hub_delivery_number=members.get("hubDeliveryNumber", "").strip(),
        tracking=_tracking(tracking) if tracking else None,
    )


def content_bytes(content: str) -> bytes:
    """The certificate's bytes out of the opaque string Content, plain XML or base64.

    Plain XML in a string has no encoding of its own: it is written in UTF-8, and a declaration of
    another encoding, which cannot be true there, is taken out. Raises hub_content_unreadable,
    TooLargeError xml_too_large.
    """
    if len(content) > MAX_CONTENT:
        raise TooLargeError("xml_too_large", f"the content has more than {MAX_CONTENT} characters")
    text = content.lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        return _ENCODING.sub(r"\1", text, count=1).encode("utf-8")
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if not decoded.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise MalformedError("hub_content_unreadable", "neither XML nor base64 of XML")
    return decoded


def _tracking(value: str) -> Tracking:
    delivery_of(value)
    return Tracking(value)


def _header(members: Mapping[str, str]) -> EnvelopeHeader:
    values = [
        members.get(name, "")
        for name in ("From", "To", "CertificateType", "CertificateStatus", "NPPOCertificateNumber")
    ]
    if not all(values) or not all(_INTEGER.fullmatch(code) for code in values[2:4]):
        detail = "one of the five facts of the header is missing or no number"
        raise MalformedError("hub_header_incomplete", detail)
    sender, recipient, kind, status, number = values
    return EnvelopeHeader(sender, recipient, int(kind), int(status), number)


def _compare(header: EnvelopeHeader, certificate: bytes) -> None:
    """The header routes, the certificate counts; a difference is told, not resolved."""
    fields, _ = sps.examine(certificate)
    if not fields["facts"]:
        raise MalformedError("hub_content_unreadable", "the content is no certificate")
    inside = header_for(fields).members()
    different = [name for name, value in header.members().items() if inside[name] != value]
    if different:
        detail = f"the envelope differs from its certificate in {', '.join(different)}"
        raise MalformedError("hub_header_mismatch", detail)
