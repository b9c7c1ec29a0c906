"""What a register of ship certificates answers about a tracking number, as a signed statement.

IMO FAL.5/Circ.39/Rev.2 §4 wants a unique tracking number by which a certificate can be verified
with its issuer. The answer names the documents that were issued under the number; a register
forgets none, so an answer that knows a document holds for good and may be kept, and one that does
not counts against a document only when it was given after the document was signed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from protocols import jws, times
from protocols.credentials import vcdm
from protocols.digest import from_hex
from protocols.fields import DID, Fields
from protocols.member_list import KeyStanding
from schemas import strict_json
from schemas.errors import RefusedError

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.keys import Signer
    from protocols.member_list import MemberList

CODE = "ship_register_malformed"
TYP = "ship-register+jwt"
MEDIA_TYPE = f"application/{TYP}"
MAX_BYTES = 16 * 1024
MAX_DOCUMENTS = 64
#: A tracking number as it is asked for; its form is the issuer's (FAL.5/Circ.39/Rev.2).
NUMBER = re.compile(r"(?a:[!-~](?:[ -~]{0,98}[!-~])?)")
_DIGEST = re.compile(r"(?a:[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class RegisterAnswer:
    """What `register` (a DID) had issued under a number at `at`: digests of documents, or none."""

    network: bytes
    register: str
    number: str
    documents: tuple[bytes, ...]
    at: datetime
    signed: str = field(default="", repr=False)

    def payload(self) -> bytes:
        """RFC 8785 bytes."""
        return strict_json.canonical(
            {
                "v": 1,
                "network": self.network.hex(),
                "register": self.register,
                "trackingNumber": self.number,
                "documents": [each.hex() for each in self.documents],
                "at": times.to_text(self.at),
            }
        )


def sign(answer: RegisterAnswer, signer: Signer) -> str:
    """The answer as a compact JWS by the issuer's credential key."""
    return jws.sign(answer.payload(), typ=TYP, signer=signer)


def open_answer(text: str, members: MemberList) -> RegisterAnswer:
    """An answer verified against the newest member list: key and network.

    Raises MalformedError, TooLargeError or RefusedError: `ship_register_malformed`,
    `ship_register_refused`, `bad_signature`.
    """
    signed = jws.parse(text, typ=TYP, max_bytes=MAX_BYTES)
    fields = Fields(strict_json.loads_object(signed.payload), CODE)
    fields.integer("v", 1, 1)
    answer = RegisterAnswer(
        network=fields.digest("network"),
        register=fields.text("register", pattern=DID),
        number=fields.text("trackingNumber", pattern=NUMBER),
        documents=tuple(
            map(from_hex, fields.texts("documents", pattern=_DIGEST, max_items=MAX_DOCUMENTS))
        ),
        at=fields.time("at"),
        signed=text,
    )
    vcdm.require_kid_of_issuer(signed.kid, answer.register)
    key = members.key(signed.kid)
    # Who holds a key that was lost could date an answer back: nothing proves its moment (R17).
    standing = None if key is None else key.standing(answer.at, proven=False)
    if key is None or key.purpose != "credential" or standing is not KeyStanding.VALID:
        raise RefusedError("ship_register_refused", "the key is none of the register's then")
    if answer.network != members.network:
        raise RefusedError("ship_register_refused", "the answer is of another network")
    jws.verify(signed, key.public)
    return answer
