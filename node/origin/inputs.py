"""What this node knows about the certificates an origin question names.

A certificate counts as PASSED only when it is held here, verifies now with its status, and says
what the question says of it: RCEP, that issuer and number, a line with that HS code and origin.
What is not here, or whose status cannot be had, is INDETERMINATE: unknown never becomes valid.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.documents import documents
from schemas import strict_json
from schemas.errors import TradeError
from schemas.fields import objects, text
from schemas.findings import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node.documents.documents import StoredDocument
    from node.runtime import Node
    from node.verification.judging import Judged
    from schemas.origin import Question
    from schemas.origin.question import Material

TYPE = "preferential-certificate-of-origin"
KINDS = frozenset({"RCEP_COO", "RCEP_DOO"})
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Input:
    """What was found out about one certificate: outcome, and why it is not PASSED."""

    digest: str
    outcome: Outcome
    code: str = ""
    reason: str = ""

    def to_json(self) -> dict[str, str]:
        """For the API."""
        body = {"digest": self.digest, "status": self.outcome.value}
        optional = {"code": self.code, "reason": self.reason}
        return body | {name: value for name, value in optional.items() if value}


@dataclass(frozen=True, slots=True)
class _Named:
    """One use of a certificate in a question; issuer and number where the question says them."""

    digest: str
    issuer: str = ""
    number: str = ""
    material: Material | None = None
    home: str = ""


async def resolve(node: Node, question: Question) -> dict[str, Input]:
    """Each certificate the question names, by digest (hex), judged now; at most 8 at once."""
    named = list(_named(question))
    turns = asyncio.Semaphore(AT_ONCE)
    judged: dict[str, tuple[StoredDocument, Judged] | Input] = {}

    async def one(digest: str) -> None:
        async with turns:
            judged[digest] = await _judge(node, digest)

    await asyncio.gather(*(one(digest) for digest in dict.fromkeys(use.digest for use in named)))
    found: dict[str, Input] = {}
    for use in named:
        told = judged[use.digest]
        answer = told if isinstance(told, Input) else _held_against(use, *told)
        before = found.get(use.digest)
        # One certificate may stand for several materials; it counts only if it fits them all.
        if before is None or before.outcome is Outcome.PASSED:
            found[use.digest] = answer
    return found


def _named(question: Question) -> Iterator[_Named]:
    home = question.good.party if question.good else ""
    for material in question.materials or ():
        if (named := material.certificate) is not None:
            yield _Named(named.digest, named.issuer, named.number, material, home)
    proof = question.proof
    if proof is not None and proof.digest is not None:
        yield _Named(proof.digest)
    original = proof.back_to_back.original if proof and proof.back_to_back else None
    if original is not None and original.digest is not None:
        yield _Named(original.digest, number=original.number or "")


async def _judge(node: Node, digest: str) -> tuple[StoredDocument, Judged] | Input:
    stored = await node.store.read(documents.get, bytes.fromhex(digest))
    if stored is None:
        return Input(digest, Outcome.INDETERMINATE, "certificate_not_here")
    try:
        return stored, await node.verification.judge(stored.file, refresh=True)
    except TradeError as error:
        return Input(digest, Outcome.INDETERMINATE, error.code, error.detail)


def _held_against(use: _Named, stored: StoredDocument, judged: Judged) -> Input:
    """The certificate's own verdict, then whether it says what the question says."""
    verdict = judged.report.verdict
    if verdict is not Outcome.PASSED:
        why = judged.reason
        code, reason = (why.code or why.id, why.reason) if why else ("", "")
        return Input(use.digest, verdict, code, reason)
    difference = _difference(use, stored)
    if difference:
        return Input(use.digest, Outcome.FAILED, "certificate_other_goods", difference)
    return Input(use.digest, Outcome.PASSED)


def _difference(use: _Named, stored: StoredDocument) -> str:
    if stored.type != TYPE:
        return f"it is a {stored.type}"
    document = strict_json.loads_object(stored.payload)
    if text(document, "kind") not in KINDS:
        return f"its kind is {text(document, 'kind')}"
    if use.issuer and use.issuer != stored.issuer:
        return f"it was issued by {stored.issuer}"
    if use.number and use.number != stored.number:
        return f"its number is {stored.number}"
    if use.material is None:
        return ""
    # A proof is given for import into one Party: there the material goes into the good.
    to = text(document, "importCountry")
    if use.material.party != use.home and to != use.home:
        return f"it is for import into {to}"
    wanted = (use.material.hs, use.material.party)
    for _, line in objects(document, "goods"):
        hs, country = text(line, "hs"), text(line, "originCountry")
        if wanted in ((hs, country), (None, country)):
            return ""
    return f"no line has {use.material.hs or 'any code'} of {use.material.party}"
