"""What commands share that sign a person's approval here, with a key that stays here (R26)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from node.cli import output
from schemas.errors import MalformedError, TooLargeError, TradeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node.operator import OperatorClient
    from protocols.approval import Subject
    from protocols.keys import SoftwareSigner

MAX_BYTES = 5 * 1024 * 1024
KeyOption: TypeAlias = Annotated[
    Path, typer.Option("--key", help="Your own key: pratique review key.")
]
DaysOption: TypeAlias = Annotated[
    int, typer.Option("--days", min=1, max=31, help="For how long the signature holds.")
]
OutputOption: TypeAlias = Annotated[
    Path | None, typer.Option("-o", "--output", help="Write the approval to this file.")
]
ApprovalOption: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option("--approval", help="A person's approval: pratique review sign. Repeatable."),
]
DAYS = 7
TypeOption: TypeAlias = Annotated[
    str, typer.Option("--type", help="Its type; else it is detected.")
]
ConsignmentOption: TypeAlias = Annotated[str, typer.Option(help="UCR of the consignment.")]
ExportOption: TypeAlias = Annotated[str, typer.Option(help="Exporting country, if not in it.")]
ImportOption: TypeAlias = Annotated[str, typer.Option(help="Importing country, if not in it.")]
UntilOption: TypeAlias = Annotated[str, typer.Option(help="RFC 3339 time, if not in it.")]
DisclosableOption: TypeAlias = Annotated[
    bool, typer.Option("--disclosable", help="So that it can be shown in part.")
]
FormOption: TypeAlias = Annotated[
    str, typer.Option(help="With --disclosable: vc+sd-jwt or dc+sd-jwt.")
]
HolderOption: TypeAlias = Annotated[
    Path | None, typer.Option(help="With --disclosable: the holder's public JWK.")
]


def read_document(file: Path, most: int = MAX_BYTES) -> bytes:
    """The bytes of a file; raises MalformedError `file_unreadable`, `file_empty`, TooLargeError."""
    try:
        with file.open("rb") as source:
            data = source.read(most + 1)
    except OSError as error:
        raise MalformedError("file_unreadable", f"{file}: {error.strerror}") from None
    if not data:
        raise MalformedError("file_empty", str(file))
    if len(data) > most:
        raise TooLargeError("document_too_large", f"{file} has more than {most} bytes")
    return data


def order_body(
    file: Path, wanted: dict[str, str], form: str | None, holder: Path | None
) -> dict[str, Any]:
    """POST /v1/documents for a file; members of `wanted` that are empty are left out."""
    body: dict[str, Any] = {name: value for name, value in wanted.items() if value}
    body["payload"] = base64.b64encode(read_document(file)).decode()
    if form is not None:
        body["form"] = form
    if holder is not None:
        from schemas import strict_json

        body["holder"] = strict_json.loads_object(read_document(holder), max_bytes=10_000)
    return body


def subject_of_body(body: dict[str, Any]) -> Subject:
    """What is approved with that order: worked out here, from the bytes themselves."""
    from node.documents.orders import read_issue, subject_of
    from schemas import registry

    order = read_issue(body)
    key = order.type or registry.detect(order.payload, order.media_type) or ""
    try:
        number = registry.examine(key, order.payload).view.number
    except TradeError:
        number = ""  # what cannot be read can still be refused
    return subject_of(order, key, number[:200])


def signer(file: Path) -> SoftwareSigner:
    """The person's key; its passphrase is asked for, or taken from PRATIQUE_KEY_PASSPHRASE."""
    import os

    from node import person_key

    passphrase = ""
    if person_key.needs_passphrase(file):
        passphrase = os.environ.get("PRATIQUE_KEY_PASSPHRASE", "")
        passphrase = passphrase or typer.prompt("Passphrase", hide_input=True, err=True)
    return person_key.load(file, passphrase)


@dataclass(frozen=True, slots=True)
class Signing:
    """How somebody signs here: the key, for how long, and why."""

    signer: SoftwareSigner
    days: int = DAYS
    reason: str = ""

    def sign(self, client: OperatorClient, subject: Subject, decision: str = "approve") -> str:
        """The signed decision, under the policy in force at the node."""
        from protocols import approval

        desk = client.get("/v1/review/policy")
        now = datetime.now(UTC)
        made = approval.Approval(
            network=bytes.fromhex(desk["network"]),
            subject=subject,
            policy=desk["policy"],
            decision=decision,
            at=now,
            expires=now + timedelta(days=self.days),
            reason=self.reason,
        )
        digest = subject.digest.hex()
        output.progress(
            f"signed: {decision} {subject.act} {subject.type} {subject.number} {digest}"
        )
        return approval.sign(made, self.signer)


def read_approvals(files: Sequence[Path] | None) -> list[str]:
    """The approvals in files, as they are sent."""
    from protocols.approval import MAX_BYTES as MOST

    texts = (read_document(file, MOST).decode("ascii", "replace") for file in files or ())
    return [text.strip() for text in texts]


def write_approval(text: str, file: Path | None) -> None:
    """Into the file, or on the screen for whoever passes it on."""
    if file is None:
        output.line(text)
    else:
        file.write_text(text + "\n", "ascii")
        output.progress(f"written: {file}")
