"""fsck of bills put up for issuance: the kept request, its manifest, its answer, its title."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from ledger import registry_freezes
from node.documents.tables import documents
from node.ebl import counterparts, rows, tables
from node.ebl.issuance_carrier import STATES
from node.ebl.rows import CARRIER, ISSUED, PENDING, PLATFORM, TITLE_REFUSED, VOID, Issuance
from node.fsck import told_bills as told
from node.fsck.stored import each, there
from node.pint.tables import bills as pint_bills
from node.settings import load
from node.store.events import events
from node.title.tables import bills, titles
from protocols import times
from protocols.fields import DID, Fields
from protocols.keys import ALGORITHMS
from protocols.pint import issuance
from protocols.pint.chain import ISSUANCE_TYPES
from protocols.pint.platforms import Signatory, SigningKey, listed
from protocols.pint.reading import CODE, checksum_of
from protocols.title.operation import read_manifest
from schemas import strict_json
from schemas.errors import TradeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.fsck import Context
    from protocols.keys import PublicKey
    from protocols.pint.issuance import IssuanceRequest
    from protocols.pint.signed import Signed
    from protocols.title.operation import IssuanceManifest

_ALWAYS = datetime.min.replace(tzinfo=UTC)
_REJECTED = "rejected"
#: What was answered, by state; nothing in the two states that are not named.
_ANSWERS = {state: code for code, state in STATES.items()}
_ANSWERS[VOID] = _ANSWERS[TITLE_REFUSED] = _ANSWERS[ISSUED]
_WITHOUT = frozenset({PENDING, _REJECTED})


def issuances(conn: Connection, context: Context) -> Iterator[str]:
    """FSCK-18: requests are what their columns say, and their manifests verify as they came in."""
    yield from told.numbers(conn, tables.issuances)
    yield from told.bills(conn)
    yield from each(conn, context, tables.issuances, _faults)


def _faults(conn: Connection, context: Context, number: int) -> Iterator[str]:
    held = rows.issuance(conn, number)
    if held.side not in {CARRIER, PLATFORM} or held.state not in _ANSWERS.keys() | _WITHOUT:
        yield f"there is no side {held.side} with a state {held.state}"
        return
    yield from _answer(held)
    request = issuance.read_request(held.body)
    yield from _columns(context, held, request)
    yield from _manifest(context, held, request)
    if held.side == CARRIER:
        yield from _intent(conn, held)
    yield from _bill(conn, held)
    yield from _call(conn, held)


def _answer(held: Issuance) -> Iterator[str]:
    if (held.answered_at is None) != (held.state == PENDING):
        yield f"the moment of its answer does not go with the state {held.state}"
    expected = _ANSWERS.get(held.state)
    if expected is None or held.answer is None:
        if expected is not None or held.answer is not None:
            yield f"its answer is missing, or none goes with the state {held.state}"
        return
    try:
        said = issuance.read_response(held.answer.encode())
    except TradeError as error:
        yield f"its answer cannot be read: {error.code}"
        return
    sub = said.relation.sub_reference
    same = sub is None or held.sub_reference in (None, sub)
    if (said.response, said.relation.reference) != (expected, held.reference) or not same:
        yield f"its answer says something else than {held.state}, or is of another bill"


def _columns(context: Context, held: Issuance, request: IssuanceRequest) -> Iterator[str]:
    document = request.document
    names = ("transportDocumentReference", "transportDocumentSubReference")
    if tuple(map(document.get, names)) != (held.reference, held.sub_reference):
        yield "its request is of another reference"
    if checksum_of(document) != held.checksum:
        yield "its request holds another transport document"
    if held.side == CARRIER and not _named(context, held.counterpart, request.issue_to.platform):
        yield f"its counterpart is not the platform {request.issue_to.platform} of issueTo"


def _named(context: Context, counterpart: str, code: str) -> bool:
    """Whether that platform has the code: in any list, for members come and go."""
    if DID.fullmatch(counterpart) is None:
        return counterpart == code
    found = [members.platform(code) for members in context.lists.values()]
    return not found or any(entry is not None and entry.did == counterpart for entry in found)


# -- the manifest ------------------------------------------------------------------------------


def _manifest(context: Context, held: Issuance, request: IssuanceRequest) -> Iterator[str]:
    try:
        parsed, _ = issuance.require_manifest(request)
        made = _titling(parsed)
        _verify(context, held, parsed)
    except TradeError as error:
        yield f"its manifest does not verify: {error.code}"
        return
    if (None if made is None else made.title()) != held.title:
        yield "its manifest makes another title, or none"
    if made is not None and made.carrier != _carrier(context, held):
        yield "its manifest is another carrier's"


def _titling(parsed: Signed) -> IssuanceManifest | None:
    """The manifest that makes a title; DCSA's plain form makes none."""
    return read_manifest(parsed.text)[1] if parsed.typ in ISSUANCE_TYPES else None


def _carrier(context: Context, held: Issuance) -> str:
    return context.keys.did if held.side == CARRIER else held.counterpart


def _verify(context: Context, held: Issuance, parsed: Signed) -> None:
    """By a key that stood when it came in, under any list held: a key that fell later signed it.

    Raises as `Signatory.verify`. What neither a list nor the operator names cannot be told here.
    """
    at, first = times.from_ms(held.created_at), None
    for signatory, read in _signatories(context, held, parsed):
        try:
            signatory.verify(read, at)
        except TradeError as error:
            first = first or error
        else:
            return
    if first is not None:
        raise first


def _signatories(
    context: Context, held: Issuance, parsed: Signed
) -> Iterator[tuple[Signatory, Signed]]:
    who = _carrier(context, held)
    if DID.fullmatch(who) is None:
        name = load(context.home.settings_file).ebl.counterparts
        outside = counterparts.read(context.home.path, name).get(who)
        if outside is not None and outside.certificates:
            yield counterparts.foreign_carrier(outside), parsed
        return
    if held.side == CARRIER and held.title is None:
        # Our own key needs no certificate to speak for us.
        yield _plain(context), replace(parsed, x5c=())
    for members in reversed(context.lists.values()):
        yield counterparts.member_carrier(members, who), parsed


def _plain(context: Context) -> Signatory:
    """Of our own to a platform outside: by the credential key, whose certificates that one has."""
    did = context.keys.did
    entries = (members.node(did) for members in context.lists.values())
    known = chain.from_iterable(
        listed(entry.keys, "credential", None) for entry in entries if entry is not None
    )
    # A key that its certificates name need not be listed itself.
    ours = (
        SigningKey(one.kid, partial(_check, one.public()), _ALWAYS)
        for one in context.keys.own()
        if one.kid.partition("#")[2].startswith("credential-")
    )
    return Signatory(did, (*known, *ours))


def _check(key: PublicKey, alg: str, signature: bytes, data: bytes) -> bool:
    return alg in ALGORITHMS[key.algorithm].header_names and key.verify(signature, data)


def _call(conn: Connection, held: Issuance) -> Iterator[str]:
    """Each side's own word goes out as a call; a lost one would never arrive."""
    about = "issuance" if held.side == CARRIER else "response"
    said = held.side == CARRIER or held.state not in _WITHOUT
    if said and not there(conn, tables.calls, about=about, subject=held.number):
        yield f"the call that carries its {'request' if held.side == CARRIER else 'answer'} is lost"


# -- what came of it ---------------------------------------------------------------------------


def _intent(conn: Connection, held: Issuance) -> Iterator[str]:
    try:
        fields = Fields(strict_json.loads_object((held.intent or "").encode()), CODE)
        document = fields.digest("document")
        if held.title is not None:
            fields.text("holder", pattern=DID)
            if not isinstance(fields.members.get("arbiter"), str):
                raise fields.fault("arbiter", "the name of the arbiter, empty for the usual one")
    except TradeError as error:
        yield f"how its title was to be issued cannot be read: {error.code}"
        return
    if not there(conn, documents, digest=document):
        yield f"the document {document.hex()} that it was made of is not here"


def _bill(conn: Connection, held: Issuance) -> Iterator[str]:
    given_back = held.state == VOID
    accepted = {"issuance": held.number, "state": "accepted"}
    if given_back and not there(conn, tables.surrenders, **accepted):
        yield "it was given back, but no surrender of it was accepted"
    if (held.fault is not None) != (held.state == TITLE_REFUSED):
        yield f"why its title was refused does not go with the state {held.state}"
    taken = held.side == PLATFORM and held.state in {ISSUED, VOID}
    if taken and not there(conn, pint_bills, document=held.checksum):
        yield "the bill that was taken over is not here"
    titled = given_back or held.titled_at is not None
    if held.title is not None and titled and not _title_known(conn, held):
        yield f"its title {held.title.hex()} is not known here"


def _title_known(conn: Connection, held: Issuance) -> bool:
    """Or it is known why not: its arbiter ended, or refused it, of which there is an alarm."""
    assert held.title is not None
    if any(there(conn, table, title=held.title) for table in (titles, bills)):
        return True
    if held.side == PLATFORM:
        ended = registry_freezes.held(conn)
        manifest = issuance.read_request(held.body).manifest
        return bool(ended) and read_manifest(manifest)[1].arbiter in ended
    alarms = select(events.c.number).where(
        events.c.kind == "alarm",
        events.c.actor == held.counterpart,
        events.c.at >= held.created_at,
        events.c.detail.contains(f'"reference":"{held.reference}"', autoescape=True),
    )
    return conn.execute(alarms.limit(1)).first() is not None
