"""Issuing over the VC-API: a document is checked, given this node's issuer, and secured.

The issuer is always the did:key of the key that signs, whatever the request names; that what it
names is well-formed is asked all the same. Nothing issued here is a document of the network: it
has no right behind it, is in no log, and no member list has its key.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from node.vc_api.forms import COSE, SD_JWT, Family
from protocols import jws
from protocols.credentials import (
    data_integrity,
    envelope,
    foreign_credential,
    jsonld,
    presentation,
    sd_jwt,
)
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError

if TYPE_CHECKING:
    from datetime import datetime

    from node.vc_api.requests import Request
    from node.vc_api.resources import Resources
    from node.vc_api.status_lists import StatusLists
    from protocols.credentials.canonical_forms import CanonicalForms
    from protocols.credentials.data_integrity import Draft
    from protocols.credentials.jsonld import Contexts
    from protocols.keys import Signer
    from schemas.strict_json import JsonValue

PROOF_CONTEXT = "https://w3id.org/security/data-integrity/v2"
#: The members the data models define for a credential. Without JSON-LD processing nothing else
#: can be told from a mistake; an issuer's own claims are the subject's.
_DEFINED = frozenset(
    {
        *("@context", "id", "type", "name", "description", "issuer", "credentialSubject"),
        *("validFrom", "validUntil", "issuanceDate", "expirationDate", "credentialStatus"),
        *("credentialSchema", "evidence", "refreshService", "termsOfUse", "relatedResource"),
        *("confidenceMethod", "renderMethod", "proof"),
    }
)


def credential(
    request: Request,
    family: Family,
    did: str,
    *,
    lists: StatusLists,
    held: Resources,
    contexts: Contexts,
) -> dict[str, JsonValue]:
    """The credential to be secured.

    held: related resources that were retrieved before; contexts: those that were imported: an
    issuer uses no other. Raises MalformedError `credential_malformed`, RefusedError
    `jsonld_context_unsafe`, UnavailableError `proof_contexts_missing`.
    """
    members = {"issuer": did, **request.members}
    if request.options.status_purpose is not None:
        if "credentialStatus" in members:
            raise MalformedError("credential_malformed", "the credential states a status already")
        members["credentialStatus"] = lists.allocate(request.options.status_purpose)
    if not family.enveloping:
        _add_context(members)
    foreign_credential.read(members, contexts)
    _require_contexts(members, contexts)
    held.require(members)
    if not family.over_rdf and not set(members) <= _DEFINED:
        raise MalformedError("credential_malformed", "a member that the data model does not have")
    given = members["issuer"]
    members["issuer"] = {**given, "id": did} if isinstance(given, Mapping) else did
    return members


def _require_contexts(members: Mapping[str, JsonValue], contexts: Contexts) -> None:
    """An issuer names only contexts it has imported, and redefines no word (§5.2.1).

    That something would be lost in RDF matters to the families over RDF, and they say so.
    """
    try:
        jsonld.prepared(members, contexts)
    except RefusedError as error:
        if error.code != jsonld.DATA_LOSS:
            raise


def _add_context(members: dict[str, JsonValue]) -> None:
    """The words of a proof, where the base context does not have them (Data Integrity §2.4.2)."""
    named = members.get("@context")
    if isinstance(named, list) and named[:1] == [foreign_credential.CONTEXT_1]:
        members["@context"] = named if PROOF_CONTEXT in named else [*named, PROOF_CONTEXT]


def to_present(request: Request, did: str) -> dict[str, JsonValue]:
    """The presentation to be secured; raises MalformedError `presentation_malformed`."""
    members = request.members
    presentation.read(members)
    given = members.get("holder", did)
    members["holder"] = {**given, "id": did} if isinstance(given, Mapping) else did
    return members


def enveloped(
    members: Mapping[str, JsonValue], family: Family, signer: Signer, request: Request
) -> dict[str, JsonValue]:
    """The Enveloped… object: JOSE, SD-JWT with what `conceal` points to, or COSE."""
    if "proof" in members:
        raise RefusedError("proof_generation_error", "it is secured by a proof already")
    shown = presentation.is_presentation(members)
    prefix, kind = ("vp", envelope.PRESENTATION) if shown else ("vc", envelope.CREDENTIAL)
    typ, claims = family.typ(prefix), dict(members)
    if shown:
        options = {"nonce": request.options.challenge, "aud": request.options.domain}
        claims |= {name: value for name, value in options.items() if value is not None}
    if family.name == COSE:
        body = envelope.sign_cose(
            strict_json.canonical(claims),
            typ=typ,
            algorithm=_cose_name(signer),
            kid=signer.kid,
            sign=signer.sign,
        )
        return envelope.wrap(kind, typ, base64.b64encode(body).decode())
    disclosures: tuple[str, ...] = ()
    if family.name == SD_JWT and request.options.conceal:
        claims, disclosures = sd_jwt.conceal(claims, request.options.conceal, secrets.token_bytes)
    text = jws.sign(strict_json.canonical(claims), typ=typ, signer=signer, cty=prefix)
    if family.name == SD_JWT:
        text = "~".join((text, *disclosures, ""))
    return envelope.wrap(kind, typ, text)


def _cose_name(signer: Signer) -> str:
    return "EdDSA" if signer.algorithm == "Ed25519" else signer.algorithm


def proof_draft(
    members: Mapping[str, JsonValue],
    family: Family,
    signer: Signer,
    request: Request,
    created: datetime,
) -> Draft:
    """A Data Integrity proof to be signed; a presentation's is for authentication."""
    shown = presentation.is_presentation(members)
    options = {"domain": request.options.domain, "challenge": request.options.challenge}
    more: dict[str, JsonValue] = {
        name: value for name, value in options.items() if shown and value is not None
    }
    return data_integrity.draft(
        members,
        signer,
        created=created,
        purpose=presentation.AUTHENTICATION if shown else data_integrity.ASSERTION,
        rdf=family.over_rdf,
        more=more,
    )


def proven(made: Draft, signer: Signer, canonical: CanonicalForms) -> dict[str, JsonValue]:
    """The document with its proof; raises as `data_integrity.complete`."""
    return data_integrity.complete(made, signer, canonical)
