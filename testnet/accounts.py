"""An auditor's second opinion on the whole network, after the story.

It reads every node's store as it lies on the disk and judges it with the primitives alone: SHA-256,
P-256, Ed25519. None of the code that made or checked these records is used, so a check dropped
there is found here. Formats: our receipts (docs/protocol.md), RFC 6962 trees, C2SP signed notes and
cosignatures (cosignature/v1).
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from testnet import anchor_accounts
from testnet.world import did

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testnet.anchor_accounts import Anchored
    from testnet.world import World

HASH: Final = 32
CHECKPOINTS_PER_LOG: Final = 2000


@dataclass(slots=True)
class Accounts:
    """What the stores add up to. Each list names what is wrong, and is empty when nothing is."""

    documents: int = 0
    messages: int = 0
    receipts: int = 0
    witnessed: int = 0
    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    bad_receipts: list[str] = field(default_factory=list)
    bad_witnessed: list[str] = field(default_factory=list)
    anchors: list[Anchored] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "documents": self.documents,
            "messages": self.messages,
            "receipts": self.receipts,
            "witnessedCheckpoints": self.witnessed,
            "lost": self.lost,
            "deliveredTwice": self.twice,
            "outOfOrder": self.disordered,
            "badReceipts": self.bad_receipts,
            "badlyWitnessed": self.bad_witnessed,
            "anchors": [anchor.to_json() for anchor in self.anchors],
        }


def take(world: World) -> Accounts:
    """Reads all stores; the nodes may be running."""
    accounts = Accounts()
    books = {name: _read(world, name) for name in world.actors}
    lists = json.loads(world.members_file.read_bytes())["lists"]
    members = json.loads(_unpadded(lists[-1]))
    keys = {key["kid"]: key["jwk"] for node in members["nodes"] for key in node["keys"]}
    policies = {log["did"]: _Policy(log["policy"]) for log in members["logs"]}
    for name, book in books.items():
        accounts.documents += book.issued
        _count_messages(accounts, name, book, books, keys)
        _order(accounts, name, book)
        _count_witnessed(accounts, name, book, policies[did(name)])
        accounts.anchors += anchor_accounts.take(
            name, book.anchors, book.roots, world.chain.anchors
        )
    return accounts


def _unpadded(signed: Mapping[str, Any]) -> bytes:
    return decode(signed["payload"])


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class _Book:
    """One node's store: rows as mappings."""

    issued: int
    sent: Sequence[sqlite3.Row]
    received: Sequence[sqlite3.Row]
    applied: Mapping[str, int]
    checkpoints: Sequence[sqlite3.Row]
    cosignatures: Mapping[int, list[str]]
    anchors: Sequence[sqlite3.Row]
    roots: Mapping[int, bytes]


def _read(world: World, name: str) -> _Book:
    path = world.actors[name].home.database
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        cosignatures = defaultdict(list)
        for row in store.execute("SELECT size, line FROM log_cosignatures WHERE log = 'node'"):
            cosignatures[int(row["size"])].append(str(row["line"]))
        return _Book(
            issued=store.execute("SELECT count(*) FROM events WHERE kind = 'issued'").fetchone()[0],
            sent=store.execute(
                "SELECT o.*, r.receipt FROM exchange_outbox o LEFT JOIN exchange_receipts_received"
                " r ON r.peer = o.peer AND r.seq = o.receipt_seq"
            ).fetchall(),
            received=store.execute("SELECT * FROM exchange_inbox ORDER BY n").fetchall(),
            applied={
                row["document"].hex(): row["number"]
                for row in store.execute(
                    "SELECT document, min(number) AS number FROM events WHERE document IS NOT NULL"
                    " AND kind IN ('validated', 'quarantined', 'refused') GROUP BY document"
                )
            },
            checkpoints=store.execute(
                "SELECT size, note FROM log_checkpoints WHERE log = 'node' AND note IS NOT NULL"
                " AND witnessed_at IS NOT NULL ORDER BY size LIMIT ?",
                (CHECKPOINTS_PER_LOG,),
            ).fetchall(),
            cosignatures=cosignatures,
            anchors=store.execute(
                "SELECT * FROM log_anchors WHERE log = 'node' AND state = 'final' ORDER BY size"
            ).fetchall(),
            roots={
                row["size"]: base64.b64decode(row["note"].split("\n")[2])
                for row in store.execute(
                    "SELECT size, note FROM log_checkpoints WHERE log = 'node' AND note IS NOT NULL"
                )
            },
        )


def _count_messages(
    accounts: Accounts,
    name: str,
    book: _Book,
    books: Mapping[str, _Book],
    keys: Mapping[str, Mapping[str, str]],
) -> None:
    for row in book.sent:
        receiver = row["peer"].removeprefix("did:web:").removesuffix(".example")
        there = [item for item in books[receiver].received if item["digest"] == row["digest"]]
        label = f"{name} → {receiver} {row['type']} {row['id']}"
        accounts.messages += len(there) == 1
        if not there or there[0]["state"] in {"held", "ready"} or row["state"] != "receipted":
            accounts.lost.append(f"{label}: {row['state']}")
        elif len(there) > 1:
            accounts.twice.append(label)
        if _receipt_stands(row, keys, did(receiver)):
            accounts.receipts += 1
        else:
            accounts.bad_receipts.append(label)


def _receipt_stands(row: sqlite3.Row, keys: Mapping[str, Mapping[str, str]], by: str) -> bool:
    """The receiver signed a tree in which the item is, and the item names these very bytes."""
    if row["receipt"] is None or row["item"] is None:
        return False
    head, payload, signature = row["receipt"].split(".")
    kid = json.loads(decode(head))["kid"]
    if not kid.startswith(by + "#exchange-") or kid not in keys:
        return False
    body, item = json.loads(decode(payload)), json.loads(row["item"])
    manifest = hashlib.sha256(decode(row["manifest"].split(".")[1])).hexdigest()
    path = [row["path"][at : at + HASH] for at in range(0, len(row["path"]), HASH)]
    root = _root_from(row["item"].encode(), row["item_index"], body["count"], path)
    return (
        item["digest"] == manifest == row["digest"].hex()
        and item["id"] == row["id"]
        and root == body["root"]
        and p256_signed(keys[kid], f"{head}.{payload}".encode(), decode(signature))
    )


def p256_signed(jwk: Mapping[str, str], data: bytes, signature: bytes) -> bool:
    x, y = (int.from_bytes(decode(jwk[name]), "big") for name in ("x", "y"))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    halves = (int.from_bytes(signature[:HASH], "big"), int.from_bytes(signature[HASH:], "big"))
    try:
        key.verify(utils.encode_dss_signature(*halves), data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _root_from(entry: bytes, index: int, count: int, path: Sequence[bytes]) -> str:
    """RFC 9162 §2.1.3.2: the root that the path leads to, in hexadecimal; "" when it cannot."""
    node, last = hashlib.sha256(b"\0" + entry).digest(), count - 1
    for sibling in path:
        if last == 0:
            return ""
        if index & 1 or index == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        index, last = index >> 1, last >> 1
    return node.hex() if last == 0 else ""


def _order(accounts: Accounts, name: str, book: _Book) -> None:
    """Within one stream, documents reached the application in the order they were sent."""
    streams: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for row in book.received:
        if row["stream"] is not None and row["document"] is not None:
            applied = book.applied.get(row["document"].hex())
            if applied is not None:
                streams[row["peer"], row["stream"]].append((row["seq"], applied))
    for (peer, stream), pairs in streams.items():
        applied_in_order = [applied for _, applied in sorted(pairs)]
        if applied_in_order != sorted(applied_in_order):
            accounts.disordered.append(f"{peer} → {name} {stream}")


class _Policy:
    """Who must have cosigned a log: read from the tlog-policy text, one group of witnesses."""

    def __init__(self, text: str) -> None:
        self.keys: dict[str, tuple[bytes, VerifyKey]] = {}
        self.quorum = 0
        for words in (line.split() for line in text.splitlines()):
            if words[:1] == ["witness"]:
                name, _, data = words[2].split("+", 2)
                raw = base64.b64decode(data)
                key_id = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
                self.keys[name] = (key_id, VerifyKey(raw[1:]))
            elif words[:1] == ["group"]:
                self.quorum = int(words[2])

    def satisfied(self, body: str, lines: Sequence[str]) -> bool:
        """Whether enough different witnesses cosigned this checkpoint text."""
        return 0 < self.quorum <= len({name for line in lines if (name := self._by(body, line))})

    def _by(self, body: str, line: str) -> str | None:
        _, name, data = line.strip().split(" ")
        raw = base64.b64decode(data)
        known = self.keys.get(name)
        if known is None or known[0] != raw[:4]:
            return None
        time = int.from_bytes(raw[4:12], "big")
        message = f"cosignature/v1\ntime {time}\n{body}".encode()
        try:
            known[1].verify(message, raw[12:])
        except BadSignatureError:
            return None
        return name


def _count_witnessed(accounts: Accounts, name: str, book: _Book, policy: _Policy) -> None:
    for row in book.checkpoints:
        body = row["note"].split("\n\n")[0] + "\n"
        if policy.satisfied(body, book.cosignatures.get(int(row["size"]), [])):
            accounts.witnessed += 1
        else:
            accounts.bad_witnessed.append(f"{name} at size {row['size']}")
