"""PX/1, the exchange between nodes, as pure functions (DESIGN §4, R8 to R13).

`manifest` is what a sender signs per message, `frames` how messages travel, `stream` in which order
they count, `receipt` what the receiver signs, `answer` what the sender may conclude from it,
`retry` when to try again, `control` the exchange's own messages, `problems` the codes.
"""

from __future__ import annotations

from protocols.exchange import (
    answer,
    control,
    frames,
    manifest,
    problems,
    receipt,
    retry,
    stream,
)
from protocols.exchange.frames import Frame
from protocols.exchange.manifest import Body, Desk, Manifest, SignedManifest, examine
from protocols.exchange.problems import Problem
from protocols.exchange.receipt import BatchReceipt, ItemReceipt, ItemState, ReceiptItem
from protocols.exchange.retry import RetryPolicy
from protocols.exchange.stream import Arrival, Caps, StreamState

__all__ = [
    "Arrival",
    "BatchReceipt",
    "Body",
    "Caps",
    "Desk",
    "Frame",
    "ItemReceipt",
    "ItemState",
    "Manifest",
    "Problem",
    "ReceiptItem",
    "RetryPolicy",
    "SignedManifest",
    "StreamState",
    "answer",
    "control",
    "examine",
    "frames",
    "manifest",
    "problems",
    "receipt",
    "retry",
    "stream",
]
