"""Requests of the VC-API: one JSON object with what is to be done, and options (W3C CCG VC-API)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols import keys
from protocols.credentials import did
from protocols.fields import Fields
from schemas import strict_json
from schemas.errors import MalformedError

if TYPE_CHECKING:
    from datetime import datetime

    from protocols.credentials.data_integrity import Resolver
    from protocols.keys import PublicKey
    from schemas.strict_json import JsonValue

CODE = "vc_api_request_malformed"
MAX_BODY = 2 * 1024 * 1024
MAX_METHODS = 20
MAX_POINTERS = 200


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller asks beside the document. checks: None asks for all there are.

    at: another moment than now; methods: verification methods the caller vouches for, by id;
    signer: the one of them, or another's id, that the outermost signature must be by
    """

    checks: frozenset[str] | None = None
    domain: str | None = None
    challenge: str | None = None
    at: datetime | None = None
    status_purpose: str | None = None
    conceal: tuple[str, ...] = ()
    methods: tuple[PublicKey, ...] = ()
    signer: str | None = None

    def wants(self, check: str) -> bool:
        """Whether a check is asked for."""
        return self.checks is None or check in self.checks

    def resolve(self, method: str) -> PublicKey | None:
        """The key of a verification method: named by the caller, or carried by its own DID."""
        found = [key for key in self.methods if _names(method, key)]
        party = method.partition("#")[0]
        own = [key for key in found if key.kid.partition("#")[0] == party]
        if found:
            return (own or found)[0]
        if not method.startswith("did:"):
            return None
        url = did.parse(method)
        return did.resolve(url) if url.carries_its_key else None

    def outermost(self) -> Resolver:
        """As `resolve`; where the caller names a signer, every other method is unknown."""
        if self.signer is None:
            return self.resolve
        return self._only_signer

    def _only_signer(self, method: str) -> PublicKey | None:
        named = [key for key in self.methods if key.kid == self.signer and _names(method, key)]
        key = named[0] if named else self.resolve(method)
        return key if key is not None and key.kid == self.signer else None


def _names(method: str, key: PublicKey) -> bool:
    """A JOSE kid may be the JWK's own (RFC 7517 §4.5), which is its thumbprint as a rule."""
    return method == key.kid or method.rpartition("#")[2] == key.thumbprint()


@dataclass(frozen=True, slots=True)
class Request:
    """A request, read: the document under the name that was asked for, and the options.

    document: its members, or the text of a bare envelope
    """

    document: Mapping[str, JsonValue] | str
    options: Options

    @property
    def members(self) -> dict[str, JsonValue]:
        """The document as an object; raises MalformedError when it is a text."""
        if isinstance(self.document, str):
            raise MalformedError(CODE, "the document is an object")
        return dict(self.document)

    @property
    def file(self) -> bytes:
        """The document as a file to verify."""
        if isinstance(self.document, str):
            return self.document.encode()
        return strict_json.canonical(dict(self.document))


def read(body: bytes, name: str) -> Request:
    """The request in `body`, its document under `name`.

    Raises MalformedError `vc_api_request_malformed`, json_*, key_malformed.
    """
    fields = Fields(strict_json.loads_object(body, max_bytes=MAX_BODY), CODE)
    document = fields.members.get(name)
    if isinstance(document, Mapping):
        document = dict(document)
    text = isinstance(document, str) and not document.lstrip().startswith("{")
    if not document or not (text or isinstance(document, dict)):
        raise fields.fault(name, f"{name} is an object, or the text of an envelope")
    asked = fields.members.get("options")
    options = Fields(asked if isinstance(asked, Mapping) else {}, CODE, "/options")
    assert isinstance(document, dict | str)
    return Request(document, _options(options))


def _options(fields: Fields) -> Options:
    checks = fields.members.get("checks")
    status = fields.optional_child("credentialStatus")
    listed = fields.members.get("verificationMethods", [])
    if not isinstance(listed, list) or len(listed) > MAX_METHODS:
        raise fields.fault("verificationMethods", f"at most {MAX_METHODS}")
    return Options(
        checks=frozenset(fields.texts("checks", max_items=20)) if checks is not None else None,
        domain=fields.optional_text("domain"),
        challenge=fields.optional_text("challenge"),
        at=fields.optional_time("at"),
        status_purpose=None if status is None else status.text("statusPurpose", max_length=40),
        conceal=fields.texts("conceal", max_items=MAX_POINTERS) if fields.has("conceal") else (),
        methods=tuple(_method(item, fields) for item in listed),
        signer=fields.optional_text("verificationMethod", max_length=2000),
    )


def _method(item: object, fields: Fields) -> PublicKey:
    """A JsonWebKey (Controlled Identifiers 1.0 §2.2.3): id, controller and public JWK."""
    method = Fields(item if isinstance(item, Mapping) else {}, CODE, "/options/verificationMethods")
    name = method.text("id", max_length=2000)
    if name.partition("#")[0] != method.text("controller", max_length=2000):
        raise fields.fault("verificationMethods", "a method belongs to its controller")
    jwk = dict(method.child("publicKeyJwk").members)
    return keys.from_stranger(name, {name: value for name, value in jwk.items() if name != "alg"})
