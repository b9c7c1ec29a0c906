"""Made-up persons with keys of their own, and what they sign (R26)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from protocols import approval
from protocols.approval import Approval, Subject
from protocols.credentials import did
from protocols.digest import sha256
from protocols.keys import SoftwareSigner

if TYPE_CHECKING:
    from node.operator import OperatorClient


@dataclass(frozen=True)
class Approver:
    """A person: name, did:key, what signs with it, and the private key itself."""

    name: str
    key: str
    signer: SoftwareSigner
    private: ec.EllipticCurvePrivateKey

    def sign(
        self,
        subject: Subject,
        *,
        network: bytes,
        policy: str,
        decision: str = "approve",
        reason: str = "",
        at: datetime | None = None,
        term: timedelta = timedelta(days=7),
    ) -> str:
        """The signed decision."""
        at = at or datetime.now(UTC)
        made = Approval(network, subject, policy, decision, at, at + term, reason)
        return approval.sign(made, self.signer)


def approver(name: str, which: int = 0) -> Approver:
    """The same person and key for the same words; which: another key of that person."""
    seed = int.from_bytes(sha256(f"{name} {which}".encode()), "big") >> 8
    private = ec.derive_private_key(seed or 1, ec.SECP256R1())
    key = did.key_did(SoftwareSigner("", private).public())
    return Approver(name, key, SoftwareSigner(approval.key_id(key), private), private)


def register(client: OperatorClient, *names: str) -> list[Approver]:
    """Persons of those names, added at the desk by their public keys."""
    made = [approver(name) for name in names]
    for each in made:
        client.post("/v1/review/people", {"name": each.name, "key": each.key})
    return made


def admit(client: OperatorClient, who: Approver, *by: Approver) -> Any:
    """The person added under the approvals of those who decide already."""
    subject = approval.person_subject(who.name, who.key)
    body: dict[str, Any] = {"name": who.name, "key": who.key}
    body |= {"approvals": [signed_at(client, each, subject) for each in by]}
    return client.post("/v1/review/people", body)


def signed_at(client: OperatorClient, who: Approver, subject: Subject, **more: Any) -> str:
    """Signed under the network and the policy that the desk names now."""
    desk = client.get("/v1/review/policy")
    network = bytes.fromhex(desk["network"])
    return who.sign(subject, network=network, policy=desk["policy"], **more)
