"""SD-JWT VC (`dc+sd-jwt`, draft-ietf-oauth-sd-jwt-vc): the rules of any such credential.

`vct` says what it is; issuer, times, status, holder's key and type may never be disclosed
selectively (§3.2.2.2), because a verifier must see them whatever the holder shows. Nothing is
fetched: `vct` is a name, `vct#integrity` is checked for its form (R7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from protocols.credentials import key_binding, vcdm
from protocols.fields import DID, Fields
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from protocols.credentials.sd_jwt import Revealed
    from protocols.keys import PublicKey
    from schemas.strict_json import JsonValue

TYP = "dc+sd-jwt"
CODE = "sd_jwt_vc_malformed"
NEVER_DISCLOSABLE = frozenset(
    {"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"}
)
_NAME = re.compile(r"(?a:[!-~]{1,1000})")
_INTEGRITY = re.compile(r"(?a:sha(?:256|384|512)-[A-Za-z0-9+/]{43,86}={0,2})")
_LATEST = 253402300799


@dataclass(frozen=True, slots=True)
class SdJwtVc:
    """The members that every SD-JWT VC shares; claims are all of them, as far as disclosed."""

    vct: str
    issuer: str
    valid_from: datetime | None
    valid_until: datetime | None
    holder: PublicKey | None
    claims: Mapping[str, JsonValue] = field(repr=False)


def read(revealed: Revealed, kid: str) -> SdJwtVc:
    """The credential that `kid` signed.

    Raises MalformedError `sd_jwt_vc_malformed`, `credential_kid_not_issuer`, `key_malformed`.
    """
    for one in revealed.disclosed:
        if one.pointer.split("/")[1] in NEVER_DISCLOSABLE:
            raise MalformedError(CODE, "this member is never disclosable", pointer=one.pointer)
    fields = Fields(revealed.claims, CODE)
    issuer = fields.text("iss", pattern=DID, max_length=400)
    vcdm.require_kid_of_issuer(kid, issuer)
    fields.optional_text("vct#integrity", pattern=_INTEGRITY)
    _moment(fields, "iat")
    return SdJwtVc(
        vct=fields.text("vct", pattern=_NAME),
        issuer=issuer,
        valid_from=_moment(fields, "nbf"),
        valid_until=_moment(fields, "exp"),
        holder=key_binding.holder_of(revealed.claims),
        claims=revealed.claims,
    )


def _moment(fields: Fields, name: str) -> datetime | None:
    """A NumericDate of RFC 7519 §2, in whole seconds."""
    if not fields.has(name):
        return None
    return datetime.fromtimestamp(fields.integer(name, 0, _LATEST), UTC)
