"""Data Integrity proofs (W3C VC Data Integrity 1.0): eddsa and ecdsa, over JCS and over RDF.

What is signed is hash(canonical options of the proof) ‖ hash(canonical document without its proof);
SHA-256, for P-384 keys SHA-384 (vc-di-eddsa §3.2, §3.3, vc-di-ecdsa §3.2, §3.3).

`*-jcs-*`: canonical is RFC 8785. A proof that carries `@context` covers that context only: the
document's must begin with it, and the document that comes back has it instead of its own (so what
was appended is gone).

`*-rdfc-*`: canonical are the N-Quads of RDFC-1.0, parameterised with the same digest. They are made
elsewhere, from imported contexts: `canonical_inputs` says from what, `verify` takes them. Without
them such a proof is neither valid nor invalid but unknown, and says which contexts are missing.

Proofs are checked each alone; a proof that names a `previousProof` covers those proofs, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256, SHA384, Hash

from protocols import keys, times
from protocols.credentials import jsonld, multikey
from protocols.credentials.canonical_forms import CanonicalForms, CanonicalInput, DigestName
from protocols.credentials.vcdm import SKEW
from protocols.keys import PublicKey
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError, UnavailableError
from schemas.findings import Outcome

if TYPE_CHECKING:
    from protocols.keys import Signer
    from schemas.strict_json import JsonValue

TYPE = "DataIntegrityProof"
ASSERTION = "assertionMethod"
EDDSA_JCS = "eddsa-jcs-2022"
ECDSA_JCS = "ecdsa-jcs-2019"
EDDSA_RDFC = "eddsa-rdfc-2022"
ECDSA_RDFC = "ecdsa-rdfc-2019"
MAX_PROOFS = 16
#: vc-data-integrity §4.8: the problem types, by our codes.
PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "proof_verification_error": "https://w3id.org/security#PROOF_VERIFICATION_ERROR",
        "proof_transformation_error": "https://w3id.org/security#PROOF_TRANSFORMATION_ERROR",
        "proof_generation_error": "https://w3id.org/security#PROOF_GENERATION_ERROR",
        "invalid_domain_error": "https://w3id.org/security#INVALID_DOMAIN_ERROR",
        "invalid_challenge_error": "https://w3id.org/security#INVALID_CHALLENGE_ERROR",
        jsonld.DATA_LOSS: "https://w3id.org/security#DATA_LOSS_DETECTION_ERROR",
        jsonld.UNSAFE: "https://w3id.org/security#PROOF_TRANSFORMATION_ERROR",
    }
)
_EDWARDS, _NIST = frozenset({keys.ED25519}), frozenset({keys.ES256, keys.ES384})
#: Suite → the algorithms its keys may have (R3: the key decides which); the JCS suites first.
_SUITES: Mapping[str, frozenset[str]] = MappingProxyType(
    {EDDSA_JCS: _EDWARDS, ECDSA_JCS: _NIST, EDDSA_RDFC: _EDWARDS, ECDSA_RDFC: _NIST}
)
RDF_SUITES = frozenset({EDDSA_RDFC, ECDSA_RDFC})
_RDF_DIGESTS: Mapping[str, DigestName] = MappingProxyType(
    {keys.ED25519: "sha256", keys.ES256: "sha256", keys.ES384: "sha384"}
)

Json: TypeAlias = dict[str, "JsonValue"]
#: Verification method → its key; None when it cannot be known here. Raises TradeError when the
#: method cannot be one at all.
Resolver: TypeAlias = Callable[[str], PublicKey | None]


@dataclass(frozen=True, slots=True)
class ProofResult:
    """One proof: what it is worth, why (a code), and by which method and key it was made."""

    outcome: Outcome
    code: str = ""
    detail: str = ""
    cryptosuite: str = ""
    method: str = ""
    key: PublicKey | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """All proofs of a document. document: what all of them signed, or None unless all did."""

    proofs: tuple[ProofResult, ...]
    document: Mapping[str, JsonValue] | None

    @property
    def worst(self) -> ProofResult:
        """The proof that decides: the first that failed, else the first unknown, else the first."""
        for outcome in (Outcome.FAILED, Outcome.INDETERMINATE):
            found = next((one for one in self.proofs if one.outcome is outcome), None)
            if found is not None:
                return found
        return self.proofs[0]


@dataclass(frozen=True, slots=True)
class Expected:
    """What the verifier asks for: the moment, the purpose, perhaps domain and challenge."""

    at: datetime
    purpose: str = ASSERTION
    domain: str | None = None
    challenge: str | None = None


class _UnknownError(Exception):
    """The proof may be good; that cannot be found out here."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


def verify(
    document: Mapping[str, JsonValue],
    resolve: Resolver,
    asked: Expected,
    canonical: CanonicalForms | None = None,
) -> Verification:
    """Check every proof of a secured document (vc-data-integrity §4.4, §4.5).

    canonical: what came of `canonical_inputs`, for proofs over RDF.
    Raises MalformedError `proof_malformed` when there is no proof, or none that can be read.
    """
    proofs = _proofs(document)
    texts = _Texts.of(document, proofs, canonical or {})
    results = tuple(_checked(texts, proof, proofs, resolve, asked) for proof in proofs)
    if any(result.outcome is not Outcome.PASSED for result in results):
        return Verification(results, None)
    covered = [proof["@context"] for proof in proofs if "@context" in proof]
    signed = _without_proof(document)
    if covered:
        # Every proof's context is a beginning of the document's: the shortest is in all of them.
        signed["@context"] = min(covered, key=lambda context: len(_as_list(context)))
    return Verification(results, signed)


def _proofs(document: Mapping[str, JsonValue]) -> list[Json]:
    value = document.get("proof")
    items = value if isinstance(value, list) else [value]
    proofs = [item for item in items if isinstance(item, dict)]
    if not proofs or len(proofs) != len(items) or len(proofs) > MAX_PROOFS:
        raise MalformedError("proof_malformed", f"1 to {MAX_PROOFS} proofs", pointer="/proof")
    names = [proof["id"] for proof in proofs if "id" in proof]
    if len({str(name) for name in names}) != len(names):
        raise MalformedError("proof_malformed", "two proofs have one id", pointer="/proof")
    return proofs


def _without_proof(document: Mapping[str, JsonValue]) -> Json:
    return {name: value for name, value in document.items() if name != "proof"}


@dataclass(frozen=True, slots=True)
class _Texts:
    """RFC 8785 texts of the parts, each made once: many proofs must not cost many documents.

    members:   of the document without its proofs; proofs: of each proof, in their order
    canonical: the forms over RDF that were made elsewhere
    """

    document: Mapping[str, JsonValue]
    members: Mapping[str, bytes]
    proofs: tuple[bytes, ...]
    canonical: CanonicalForms

    @classmethod
    def of(
        cls,
        document: Mapping[str, JsonValue],
        proofs: Sequence[Json],
        canonical: CanonicalForms | None = None,
    ) -> _Texts:
        rest = _without_proof(document)
        members = {name: strict_json.canonical(value) for name, value in rest.items()}
        texts = tuple(map(strict_json.canonical, proofs))
        return cls(document, members, texts, canonical or {})

    def covered(self, proof: Json, previous: Sequence[int]) -> bytes:
        """The text that a proof signs: with its own context, and the proofs before it."""
        members = dict(self.members)
        if "@context" in proof:
            members["@context"] = strict_json.canonical(proof["@context"])
        if previous:
            members["proof"] = b"[" + b",".join(self.proofs[at] for at in previous) + b"]"
        # RFC 8785 §3.2.3: members stand in the order of their UTF-16 code units.
        names = sorted(members, key=lambda name: name.encode("utf-16-be"))
        parts = (strict_json.canonical(name) + b":" + members[name] for name in names)
        return b"{" + b",".join(parts) + b"}"


def _checked(
    texts: _Texts,
    proof: Json,
    proofs: Sequence[Json],
    resolve: Resolver,
    asked: Expected,
) -> ProofResult:
    suite, method = (_text(proof.get(name)) for name in ("cryptosuite", "verificationMethod"))
    key, fault = _key(method, resolve)
    try:
        _require_options(proof, asked)
        _require_suite(suite)
        if fault is not None:
            raise fault
        _verify_one(texts, proof, proofs, key)
    except _UnknownError as unknown:
        return ProofResult(Outcome.INDETERMINATE, unknown.code, unknown.detail, suite, method, key)
    except RefusedError as error:
        return ProofResult(Outcome.FAILED, error.code, error.detail, suite, method, key)
    return ProofResult(Outcome.PASSED, "", "", suite, method, key)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _fail(detail: str, code: str = "proof_verification_error") -> RefusedError:
    return RefusedError(code, detail, pointer="/proof")


def _require_options(proof: Json, asked: Expected) -> None:
    """The members every suite has, in the order in which the standard asks for them."""
    for name in ("type", "verificationMethod", "proofPurpose"):
        if not isinstance(proof.get(name), str):
            raise _fail(f"{name} is missing")
    if proof["proofPurpose"] != asked.purpose:
        raise _fail(f"the proof's purpose is not {asked.purpose}")
    if asked.domain is not None and asked.domain not in _as_list(proof.get("domain")):
        raise _fail("the proof is for another domain", "invalid_domain_error")
    if asked.challenge is not None and proof.get("challenge") != asked.challenge:
        raise _fail("the proof answers another challenge", "invalid_challenge_error")
    if proof["type"] != TYPE:
        raise _UnknownError("proof_suite_unknown", "only DataIntegrityProof is read here")
    created, expires = (_moment(proof, name) for name in ("created", "expires"))
    if created is not None and created > asked.at + SKEW:
        raise _fail("the proof was created later")
    if expires is not None and expires <= asked.at - SKEW:
        raise _fail("the proof has expired")


def _moment(proof: Json, name: str) -> datetime | None:
    if name not in proof:
        return None
    try:
        return times.from_text(proof[name])
    except MalformedError:
        raise _fail(f"{name} is not a time with a zone") from None


def _require_suite(suite: str) -> None:
    if not suite:
        raise _fail("cryptosuite is missing")
    if suite not in _SUITES:
        raise _UnknownError("proof_suite_unknown", "a cryptosuite that is not read here")


def _key(method: str, resolve: Resolver) -> tuple[PublicKey | None, RefusedError | None]:
    """The key, or why the method cannot be one: which matters for the suites that are read here."""
    try:
        return resolve(method), None
    except TradeError as error:
        return None, _fail(f"the verification method is none: {error.detail}")


def _verify_one(texts: _Texts, proof: Json, proofs: Sequence[Json], key: PublicKey | None) -> None:
    if key is None:
        raise _UnknownError("key_not_listed", "the verification method cannot be looked up here")
    suite = _text(proof.get("cryptosuite"))
    if key.algorithm not in _SUITES[suite]:
        raise _fail("the key is of another kind than the cryptosuite's")
    try:
        signature = multikey.decode_base58(proof.get("proofValue"))
    except MalformedError:
        raise _fail("proofValue is base58btc with the prefix z") from None
    previous = _previous(proof, proofs)
    if suite in RDF_SUITES:
        held = [proofs[at] for at in previous]
        inputs = _rdf_inputs(texts.document, proof, held, key.algorithm)
        data = _hash_rdf(inputs, texts.canonical)
    else:
        if "@context" in proof:
            _require_prefix(texts.document.get("@context"), proof["@context"])
        options = {name: value for name, value in proof.items() if name != "proofValue"}
        covered = texts.covered(proof, previous)
        data = _hash_data(strict_json.canonical(options), covered, key.algorithm)
    if not key.verify(signature, data):
        raise _fail("the signature does not fit the key, the options and the document")


def _as_list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [value]


def _require_prefix(whole: JsonValue, beginning: JsonValue) -> None:
    signed = _as_list(beginning)
    if _as_list(whole)[: len(signed)] != signed:
        raise _fail("the document's @context does not begin with the proof's")


def _previous(proof: Json, proofs: Sequence[Json]) -> list[int]:
    """Where the proofs stand that a proof names as its previous ones (vc-data-integrity §4.5)."""
    if "previousProof" not in proof:
        return []
    named = _as_list(proof["previousProof"])
    found = [at for at, one in enumerate(proofs) if one is not proof and one.get("id", []) in named]
    if not named or len(found) != len(named):
        raise _fail("a previous proof is missing")
    return found


def _hash_data(options: bytes, document: bytes, algorithm: str) -> bytes:
    """hash(options) ‖ hash(document), with the digest that goes with the key."""
    parts = []
    for text in (options, document):
        digest = Hash(SHA384() if algorithm == keys.ES384 else SHA256())
        digest.update(text)
        parts.append(digest.finalize())
    return b"".join(parts)


# -- over RDF --------------------------------------------------------------------------------------


def canonical_inputs(
    document: Mapping[str, JsonValue], resolve: Resolver
) -> tuple[CanonicalInput, ...]:
    """What `verify` will ask for in canonical form; nothing for a proof that fails without it.

    Raises MalformedError `proof_malformed` as `verify` does.
    """
    proofs = _proofs(document)
    found: dict[bytes, CanonicalInput] = {}
    for proof in proofs:
        suite, method = (_text(proof.get(name)) for name in ("cryptosuite", "verificationMethod"))
        if suite not in RDF_SUITES:
            continue
        key, _ = _key(method, resolve)
        if key is None or key.algorithm not in _SUITES[suite]:
            continue
        try:
            previous = [proofs[at] for at in _previous(proof, proofs)]
        except RefusedError:
            continue
        inputs = _rdf_inputs(document, proof, previous, key.algorithm)
        found.update((item.key, item) for item in inputs)
    return tuple(found.values())


def _rdf_inputs(
    document: Mapping[str, JsonValue], proof: Json, previous: Sequence[Json], algorithm: str
) -> tuple[CanonicalInput, CanonicalInput]:
    """The proof's options and the document, both read with the document's contexts (§3.2.5)."""
    digest = _RDF_DIGESTS[algorithm]
    options = {name: value for name, value in proof.items() if name != "proofValue"}
    options.pop("@context", None)
    covered = _without_proof(document)
    if "@context" in document:
        options["@context"] = document["@context"]
    if previous:
        covered["proof"] = list(previous)
    return CanonicalInput(options, digest), CanonicalInput(covered, digest)


def _hash_rdf(inputs: tuple[CanonicalInput, CanonicalInput], canonical: CanonicalForms) -> bytes:
    texts: list[bytes] = []
    for item in inputs:
        found = canonical.get(item.key)
        if found is None:
            urls = ", ".join(jsonld.context_urls(dict(item.document)))
            raise _UnknownError(jsonld.MISSING, f"needs the contexts {urls}")
        if isinstance(found, RefusedError):
            raise found
        if isinstance(found, TradeError):
            raise _UnknownError(found.code, found.detail)
        texts.append(found)
    algorithm = keys.ES384 if inputs[0].digest == "sha384" else keys.ES256
    return _hash_data(texts[0], texts[1], algorithm)


# -- issuing ---------------------------------------------------------------------------------------


def suite_of(algorithm: str, *, rdf: bool = False) -> str:
    """The suite that keys of an algorithm sign with; RefusedError `proof_generation_error`."""
    for suite, algorithms in _SUITES.items():
        if algorithm in algorithms and (suite in RDF_SUITES) is rdf:
            return suite
    raise _fail(f"no suite signs with {algorithm}", "proof_generation_error")


def issue(
    document: Mapping[str, JsonValue],
    signer: Signer,
    *,
    created: datetime,
    method: str | None = None,
    purpose: str = ASSERTION,
    proof_id: str | None = None,
    previous: Sequence[str] = (),
) -> Json:
    """`document` with one more proof by `signer`, whose key decides the suite.

    method: the verification method, the key's id when not given; previous: ids of proofs in the
    document that this one covers. Raises RefusedError `proof_generation_error`.
    """
    made = draft(
        document,
        signer,
        created=created,
        method=method,
        purpose=purpose,
        proof_id=proof_id,
        previous=previous,
    )
    return complete(made, signer)


@dataclass(frozen=True, slots=True)
class Draft:
    """A proof before it is signed: the document with the proofs it has, and the new one's options.

    inputs: what must be brought in canonical form for `complete`; none for the JCS suites
    """

    document: Mapping[str, JsonValue]
    held: tuple[Json, ...]
    options: Json
    previous: tuple[int, ...]
    inputs: tuple[CanonicalInput, ...]


def draft(
    document: Mapping[str, JsonValue],
    signer: Signer,
    *,
    created: datetime,
    method: str | None = None,
    purpose: str = ASSERTION,
    proof_id: str | None = None,
    previous: Sequence[str] = (),
    rdf: bool = False,
    more: Mapping[str, JsonValue] | None = None,
) -> Draft:
    """A proof to be signed, as `issue` takes it; rdf: with the suite over RDF.

    more: further options (domain, challenge, expires, nonce). Raises RefusedError
    `proof_generation_error`.
    """
    held = _proofs(document) if "proof" in document else []
    proof: Json = {
        **(more or {}),
        "type": TYPE,
        "cryptosuite": suite_of(signer.algorithm, rdf=rdf),
        "created": times.to_text(created),
        "verificationMethod": method or signer.kid,
        "proofPurpose": purpose,
    }
    if proof_id is not None:
        proof["id"] = proof_id
    if previous:
        proof["previousProof"] = list(previous)
    if "@context" in document and not rdf:
        proof["@context"] = document["@context"]
    try:
        named = _previous(proof, held)
    except RefusedError as error:
        raise _fail(error.detail, "proof_generation_error") from None
    before = [held[at] for at in named]
    inputs = _rdf_inputs(document, proof, before, signer.algorithm) if rdf else ()
    return Draft(document, tuple(held), proof, tuple(named), inputs)


def complete(made: Draft, signer: Signer, canonical: CanonicalForms | None = None) -> Json:
    """The draft's document with its proof, signed.

    canonical: what came of the draft's inputs. Raises the error found there, UnavailableError
    `proof_contexts_missing` when there is nothing.
    """
    if made.inputs:
        try:
            data = _hash_rdf((made.inputs[0], made.inputs[1]), canonical or {})
        except _UnknownError as unknown:
            raise UnavailableError(unknown.code, unknown.detail) from None
    else:
        covered = _Texts.of(made.document, made.held).covered(made.options, made.previous)
        data = _hash_data(strict_json.canonical(made.options), covered, signer.algorithm)
    value = multikey.encode_base58(signer.sign(data))
    proof: Json = {**made.options, "proofValue": value}
    rest = _without_proof(made.document)
    return {**rest, "proof": [*made.held, proof] if made.held else proof}
