"""What verifying and issuing a credential costs, in the functions that verification is made of.

The documents are certificates of origin whose signed payload has 4 kB. "Cached trust" means that
the key is at hand, as it is in a member list; nothing else is kept from one turn to the next.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from protocols import jws, member_list
from protocols.credentials import credential, data_integrity, sd_credential, sd_jwt, status_list
from protocols.credentials.credential import CredentialClaims, PayloadInfo
from protocols.credentials.status_list import StatusEntry
from protocols.keys import SoftwareSigner
from protocols.member_list import IssuerEntry, ListedKey, MemberList, NodeEntry, Roots
from protocols.members.drafting import MemberListDraft
from protocols.verify import verify_document
from schemas import profiles, registry, strict_json
from schemas.findings import Outcome
from testnet.bench import poison
from testnet.bench.measuring import LIMITS, Line, Measure, lines_of, raw_limits, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from protocols.credentials.credential import DocumentFile
    from protocols.credentials.status_list import StatusList
    from protocols.keys import PublicKey
    from schemas.strict_json import JsonValue

KIND = "certificate-of-origin"
PAYLOAD_BYTES = 4096
ISSUER = "did:web:issuer.example"
KEY_ID = f"{ISSUER}#credential-1"


def measure(
    seconds: float, told: Callable[[float], None]
) -> tuple[Mapping[str, float], list[Line]]:
    """The raw limits per second, and every line of `pratique bench credentials`."""
    bench = Bench.made(datetime.now(UTC))
    measures = measures_of(bench)
    for one in measures:
        one.run()
    best = side_by_side(measures, seconds, told, raw_limits)
    lines = [*lines_of(measures, best), *poison.measure(bench.steps)]
    return {name: best[name] for name in LIMITS if name in best}, lines


@dataclass(frozen=True, slots=True)
class Bench:
    """One issuer's key and documents, and what a verifier holds."""

    at: datetime
    signer: SoftwareSigner
    key: PublicKey
    members: MemberList
    claims: CredentialClaims
    payload: bytes
    file: DocumentFile
    selective: DocumentFile
    proven: dict[str, JsonValue]
    status_text: str
    status: StatusList

    @classmethod
    def made(cls, at: datetime) -> Bench:
        """Everything signed now, with keys that nobody keeps."""
        signer = SoftwareSigner(KEY_ID, ec.generate_private_key(ec.SECP256R1()))
        members = _members(signer, at)
        claims, payload = _sized(members.network, at)
        file = credential.issue(claims, payload, signer)
        selective = sd_credential.issue(claims, payload, signer, salts=secrets.token_bytes)
        plain = strict_json.loads_object(jws.parse(file.credential, typ=credential.TYP).payload)
        text = _status_text(signer, members, at)
        held = status_list.open_list(text, members=members, now=at, issuer=ISSUER)
        return cls(
            at=at,
            signer=signer,
            key=signer.public(),
            members=members,
            claims=claims,
            payload=payload,
            file=file,
            selective=selective,
            proven=data_integrity.issue(plain, signer, created=at),
            status_text=text,
            status=held,
        )

    def signed(self) -> None:
        """Signature, strict JSON and schema of the `vc+jwt`: what CRED-01, 03, 04, 09 rest on."""
        parsed = credential.parse_file(self.file.to_bytes())
        jws.verify(parsed.jws, self.key)
        subject: Any = parsed.members["credentialSubject"]
        _require(not profiles.faults(KIND, subject["document"]))

    def opened(self) -> None:
        """The same with the data model, our claims and the verbatim document (CRED-04, CRED-08)."""
        opened = credential.open_file(self.file.to_bytes())
        jws.verify(opened.jws, self.key)
        _require(not profiles.faults(KIND, opened.document))

    def steps(self) -> None:
        """Every numbered step, as a node takes them."""
        report, _ = verify_document(
            self.file.to_bytes(), members=self.members, at=self.at, status=self.status
        )
        _require(report.verdict is Outcome.PASSED)

    def disclosed(self) -> None:
        """Signature, disclosures, strict JSON and schema of the `vc+sd-jwt`, all disclosed."""
        given = sd_credential.parse(self.selective.to_bytes())
        jws.verify(given.jws, self.key)
        subject: Any = sd_jwt.reveal(given).claims["credentialSubject"]
        _require(not profiles.faults(KIND, subject["document"]))

    def integrity(self) -> None:
        """The `ecdsa-jcs-2019` proof of the same credential."""
        asked = data_integrity.Expected(self.at)
        checked = data_integrity.verify(self.proven, lambda _: self.key, asked)
        _require(checked.worst.outcome is Outcome.PASSED)

    def issued(self) -> None:
        """The `vc+jwt` made and signed."""
        credential.issue(self.claims, self.payload, self.signer)

    def concealed(self) -> None:
        """The `vc+sd-jwt` made, its members concealed, and signed."""
        sd_credential.issue(self.claims, self.payload, self.signer, salts=secrets.token_bytes)

    def decoded(self) -> None:
        """The issuer's status list opened anew, 131 072 entries."""
        status_list.open_list(self.status_text, members=self.members, now=self.at, issuer=ISSUER)

    def looked_up(self) -> None:
        """One entry of a status list that is held decoded."""
        status_list.check(self.claims.status, self.status, issuer=ISSUER)


def measures_of(bench: Bench) -> tuple[Measure, ...]:
    """Every measure; those with a target decide about the exit code."""
    verify, sign = "openssl.verify", "openssl.sign"
    return (
        Measure("verify", "vc+jwt: signature, strict JSON, schema", bench.signed, verify, 0.45),
        Measure("open", "… with data model, claims, verbatim document", bench.opened, verify),
        Measure("steps", "… every numbered step, rules and view", bench.steps, verify),
        Measure(
            "verify.sd", "vc+sd-jwt: the same, with one disclosure", bench.disclosed, verify, 0.3
        ),
        Measure("verify.jcs", "ecdsa-jcs-2019 proof", bench.integrity, verify),
        Measure("issue", "vc+jwt: issuing", bench.issued, sign),
        Measure("issue.sd", "vc+sd-jwt: issuing", bench.concealed, sign),
        Measure("status.open", "status list: signature and decoding", bench.decoded),
        Measure("status", "status list: one entry, list held decoded", bench.looked_up, "loop"),
    )


def _require(held: bool) -> None:
    """A measure of what does not verify would measure nothing."""
    if not held:
        raise AssertionError("the measured document does not pass")


def _members(signer: SoftwareSigner, at: datetime) -> MemberList:
    start = at - timedelta(days=1)
    root = SoftwareSigner(f"{ISSUER}#root-1", ec.generate_private_key(ec.SECP256R1()))
    draft = MemberListDraft(
        name="Bench",
        test=True,
        issued_at=start,
        expires=at + timedelta(days=30),
        roots=Roots(1, (root.public(),)),
        nodes=(
            NodeEntry(
                ISSUER,
                "Issuer",
                ("issuer",),
                "CN",
                "https://issuer.example",
                (ListedKey(signer.public(), "credential", ISSUER, start),),
            ),
        ),
        issuers=(IssuerEntry(ISSUER, KIND, "CN", start),),
    )
    return member_list.open_founding(member_list.sign_list(draft.payload(), [root]))


def _sized(network: bytes, at: datetime) -> tuple[CredentialClaims, bytes]:
    """Claims and a document of so many goods lines that the signed payload has 4 kB."""
    document = strict_json.loads_object(registry.example(KIND))
    goods: Any = document["goods"]
    document.pop("totals", None)
    signer = SoftwareSigner(KEY_ID, ec.generate_private_key(ec.SECP256R1()))
    while True:
        payload = strict_json.canonical(document)
        claims = _claims(network, at, payload)
        text = credential.issue(claims, payload, signer).credential
        if len(jws.parse(text, typ=credential.TYP).payload) >= PAYLOAD_BYTES:
            return claims, payload
        goods.append({**goods[0], "sequence": len(goods) + 1})


def _claims(network: bytes, at: datetime, payload: bytes) -> CredentialClaims:
    kind, view = registry.get(KIND), registry.examine(KIND, payload).view
    return CredentialClaims(
        id="urn:uuid:5f0c1b1e-8a64-4c0e-9a49-6d1f0a3f7c21",
        credential_type=kind.credential_type,
        issuer=ISSUER,
        network=network,
        valid_from=at - timedelta(hours=1),
        valid_until=at + timedelta(days=20),
        status=StatusEntry(status_list.list_url(ISSUER, "1"), 4711),
        document_type=KIND,
        number=view.number,
        salt=secrets.token_bytes(credential.SALT_BYTES),
        payload=PayloadInfo.of(payload, credential.JSON),
        consignment=view.consignment,
        export_country=view.export_country,
        import_country=view.import_country,
    )


def _status_text(signer: SoftwareSigner, members: MemberList, at: datetime) -> str:
    return status_list.sign_list(
        url=status_list.list_url(ISSUER, "1"),
        issuer=ISSUER,
        network=members.network,
        bits=bytes(status_list.MIN_ENTRIES // 8),
        ttl=timedelta(minutes=15),
        valid_from=at,
        valid_until=at + timedelta(days=1),
        signer=signer,
    )
