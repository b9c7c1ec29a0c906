"""Envelopes that nobody should have sent: by an eavesdropper, or by a platform that cheats.

Each takes the newest envelopes of a bill and the platforms' keys, and gives what is posted and to
whom; None where the bill has not gone far enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from protocols import base64url
from protocols.fields import Fields
from protocols.pint import signed
from protocols.pint.chain import following, open_entry
from protocols.pint.envelope import EblEnvelope, envelope, read_envelope
from protocols.pint.parties import read_party
from protocols.pint.transactions import Transaction
from protocols.pint.words import Action
from schemas import strict_json
from tests.integration.pint.sending_network import CARRIER, PLATFORMS, did_of

if TYPE_CHECKING:
    import random

    from protocols.keys import Signer
    from tests.integration.pint.history_world import Held, World

NODES = {code: name for name, code in PLATFORMS.items()}


@dataclass
class Theft:
    """What a hostile hand has: the bill's envelopes by length, and another bill's newest."""

    world: World
    held: Held
    rng: random.Random
    other: bytes | None = None
    bodies: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        # A retry carries the same bytes.
        carried = dict.fromkeys(self.world.carried(self.held))
        self.bodies = sorted(carried, key=lambda body: len(read_envelope(body).chain))

    @property
    def newest(self) -> EblEnvelope:
        return read_envelope(self.bodies[-1])

    def key(self, code: str) -> Signer:
        signer: Signer = self.world.nodes[NODES[code]].keys.signer("platform")
        return signer

    def to(self, text: str) -> str:
        """The node of the platform that the last transaction of an entry is for."""
        recipient = open_entry(text).last.recipient
        return NODES[recipient.platform] if recipient is not None else CARRIER

    def packed(self, texts: list[str], by: str = "") -> tuple[str, bytes]:
        """A chain under a fresh manifest of the platform of its last entry, to whom it is for."""
        code = by or open_entry(texts[-1]).entry.platform
        body = envelope(self.newest.document, texts, self.key(code)).to_bytes()
        return self.to(texts[-1]), body


Posted = tuple[str, bytes]
Hand = Callable[[Theft], Posted | None]


def replayed(it: Theft) -> Posted:
    """Any envelope of the bill again, to whom it was for or to another."""
    body = it.rng.choice(it.bodies)
    if it.rng.random() < 0.7:
        return it.to(read_envelope(body).chain[-1]), body
    return it.rng.choice(sorted(it.world.nodes)), body


def signed_again(it: Theft) -> Posted:
    """The last entry under another signature of its own platform, and the header without a kid."""
    *before, last = it.newest.chain
    code = open_entry(last).entry.platform
    key = it.key(code)
    alg = "EdDSA" if key.algorithm == "Ed25519" else key.algorithm
    head = base64url.encode(strict_json.canonical({"alg": alg}))
    data = f"{head}.{last.split('.')[1]}"
    text = f"{data}.{base64url.encode(key.sign(data.encode()))}"
    return it.packed([*before, text])


def altered(it: Theft) -> Posted:
    """The platform itself signs another story of its last deed: to somebody else."""
    *before, last = it.newest.chain
    payload: Any = strict_json.loads_object(signed.parse(last).payload)
    told = payload["transactions"][-1]
    told["comments"] = f"another story {it.rng.random()}"
    code = payload["eblPlatform"]
    return it.packed([*before, signed.sign(strict_json.canonical(payload), signer=it.key(code))])


def wrong_hop(it: Theft) -> Posted:
    """The last entry by the key of a platform that is not the one of that entry."""
    *before, last = it.newest.chain
    code = open_entry(last).entry.platform
    wrong = it.rng.choice([one for one in NODES if one != code])
    text = signed.sign(signed.parse(last).payload, signer=it.key(wrong))
    return it.packed([*before, text], by=code)


def cut(it: Theft) -> Posted | None:
    """One entry before the last is missing."""
    texts = list(it.newest.chain)
    if len(texts) < 2:
        return None
    texts.pop(it.rng.randrange(len(texts) - 1))
    return it.packed(texts)


def grafted(it: Theft) -> Posted | None:
    """The last entry of another bill at the end of this one's chain."""
    if it.other is None:
        return None
    return it.packed([*it.newest.chain, read_envelope(it.other).chain[-1]])


def swapped(it: Theft) -> Posted | None:
    """Another bill's last entry in the place of this one's, under this one's manifest."""
    if it.other is None:
        return None
    made = it.newest
    texts = (*made.chain[:-1], read_envelope(it.other).chain[-1])
    body = EblEnvelope(made.document, made.manifest, texts).to_bytes()
    return it.to(made.chain[-1]), body


def stale(it: Theft) -> Posted | None:
    """The newest chain, one entry longer, under the manifest of before."""
    posted = forked(it)
    if posted is None:
        return None
    name, body = posted
    made = read_envelope(body)
    return name, EblEnvelope(made.document, it.newest.manifest, made.chain).to_bytes()


def forked(it: Theft) -> Posted | None:
    """A platform gives on what it does not have any more, or what was never offered there."""
    texts = list(it.newest.chain)
    keep = it.rng.randrange(1, len(texts) + 1)
    texts = texts[:keep]
    last = open_entry(texts[-1]).last
    actor = it.rng.choice([one for one in (last.actor, last.recipient) if one is not None])
    names = [name for name in NODES if name != actor.platform]
    code = it.rng.choice(names)
    parties = {"NHLX": "exp-a", "MDPX": "imp-a", "STPX": "imp-b"}
    recipient = {
        "partyName": parties[code],
        "eblPlatform": code,
        "identifyingCodes": [
            {"codeListProvider": "W3C", "codeListName": "DID", "partyCode": did_of(parties[code])}
        ],
    }
    now = it.world.nodes[CARRIER].clock.now()
    to = read_party(Fields(recipient, "pint_message_malformed"))
    deed = Transaction(Action.TRANSFER, actor, now, to)
    key = it.key(actor.platform)
    return it.packed([*texts, following(texts, actor.platform, [deed]).sign(key)])


def doubled_name(it: Theft) -> Posted:
    """A member of the document twice: whichever a reader takes, it is not what was signed."""
    made = it.newest
    body = made.to_bytes().replace(
        b'"transportDocument":{', b'"transportDocument":{"isToOrder":true,', 1
    )
    return it.to(made.chain[-1]), body


def other_document(it: Theft) -> Posted:
    """The document is changed under the chain."""
    value: Any = orjson.loads(it.bodies[-1])
    value["transportDocument"]["termsAndConditions"] = f"Other terms: {it.rng.random()}"
    return it.to(it.newest.chain[-1]), orjson.dumps(value)


HANDS: tuple[Hand, ...] = (
    replayed, signed_again, altered, wrong_hop, cut, grafted, swapped, stale, forked,
    doubled_name, other_document,
)  # fmt: skip
