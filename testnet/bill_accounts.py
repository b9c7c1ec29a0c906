"""An auditor's second opinion on a bill that moved across platforms, from their stores alone.

PINT 3.0.0 is judged with SHA-256 and P-256 only, as `testnet.accounts` judges the rest: every chain
entry is signed by a listed key of the platform it names and names the text before it; both
platforms keep the same bytes; every RECE that a sender keeps is its receiver's signature over the
very entry that was sent; and in the two stores the order of R20 can be read: the offer was final,
then the envelope was there, then the acceptance was final, then RECE was. It is one clock: all
nodes of the demo run on one machine.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from testnet.accounts import decode, p256_signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testnet.world import World

PREVIOUS: Final = "previousEnvelopeTransferChainEntrySignedContentChecksum"
LAST: Final = "lastEnvelopeTransferChainEntrySignedContentChecksum"
_ENDINGS: Final = {
    "SURRENDER_FOR_DELIVERY": "SURRENDER_FOR_DELIVERY",
    "SACC": "ACCEPT_SURRENDER",
}


@dataclass(slots=True)
class BillAccounts:
    """What the platforms' stores add up to. Each list names what is wrong, empty when nothing is.

    actions: the transactions of the chain, each with the platform that signed it
    """

    reference: str = ""
    entries: int = 0
    receipts: int = 0
    actions: list[tuple[str, str]] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)
    bad_entries: list[str] = field(default_factory=list)
    bad_receipts: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "transportDocumentReference": self.reference,
            "chainEntries": self.entries,
            "signedReceipts": self.receipts,
            "transactions": [f"{action} ({platform})" for platform, action in self.actions],
            "differingTexts": self.differing,
            "badEntries": self.bad_entries,
            "badReceipts": self.bad_receipts,
            "outOfOrder": self.disordered,
        }


@dataclass(frozen=True, slots=True)
class _Platform:
    """One platform's store, as far as the bill is concerned."""

    code: str
    texts: tuple[str, ...]
    outgoing: Sequence[sqlite3.Row]
    incoming: Sequence[sqlite3.Row]
    operations: Sequence[Mapping[str, Any]]


def take(world: World, reference: str, nodes: Sequence[str]) -> BillAccounts:
    """Reads the stores of these platforms; the nodes may be running."""
    accounts = BillAccounts(reference)
    lists = json.loads(world.members_file.read_bytes())["lists"]
    listed = json.loads(decode(lists[-1]["payload"]))["nodes"]
    keys = {
        key["kid"]: (node.get("platform"), key["jwk"]) for node in listed for key in node["keys"]
    }
    books = [_read(world, name, reference) for name in nodes]
    chain = max((book.texts for book in books), key=len)
    accounts.differing = [book.code for book in books if book.texts != chain]
    _chain(accounts, chain, keys)
    senders = {book.code: book for book in books}
    for book in books:
        _receipts(accounts, book, keys)
        _order(accounts, book, senders, chain)
    return accounts


def _read(world: World, name: str, reference: str) -> _Platform:
    actor = world.actors[name]
    with closing(sqlite3.connect(f"file:{actor.home.database}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        bill = store.execute(
            "SELECT document, title FROM pint_bills WHERE reference = ?", (reference,)
        ).fetchone() or {"document": None, "title": None}
        of_bill = (bill["document"],)
        texts = store.execute(
            "SELECT text FROM pint_entries WHERE document = ? ORDER BY chain, place", of_bill
        )
        history = store.execute(
            "SELECT text, at FROM title_history WHERE title = ? ORDER BY seq", (bill["title"],)
        )
        return _Platform(
            str(actor.entry["platform"]),
            tuple(row["text"] for row in texts),
            store.execute("SELECT * FROM pint_outgoing WHERE document = ?", of_bill).fetchall(),
            store.execute("SELECT * FROM pint_transfers WHERE document = ?", of_bill).fetchall(),
            [_opened(row["text"])[1] | {"at": row["at"]} for row in history],
        )


def _opened(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    head, payload, _ = token.split(".")
    return json.loads(decode(head)), json.loads(decode(payload))


#: Key id → platform code of its node, public key as JWK.
_Keys: TypeAlias = "Mapping[str, tuple[str | None, Mapping[str, str]]]"


def _signed_by(token: str, platform: str, keys: _Keys) -> bool:
    """Whether a key that the list gives to that platform's node signed this compact JWS."""
    head, payload, signature = token.split(".")
    kid = str(json.loads(decode(head)).get("kid"))
    listed, jwk = keys.get(kid, (None, {}))
    signed = f"{head}.{payload}".encode()
    return (
        listed == platform and "#platform-" in kid and p256_signed(jwk, signed, decode(signature))
    )


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _chain(accounts: BillAccounts, texts: Sequence[str], keys: _Keys) -> None:
    before: str | None = None
    for place, text in enumerate(texts):
        entry = _opened(text)[1]
        platform = entry["eblPlatform"]
        if not _signed_by(text, platform, keys):
            accounts.bad_entries.append(f"{place}: not signed by {platform}")
        if entry.get(PREVIOUS) != before:
            accounts.bad_entries.append(f"{place}: names another text before it")
        before = _checksum(text)
        accounts.actions += [(platform, one["actionCode"]) for one in entry["transactions"]]
    accounts.entries = len(texts)


def _receipts(accounts: BillAccounts, book: _Platform, keys: _Keys) -> None:
    """Whatever left this platform for another was answered RECE, and that is kept."""
    for row in book.outgoing:
        if not row["platform"] or row["state"] in {"refused", "cancelled"}:
            continue
        accounts.receipts += 1
        said = _opened(row["answer"])[1] if row["answer"] else {}
        fits = said.get("responseCode") == "RECE" and said.get(LAST) == _checksum(row["text"])
        if not fits or not _signed_by(row["answer"], row["platform"], keys):
            accounts.bad_receipts.append(f"{book.code} → {row['platform']}: {row['state']} {said}")


def _order(
    accounts: BillAccounts,
    book: _Platform,
    senders: Mapping[str, _Platform],
    chain: Sequence[str],
) -> None:
    """R20 by the platforms' own times: offer, envelope, acceptance, RECE."""
    by_checksum = {_checksum(text): _opened(text)[1] for text in chain}
    for row in book.incoming:
        entry = by_checksum.get(row["last"].hex())
        if entry is None or row["state"] != "received":
            accounts.disordered.append(f"{book.code}: {row['state']}, not in the chain")
            continue
        action = entry["transactions"][-1]["actionCode"]
        steps = _steps(senders[row["platform"]], book, row, action)
        if None in steps or any(later < one for one, later in itertools.pairwise(steps)):
            accounts.disordered.append(f"{book.code}: {action} {steps}")


def _steps(sender: _Platform, receiver: _Platform, row: sqlite3.Row, action: str) -> list[Any]:
    """The moments (ms UTC) that must follow each other; None for what never was.

    What was done is final for its sender, then its envelope is with the receiver, then it is final
    for the receiver too, then RECE is kept there.
    """
    begun, ended = row["created_at"], row["updated_at"]
    if action != "TRANSFER":
        kind = _ENDINGS.get(action, action)
        # A notice is known from the arbiter before or after its envelope comes.
        return [_final(sender, kind), max(begun, _final(receiver, kind) or ended + 1), ended]
    entry = row["entry"].hex()
    offered, taken = _final(sender, "OFFER", entry), _final(receiver, "ACCEPT_OFFER", entry)
    return [offered, begun, taken, ended]


def _final(book: _Platform, kind: str, entry: str = "") -> int | None:
    found = (one for one in book.operations if one["kind"] == kind)
    return next((one["at"] for one in found if entry in ("", one["entry"])), None)
