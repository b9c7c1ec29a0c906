"""Credentials and presentations of others in an envelope: JOSE, SD-JWT and COSE.

W3C Securing Verifiable Credentials using JOSE and COSE (2025), and VC Data Model 2.0 §4.12.1 and
§4.13.2 for the objects that carry an envelope in a data: URL. Wider than our own credentials
(`protocols.jws`): the issuer may be any URL and the key id anything that names a key of it. As
strict otherwise: a header points to no key, switches no encoding and demands no extension; typ (or
the COSE type) says what is signed and is always required (R1); the algorithm is the key's (R3).

`application/jwt` is the encoding of VC Data Model 1.1 (§6.3.1, claims `vc` and `vp`). It has no typ
of its own and so is read only where the caller asks for it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from protocols import base64url, cose, jws
from protocols.credentials import sd_jwt, vcdm
from protocols.credentials.sd_jwt import SdJwt
from protocols.jws import Header, Jws
from protocols.keys import is_known
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TooLargeError

if TYPE_CHECKING:
    from protocols.strict_cbor import CborValue, Label
    from schemas.strict_json import JsonValue

CODE = "envelope_malformed"
CREDENTIAL, PRESENTATION = "EnvelopedVerifiableCredential", "EnvelopedVerifiablePresentation"
MAX_BYTES = 1024 * 1024
#: typ → what the envelope holds, and the content type that may stand beside it.
TYPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "vc+jwt": (CREDENTIAL, "vc"),
        "vc+sd-jwt": (CREDENTIAL, "vc"),
        "vc+cose": (CREDENTIAL, "vc"),
        "vp+jwt": (PRESENTATION, "vp"),
        "vp+sd-jwt": (PRESENTATION, "vp"),
        "vp+cose": (PRESENTATION, "vp"),
    }
)
LEGACY = "jwt"
_HEADER_NAMES = frozenset({"alg", "typ", "cty", "kid", "iss"})
_KEY_ID = re.compile(r"(?a:[!-~]{1,2000})")
_DATA_URL = re.compile(r"(?as:data:application/([a-z0-9+.-]{1,40})(;base64)?,(.+))")
_WRAPPER_NAMES = frozenset({"@context", "id", "type"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """One envelope, read and not verified: form (its typ), algorithm and key id, the claims.

    kind: EnvelopedVerifiableCredential or …Presentation; claims: with what was disclosed put in
    """

    form: str
    kind: str
    alg: str
    kid: str
    claims: Mapping[str, JsonValue] = field(repr=False)
    signature: bytes = field(repr=False)
    signing_input: bytes = field(repr=False)

    @property
    def document(self) -> dict[str, JsonValue]:
        """What is enveloped: the claims, or in the encoding of 1.1 one claim of them."""
        if self.form != LEGACY:
            return dict(self.claims)
        inner = self.claims["vp" if self.kind == PRESENTATION else "vc"]
        assert isinstance(inner, dict)
        return inner


def is_wrapper(members: Mapping[str, JsonValue]) -> bool:
    """Whether a JSON object carries an envelope in its id, by its type."""
    kinds = members.get("type")
    named = kinds if isinstance(kinds, list) else [kinds]
    return CREDENTIAL in named or PRESENTATION in named


def unwrap(members: Mapping[str, JsonValue]) -> tuple[str, str, bytes]:
    """Kind, media type (without `application/`) and bytes of an Enveloped… object.

    Raises MalformedError `envelope_malformed`: what stands beside the envelope is not signed, so
    nothing but context, id and type may.
    """
    kind, context = members.get("type"), members.get("@context")
    if isinstance(kind, list) and len(kind) == 1:
        kind = kind[0]
    if kind not in (CREDENTIAL, PRESENTATION) or not isinstance(kind, str):
        raise MalformedError(CODE, "an envelope has the one type", pointer="/type")
    if (context[:1] if isinstance(context, list) else [context]) != [vcdm.CONTEXT]:
        raise MalformedError(CODE, "the first context is the base one", pointer="/@context")
    if not set(members) <= _WRAPPER_NAMES:
        raise MalformedError(CODE, "nothing stands beside an envelope")
    text = members.get("id")
    # A line feed after a URL is no part of it (URL Standard §4.4).
    match = _DATA_URL.fullmatch(text.rstrip("\r\n")) if isinstance(text, str) else None
    if match is None:
        raise MalformedError(CODE, "the id is a data: URL of a secured object", pointer="/id")
    return kind, match[1], _base64(match[3]) if match[2] else match[3].encode()


def wrap(kind: str, typ: str, body: str) -> dict[str, JsonValue]:
    """The Enveloped… object of an envelope; a COSE one is given in base64."""
    encoding = ";base64" if typ.endswith("+cose") else ""
    url = f"data:application/{typ}{encoding},{body}"
    return {"@context": vcdm.CONTEXT, "id": url, "type": kind}


def _base64(text: str) -> bytes:
    padded = text + "=" * (-len(text) % 4)
    try:
        data = base64.b64decode(padded, validate=True)
    except (ValueError, binascii.Error):
        data = b""
    if not data or base64.b64encode(data).decode().rstrip("=") != text.rstrip("="):
        raise MalformedError(CODE, "not base64 (RFC 4648 §4)", pointer="/id")
    return data


def parse(data: bytes, *, media_type: str | None = None, legacy: bool = False) -> Envelope:
    """The envelope in `data`: a compact JWS, an SD-JWT, COSE_Sign1, or that in base64.

    media_type: what a data: URL said, which must be the envelope's own type; legacy: also read
    the encoding of VC Data Model 1.1

    Raises MalformedError (`envelope_malformed`, `jws_*`, `sd_jwt_malformed`, json_*,
    base64url_malformed, disclosure_*), RefusedError (`jws_typ_unexpected`,
    `jws_algorithm_unknown`, `sd_*`), TooLargeError.
    """
    if len(data) > MAX_BYTES:
        raise TooLargeError("document_too_large", f"more than {MAX_BYTES} bytes")
    if b"." in data[:40_000] and not cose.is_tagged(data):
        found = _jose(data, legacy=legacy)
    else:
        found = _cose(data if cose.is_tagged(data) else _base64(data.decode("ascii", "replace")))
    if media_type is not None and media_type != found.form:
        raise RefusedError("jws_typ_unexpected", "the envelope is of another type than its URL's")
    if found.form != LEGACY and not {"vc", "vp"}.isdisjoint(found.claims):
        raise MalformedError(CODE, "the claims are the credential itself")
    return found


def _jose(data: bytes, *, legacy: bool) -> Envelope:
    try:
        signed, *rest = data.strip().decode("ascii").split("~")
        protected, payload, signature = signed.split(".")
    except ValueError:  # UnicodeDecodeError is one, too
        raise MalformedError("jws_malformed", "a compact JWS has three parts in ASCII") from None
    header = _header(protected)
    parsed = Jws(
        text=signed,
        header=header,
        payload=base64url.decode(payload, pointer="payload"),
        signature=base64url.decode(signature, pointer="signature"),
        signing_input=f"{protected}.{payload}".encode("ascii"),
    )
    if header.typ in TYPES and header.typ.endswith("sd-jwt") == bool(rest):
        claims = _revealed(parsed, rest) if rest else _claims(parsed.payload)
        return _envelope(parsed, TYPES[header.typ][0], claims)
    if legacy and not rest and header.typ in ("", LEGACY):
        return _legacy(parsed)
    raise RefusedError(
        "jws_typ_unexpected", f"this place takes {', '.join(sorted(TYPES))}", pointer="/typ"
    )


def _claims(payload: bytes) -> dict[str, JsonValue]:
    return strict_json.loads_object(payload, max_bytes=MAX_BYTES, max_depth=vcdm.MAX_DEPTH)


def _revealed(parsed: Jws, rest: list[str]) -> dict[str, JsonValue]:
    if rest[-1] or not all(rest[:-1]) or len(rest) > sd_jwt.MAX_DISCLOSURES:
        # A key binding is for a verifier's nonce; a presentation says it in its own claims.
        raise MalformedError("sd_jwt_malformed", "disclosures, each once, and a last tilde")
    return sd_jwt.reveal(SdJwt(parsed, tuple(rest[:-1]))).claims


def _envelope(parsed: Jws, kind: str, claims: dict[str, JsonValue]) -> Envelope:
    header = parsed.header
    return Envelope(
        form=header.typ or LEGACY,
        kind=kind,
        alg=header.alg,
        kid=header.kid,
        claims=claims,
        signature=parsed.signature,
        signing_input=parsed.signing_input,
    )


def _legacy(parsed: Jws) -> Envelope:
    """VC Data Model 1.1 §6.3.1: the one of the claims vc and vp that stands there."""
    claims = _claims(parsed.payload)
    for name, kind in (("vc", CREDENTIAL), ("vp", PRESENTATION)):
        if isinstance(claims.get(name), dict) and len({"vc", "vp"} & set(claims)) == 1:
            return replace(_envelope(parsed, kind, claims), form=LEGACY)
    raise MalformedError(CODE, "neither a vc nor a vp claim")


def _header(protected: str) -> Header:
    if len(protected) > jws.MAX_HEADER_BYTES:
        raise TooLargeError("jws_too_large", f"a header over {jws.MAX_HEADER_BYTES} characters")
    members = strict_json.loads_object(base64url.decode(protected, pointer="protected"))
    if not set(members) <= _HEADER_NAMES:
        raise MalformedError("jws_header_malformed", "only alg, typ, cty, kid and iss are read")
    texts = {name: members.get(name, "") for name in _HEADER_NAMES}
    if not all(isinstance(text, str) for text in texts.values()):
        raise MalformedError("jws_header_malformed", "every member of a header is a text")
    return _named({name: str(text) for name, text in texts.items()})


def _named(texts: Mapping[str, str]) -> Header:
    alg, kid = texts["alg"], texts["kid"]
    typ = texts["typ"].removeprefix("application/").lower()
    cty = texts["cty"].removeprefix("application/") or None
    if not is_known(alg, foreign=True):
        raise RefusedError("jws_algorithm_unknown", "alg names no algorithm in use here")
    if kid and not _KEY_ID.fullmatch(kid):
        raise MalformedError("jws_header_malformed", "kid is printable ASCII", pointer="/kid")
    if cty is not None and cty != TYPES.get(typ, ("", None))[1]:
        raise MalformedError("jws_header_malformed", "cty contradicts typ", pointer="/cty")
    return Header(alg=alg, typ=typ, kid=kid, cty=cty)


# -- COSE ----------------------------------------------------------------------------------------


def _cose(data: bytes) -> Envelope:
    """COSE_Sign1 (RFC 9052 §4.2) whose header is protected as a whole."""
    signed = cose.parse(data, CODE)
    if signed.unprotected:
        raise MalformedError(CODE, "nothing stands in the unprotected header")
    header = _cose_header(signed.protected)
    return Envelope(
        form=header.typ,
        kind=TYPES[header.typ][0],
        alg=header.alg,
        kid=header.kid,
        claims=_claims(signed.payload),
        signature=signed.signature,
        signing_input=signed.signing_input,
    )


def _cose_header(members: Mapping[Label, CborValue]) -> Header:
    if not set(members) <= {cose.ALG, cose.CONTENT, cose.KID, cose.TYP}:
        raise MalformedError(CODE, "only alg, content type, kid and typ are read")
    typ, content, kid = (members.get(name, "") for name in (cose.TYP, cose.CONTENT, cose.KID))
    name = cose.algorithm(members, foreign=True)
    short = typ.removeprefix("application/") if isinstance(typ, str) else ""
    if not short.endswith("+cose") or short not in TYPES:
        raise RefusedError("jws_typ_unexpected", "the COSE type is vc+cose or vp+cose")
    if content and content != f"application/{TYPES[short][1]}":
        raise MalformedError(CODE, "the content type contradicts the type")
    text = kid.decode("ascii", "replace") if isinstance(kid, bytes) else ""
    if kid and not _KEY_ID.fullmatch(text):
        raise MalformedError(CODE, "kid is printable ASCII")
    return Header(alg=name, typ=short, kid=text)


def sign_cose(
    payload: bytes, *, typ: str, algorithm: str, kid: str, sign: Callable[[bytes], bytes]
) -> bytes:
    """COSE_Sign1 over `payload`; the inverse of what is read here."""
    header = {
        cose.CONTENT: f"application/{TYPES[typ][1]}",
        cose.KID: kid.encode("ascii"),
        cose.TYP: f"application/{typ}",
    }
    return cose.sign(payload, header, algorithm_name=algorithm, sign=sign)
