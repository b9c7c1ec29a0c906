"""Requests and answers against DCSA's published OpenAPI files: operation, status, header, body.

OpenAPI 3.0 schemas are JSON Schema Draft 4 as far as these files go (boolean exclusiveMinimum, no
`nullable`). Where a body carries signed content, the payloads are held against their schemas too.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import orjson
import yaml

from tests.shared import shared_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FILES = {
    "PINT": "standards/dcsa/pint/EBL_PINT_v3.0.0.yaml",
    "ISS": "standards/dcsa/issuance/EBL_ISS_v3.0.4.yaml",
    "SUR": "standards/dcsa/surrender/EBL_SUR_v3.0.4.yaml",
    "END": "standards/dcsa/endorsement/EBL_END_v3.0.4.yaml",
    "EBL": "standards/dcsa/ebl/EBL_v3.0.4.yaml",
}
#: Operations of EBL 3.0.4 that a platform or carrier of this software serves.
SERVED = {"/v3/transport-documents/{transportDocumentReference}": {"get"},
          "/v3/transport-document-notifications": {"post"}}  # fmt: skip
FINISHED = "EnvelopeTransferFinishedResponseSignedContent"
SIGNED = {
    "envelopeManifestSignedContent": "EnvelopeManifest",
    "envelopeTransferChain": "EnvelopeTransferChainEntry",
    "issuanceManifestSignedContent": "IssuanceManifest",
}
#: The file lists no 409 at the start of a transfer, its text does: DISE, signed like the others.
UNLISTED = {("PINT", "post", "/v3/envelopes", "409"): FINISHED}
_SEMVER = re.compile(r"\d+\.\d+\.\d+")
_PARAMETER = re.compile(r"\{[A-Za-z]+\}")


@cache
def document(api: str) -> dict[str, Any]:
    """The whole file."""
    loaded: dict[str, Any] = yaml.load(shared_path(FILES[api]).read_bytes(), yaml.CSafeLoader)
    return loaded


@dataclass(frozen=True)
class Operation:
    """One operation of one file."""

    api: str
    method: str
    path: str

    @property
    def described(self) -> dict[str, Any]:
        """As the file has it."""
        found: dict[str, Any] = document(self.api)["paths"][self.path][self.method]
        return found

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


@cache
def operations() -> tuple[Operation, ...]:
    """All that this software serves."""
    return tuple(
        Operation(api, method, path)
        for api in FILES
        for path, item in document(api)["paths"].items()
        for method in ("get", "put", "post", "patch", "delete")
        if method in item and (api != "EBL" or method in SERVED.get(path, ()))
    )


def operation(method: str, path: str) -> Operation:
    """The operation that a call is; raises AssertionError for one that no file describes."""
    for one in operations():
        pattern = _PARAMETER.sub("[^/]+", one.path)
        if one.method == method.lower() and re.fullmatch(pattern, path.partition("?")[0]):
            return one
    raise AssertionError(f"no file describes {method} {path}")


@cache
def _validator(api: str, schema: str) -> Any:
    rooted = {"$ref": f"#/components/schemas/{schema}", "components": document(api)["components"]}
    assert schema in document(api)["components"]["schemas"], schema
    return jsonschema_rs.Draft4Validator(rooted)


def faults(api: str, schema: str, value: object) -> list[str]:
    """What a schema says against a value."""
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message[:300]}"
        for error in _validator(api, schema).iter_errors(value)
    ]


def payload(text: str) -> Any:
    """The payload of a compact JWS, as JSON."""
    middle = text.split(".")[1]
    return orjson.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


def _named(schema: Mapping[str, Any]) -> str | None:
    return schema["$ref"].rpartition("/")[2] if "$ref" in schema else None


def _inline(schema: Mapping[str, Any], value: object) -> Iterator[str]:
    """The two schemas that have no name: a document in base64, and a list of chains."""
    if schema.get("type") == "string" and not isinstance(value, str):
        yield "no text"
    if schema.get("format") == "byte" and isinstance(value, str):
        base64.b64decode(value, validate=True)


def _content(api: str, schema: Mapping[str, Any], value: object) -> list[str]:
    name = _named(schema)
    if name is None and schema.get("type") == "array":
        item = _named(schema["items"]) or ""
        return [fault for one in value for fault in faults(api, item, one)]
    if name is None:
        return list(_inline(schema, value))
    # Only what has the form of signed content is opened.
    return faults(api, name, value) or list(_signed(api, name, value))


def _signed(api: str, name: str, value: object) -> Iterator[str]:
    if name == FINISHED and isinstance(value, str):
        yield from faults(api, "EnvelopeTransferFinishedResponse", payload(value))
    for member, schema in SIGNED.items():
        texts = value.get(member, ()) if isinstance(value, dict) else ()
        for text in [texts] if isinstance(texts, str) else texts:
            yield from faults(api, schema, payload(text))


def request_faults(method: str, path: str, body: bytes) -> list[str]:
    """What the files say against a request that somebody sends in earnest."""
    one = operation(method, path)
    wanted = one.described.get("requestBody", {}).get("content", {}).get("application/json")
    if wanted is None:
        return ["a body where there is none"] if body else []
    return _content(one.api, wanted["schema"], orjson.loads(body))


def answer_faults(
    method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
) -> list[str]:
    """What the files say against an answer."""
    one, found = operation(method, path), []
    if _SEMVER.fullmatch(headers.get("API-Version", "")) is None:
        found.append("no API-Version with a whole version")
    described = one.described["responses"]
    unlisted = UNLISTED.get((one.api, one.method, one.path, str(status)))
    if unlisted is not None:
        schema: Mapping[str, Any] | None = {"$ref": f"#/components/schemas/{unlisted}"}
    else:
        content = described.get(str(status), described.get("default")).get("content", {})
        schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return [*found, *(["a body where there is none"] if body else [])]
    if headers.get("Content-Type", "").partition(";")[0] != "application/json":
        found.append(f"{status} is no JSON")
    return [*found, *_content(one.api, schema, orjson.loads(body))]


@dataclass
class Ledger:
    """Every call that a test looked at: which operation answered with which status."""

    seen: set[tuple[str, int]] = field(default_factory=set)

    def sent(self, method: str, path: str, body: bytes) -> None:
        """Our own request, to somebody else."""
        assert request_faults(method, path, body) == [], (method, path)

    def answered(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes
    ) -> None:
        """Our own answer."""
        assert answer_faults(method, path, status, headers, body) == [], (method, path, status)
        assert status < 500, (method, path, status)
        self.seen.add((str(operation(method, path)), status))
