"""A presentation through the one door: its own steps, then each contained credential's.

The steps that need no member list are `protocols.verify.proven`'s; here the contained credentials
go back through the door, each as if it had come alone, so what holds for a file holds for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from protocols import jws
from protocols.credentials import envelope, forms, presentation, secured
from protocols.verify import foreign_steps, proven
from protocols.verify.case import Case
from schemas.errors import TradeError

if TYPE_CHECKING:
    from protocols.verify.foreign_steps import Foreign
    from schemas.findings import Report

_TYPE = f'{presentation.TYPE}"'.encode()


def unwrapped(data: bytes) -> bytes:
    """The document file inside an EnvelopedVerifiableCredential of ours; other files as they are.

    Ours is signed by a did:web key and then obeys our own, narrower profile.
    """
    if not secured.has_envelope(data):
        return data
    try:
        kind, media_type, body = envelope.unwrap(secured.load(data))
        if kind != envelope.CREDENTIAL or media_type not in forms.TYPES:
            return data
        kid = secured.open_envelope(body).kid
    except TradeError:
        return data
    return body if jws.is_key_id(kid) else data


def opened(case: Case) -> Foreign | None:
    """The presentation in a case's file, opened; None when the file is none by its form."""
    compact = secured.is_compact_presentation(case.data)
    if not compact and not (secured.is_json(case.data) and _TYPE in case.data):
        return None
    found = foreign_steps.opened(case)
    shown = compact or presentation.is_presentation(found.members)
    return found if shown or (found.fault is not None and _says_so(case.data)) else None


def _says_so(data: bytes) -> bool:
    try:
        members = secured.load(data)
    except TradeError:
        return False
    return presentation.is_presentation(members) or members.get("type") == envelope.PRESENTATION


def contained(found: Foreign) -> tuple[Case, ...]:
    """Each contained credential as a case of its own, under the presentation's list and moment."""
    files = found.presentation.files() if found.presentation is not None else ()
    return tuple(_case(found.case, file) for file in files)


def _case(outer: Case, data: bytes) -> Case:
    return Case(
        unwrapped(data),
        outer.members,
        outer.at,
        status=outer.status,
        verifier_country=outer.verifier_country,
        rdf=outer.rdf,
    )


def report(
    found: Foreign, examine: Callable[[Case], Report], *, historical: bool = False
) -> Report:
    """The report on a presentation. examine: judges a contained credential as its own case."""
    asked = foreign_steps.expected(found.case)
    return proven.presentation_report(
        found, asked, lambda data: examine(_case(found.case, data)), historical=historical
    )
