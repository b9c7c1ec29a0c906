"""A refusal by either kind of arbiter, as the error that people and programs are told (R13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocols.evm import refusal as evm_refusal
from protocols.evm import title_text
from protocols.title import operation as title_operation
from schemas.catalogue import explain
from schemas.errors import FAMILIES, ConflictError

if TYPE_CHECKING:
    from schemas.errors import TradeError


@dataclass(frozen=True, slots=True)
class _Said:
    """What both kinds say, and who said it."""

    by: str
    code: str
    operation: bytes
    title: bytes
    seq: int
    winner: bytes | None


def _read(text: str) -> _Said:
    if evm_refusal.is_chain_refusal(text):
        told = evm_refusal.read_refusal(text)
        event = told.refused
        return _Said("contract", event.code, event.digest, event.title, event.seq, told.winner)
    said = title_operation.read_refusal(text)[1]
    return _Said("registry", said.code, said.operation, said.title, said.seq, said.winner)


def refusal_code(text: str) -> str:
    """The stable code of a refusal, signed by a registry or logged by a contract."""
    return _read(text).code


def may_yet_hold(text: str, operation: str) -> bool:
    """Whether the refused operation may still be applied. A registry's signed word binds."""
    if not evm_refusal.is_chain_refusal(text):
        return False
    return evm_refusal.may_yet_hold(
        evm_refusal.read_refusal(text), title_text.read_text(operation).operation
    )


def refused(text: str) -> TradeError:
    """A refusal as the error it is, with the evidence in its context."""
    said = _read(text)
    entry = explain(said.code)
    context: dict[str, Any] = {
        "refusal": text,
        "winner": said.winner.hex() if said.winner else None,
        "operation": said.operation.hex(),
        "title": said.title.hex(),
        "seq": said.seq,
    }
    detail = f"the {said.by} refused the operation"
    if said.winner is not None:
        detail = f"operation {said.winner.hex()[:16]}… took its place"
    family = FAMILIES[entry.family] if entry and entry.kind == "error" else ConflictError
    return family(said.code if entry else "title_refused", detail, **context)
