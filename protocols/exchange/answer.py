"""The answer to a batch, and what the sender may conclude from it (R9, R12, R13).

JSON ``{"receipts": [JWS…], "items": […]}``, one item per message in the order sent: either
``{"receipt": n, "index": i, "item": {…}, "path": […]}``, which stands in the n-th receipt, or
``{"code": …, "retry": bool}``, unsigned. Only what a verified receipt covers settles a message;
everything else leaves the outcome unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from protocols.exchange import receipt
from protocols.exchange.frames import MAX_ITEMS
from schemas import strict_json
from schemas.errors import MalformedError, RefusedError, TradeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from protocols.exchange.problems import Problem
    from protocols.exchange.receipt import ItemReceipt, SignedReceipt
    from protocols.members.entries import ListedKey

MAX_ANSWER_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Unsigned:
    """An item without a signed outcome: the code; `id` when the manifest could be read."""

    code: str
    retryable: bool
    id: str | None = None


def of_problem(problem: Problem, id: str | None = None) -> Unsigned:  # noqa: A002 the wire's word
    """The unsigned item for `problem`."""
    return Unsigned(problem.value, problem.retryable, id)


def write(items: Sequence[ItemReceipt | Unsigned]) -> bytes:
    """The answer's bytes; each receipt is written once."""
    receipts: dict[str, int] = {}
    written: list[dict[str, Any]] = []
    for item in items:
        if isinstance(item, Unsigned):
            written.append(_unsigned_members(item))
            continue
        number = receipts.setdefault(item.receipt, len(receipts))
        written.append(item.to_json() | {"receipt": number})
    return strict_json.canonical({"receipts": list(receipts), "items": written})


def _unsigned_members(item: Unsigned) -> dict[str, Any]:
    members: dict[str, Any] = {"code": item.code, "retry": item.retryable}
    return members if item.id is None else members | {"id": item.id}


def read(data: bytes) -> tuple[ItemReceipt | Unsigned, ...]:
    """The items of an answer, nothing verified; raises MalformedError `answer_malformed`."""
    members = strict_json.loads_object(data, max_bytes=MAX_ANSWER_BYTES)
    receipts, items = members.get("receipts"), members.get("items")
    if not isinstance(receipts, list) or not isinstance(items, list):
        raise _malformed("", "an answer has receipts and items")
    if len(items) > MAX_ITEMS or len(receipts) > MAX_ITEMS:
        raise _malformed("/items", f"an answer has at most {MAX_ITEMS} items")
    return tuple(_item(item, receipts, f"/items/{at}") for at, item in enumerate(items))


def _item(item: Any, receipts: list[Any], pointer: str) -> ItemReceipt | Unsigned:
    if not isinstance(item, dict):
        raise _malformed(pointer, "an item is an object")
    if "receipt" in item:
        number = item["receipt"]
        if isinstance(number, bool) or not isinstance(number, int):
            raise _malformed(pointer, "an item names its receipt by number")
        if not 0 <= number < len(receipts):
            raise _malformed(pointer, "an item names a receipt that is not there")
        return receipt.item_receipt_from_json(item | {"receipt": receipts[number]})
    code, name = item.get("code"), item.get("id")
    if not isinstance(code, str) or not 0 < len(code) <= 64:
        raise _malformed(pointer, "an item without a receipt has a code")
    return Unsigned(code, item.get("retry") is True, name if isinstance(name, str) else None)


@dataclass(frozen=True, slots=True)
class Sent:
    """One message we sent: id and manifest payload digest."""

    id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Ends:
    """Between whom a receipt must be, and whose keys count."""

    network: bytes
    receiver: str
    sender: str
    key: Callable[[str], ListedKey | None]


@dataclass(frozen=True, slots=True)
class Settled:
    """A message whose outcome is proven: its verified receipt and proof."""

    sent: Sent
    signed: SignedReceipt
    proof: ItemReceipt


@dataclass(frozen=True, slots=True)
class Open:
    """A message whose outcome is unknown. `suspicious` says why the answer proves nothing."""

    sent: Sent
    code: str
    suspicious: str = ""


def settle(
    items: Sequence[ItemReceipt | Unsigned], sent: Sequence[Sent], ends: Ends
) -> tuple[Settled | Open, ...]:
    """What is known about each message after an answer, in the order sent.

    A receipt that does not verify, an item for something we did not send, and a path that leads
    elsewhere settle nothing: the message stays open, marked suspicious.
    """
    if len(items) != len(sent):
        reason = f"items in the answer: {len(items)}, messages sent: {len(sent)}"
        return tuple(Open(one, "receipt_mismatch", reason) for one in sent)
    receipts: dict[str, SignedReceipt | TradeError] = {}
    return tuple(
        _settle_one(item, one, ends, receipts) for item, one in zip(items, sent, strict=True)
    )


def _settle_one(
    item: ItemReceipt | Unsigned,
    sent: Sent,
    ends: Ends,
    receipts: dict[str, SignedReceipt | TradeError],
) -> Settled | Open:
    if isinstance(item, Unsigned):
        return Open(sent, item.code)
    if item.receipt not in receipts:
        receipts[item.receipt] = _verified(item.receipt, ends)
    signed = receipts[item.receipt]
    if isinstance(signed, TradeError):
        return Open(sent, signed.code, str(signed))
    if (item.item.id, item.item.digest) != (sent.id, sent.digest):
        return Open(sent, "receipt_mismatch", "the receipt item is for another message")
    try:
        receipt.verify_item(signed, item.item, item.index, item.path)
    except RefusedError as error:
        return Open(sent, error.code, str(error))
    return Settled(sent, signed, item)


def _verified(text: str, ends: Ends) -> SignedReceipt | TradeError:
    try:
        signed = receipt.read(text)
        receipt.verify(
            signed,
            network=ends.network,
            receiver=ends.receiver,
            sender=ends.sender,
            key=ends.key,
        )
    except TradeError as error:
        return error
    return signed


def _malformed(pointer: str, detail: str) -> MalformedError:
    return MalformedError("answer_malformed", detail, pointer=pointer)
