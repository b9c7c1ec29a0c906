"""The carrier of a bill that was issued on this platform: a bill comes back to it here (SUR)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from node.ebl.rows import ISSUED, PLATFORM
from node.ebl.tables import issuances
from node.pint.rows import Account
from protocols.pint import issuance
from protocols.pint.parties import MAX_NAME, document_party

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from protocols.pint.parties import TransactionParty


def issuing_carrier(conn: Connection, checksum: bytes, party: TransactionParty) -> Account | None:
    """The account of a party that is the carrier of that bill, which lives and was issued here.

    A member by its DID; one from outside by the codes that the bill gives its issuing party. With
    every other bill the carrier has no account here.
    """
    query = select(issuances.c.counterpart, issuances.c.body).where(
        issuances.c.checksum == checksum,
        issuances.c.side == PLATFORM,
        issuances.c.state == ISSUED,
    )
    for counterpart, body in conn.execute(query.limit(2)).all():
        if party.did is not None and party.did == counterpart:
            return Account(party.name[:MAX_NAME].strip(), counterpart)
        named = document_party(issuance.read_request(bytes(body)).document, "issuingParty")
        outside = not counterpart.startswith("did:")
        if outside and named is not None and named.codes and named.is_same(party):
            return Account(named.name[:MAX_NAME].strip(), None)
    return None
