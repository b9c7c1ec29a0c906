"""1 000 documents while sender and receiver are killed with SIGKILL ten times each.

Real processes, started by exec. Round *i* submits 100 documents (ten for each of ten consignments);
in the middle of it both nodes are killed. At the end every document has arrived exactly once, in
order per consignment, and the receipts on both sides are the same.
"""

from __future__ import annotations

import base64
import json
import random
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from sqlalchemy import create_engine, select

from ledger.tables import leaves
from node.documents.tables import documents
from node.exchange.tables import inbox, outbox, receipts_issued, receipts_received
from node.home import Home
from node.operator import OperatorClient, running
from node.store.events import events
from protocols.exchange import receipt
from schemas.errors import ConflictError, UnavailableError
from schemas.registry import example
from tests.support.network import Member, did_of, make_network
from tests.support.process import ROOT, command, wait_until_up

ROUNDS = 10
CONSIGNMENTS = 10
PER_ROUND = 10
TOTAL = ROUNDS * CONSIGNMENTS * PER_ROUND
EXCHANGE = {"retry_base": 0.05, "retry_cap": 0.5, "poll_interval": 0.5, "batch_items": 20}


@dataclass
class Killable:
    """A node that is killed and started again; `client` waits until it answers."""

    home: Home
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        with (self.home.path / "stderr.log").open("ab") as log:
            self.process = subprocess.Popen(
                command("node", "run", "--home", self.home.path),
                cwd=ROOT,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"},
                stdout=log,
                stderr=log,
            )
        wait_until_up(self.home, self.process)

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.poll() is None, (self.home.path / "stderr.log").read_text()[-3000:]
        self.process.kill()
        self.process.wait(60)
        self.kills += 1

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def ask(self, call):
        """`call(client)`, again and again while the node is down or was cut off."""
        until = time.monotonic() + 180
        while True:
            try:
                client = running(self.home)
                if client is not None:
                    return call(OperatorClient(client.url, client._token, deadline=30))
            except (UnavailableError, ConflictError, FileNotFoundError):
                if time.monotonic() > until:
                    raise
            assert time.monotonic() < until, "the node never answered"
            time.sleep(0.02)


def consignment(number: int) -> str:
    return f"6CN91370784MA0DEMQ00FA26{number:04d}"


def payload(lane: int, number: int) -> bytes:
    document = json.loads(example("packing-list"))
    document |= {"number": f"PL-{lane}-{number}", "consignment": consignment(lane)}
    return json.dumps(document).encode()


class Story:
    """Rounds of submissions, with a kill of both nodes inside each."""

    def __init__(self, sender: Killable, receiver: Killable) -> None:
        self.nodes = (sender, receiver)
        self.sender = sender
        self.digests: dict[int, list[str]] = {lane: [] for lane in range(CONSIGNMENTS)}
        self.random = random.Random(7)

    def play(self) -> None:
        with ThreadPoolExecutor(CONSIGNMENTS + 2) as pool:
            for number in range(ROUNDS):
                work = [pool.submit(self.submit, lane, number) for lane in range(CONSIGNMENTS)]
                pauses = [self.random.uniform(0.05, 0.6) for _ in self.nodes]
                work += [
                    pool.submit(self.strike, node, pause)
                    for node, pause in zip(self.nodes, pauses, strict=True)
                ]
                for one in work:
                    one.result(270)

    def strike(self, node: Killable, pause: float) -> None:
        time.sleep(pause)
        node.kill()
        node.start()

    def submit(self, lane: int, round_: int) -> None:
        for number in range(round_ * PER_ROUND, (round_ + 1) * PER_ROUND):
            self.digests[lane].append(self.submit_one(lane, number))

    def submit_one(self, lane: int, number: int) -> str:
        """Issues and sends; both may be asked again after a crash without doing it twice."""
        order = {
            "type": "packing-list",
            "consignment": consignment(lane),
            "payload": base64.b64encode(payload(lane, number)).decode(),
        }
        digest = self.sender.ask(lambda client: client.post("/v1/documents", order))["digest"]
        path, to = f"/v1/documents/{digest}/send", {"to": [did_of("receiver")]}
        self.sender.ask(lambda client: client.post(path, to))
        return digest


def rows(home: Home, query):
    engine = create_engine(f"sqlite:///file:{home.database}?mode=ro&uri=true")
    try:
        with engine.connect() as connection:
            return connection.execute(query).all()
    finally:
        engine.dispose()


def settled(node: Killable, table, states) -> bool:
    query = select(table.c.state).where(table.c.type.startswith("urn:pratique:document:"))
    found = [row.state for row in rows(node.home, query)]
    return len(found) == TOTAL and set(found) <= states


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    settings = {"exchange": EXCHANGE, "telemetry": {"log_level": "warning"}}
    made = make_network(
        tmp_path_factory.mktemp("kill"),
        {
            "sender": Member(roles=("issuer", "carrier", "port"), settings=settings),
            "receiver": Member(roles=("customs",), country="NL", settings=settings),
        },
    )
    nodes = {name: Killable(made.homes[name]) for name in ("sender", "receiver")}
    with ExitStack() as stack:
        for node in nodes.values():
            stack.callback(node.stop)
            node.start()
        story = Story(nodes["sender"], nodes["receiver"])
        began = time.monotonic()
        story.play()
        submitted = time.monotonic() - began
        until = time.monotonic() + 180
        while not (
            settled(nodes["sender"], outbox, {"receipted"})
            and settled(nodes["receiver"], inbox, {"delivered", "refused"})
        ):
            assert time.monotonic() < until, "not everything arrived"
            time.sleep(0.2)
        took = time.monotonic() - began
        sys.stderr.write(f"{TOTAL} documents, 20 kills: {took:.1f} s ({submitted:.1f} to submit)\n")
    return made, nodes, story


def received(played):
    made, nodes, _ = played
    query = select(inbox).where(inbox.c.peer == made.did("sender")).order_by(inbox.c.n)
    return [
        row
        for row in rows(nodes["receiver"].home, query)
        if row.type.startswith("urn:pratique:document:")
    ]


def test_both_nodes_were_killed_ten_times(played):
    _, nodes, _ = played
    assert [node.kills for node in nodes.values()] == [ROUNDS, ROUNDS]


def test_every_document_arrived_exactly_once_and_in_order_per_consignment(played):
    _, _, story = played
    found = received(played)
    assert len({row.id for row in found}) == len(found) == TOTAL
    for lane in range(CONSIGNMENTS):
        mine = sorted((r for r in found if r.stream == consignment(lane)), key=lambda r: r.seq)
        assert [row.seq for row in mine] == list(range(1, ROUNDS * PER_ROUND + 1))
        assert [bytes(row.document).hex() for row in mine] == story.digests[lane]


def test_every_document_was_applied_exactly_once_and_in_order(played):
    made, nodes, story = played
    home = nodes["receiver"].home
    kept = rows(home, select(documents.c.digest).where(documents.c.origin == "received"))
    assert len(kept) == TOTAL
    assert {row.state for row in received(played)} == {"delivered"}
    verdicts = rows(
        home,
        select(events.c.document, events.c.consignment, events.c.kind)
        .where(events.c.kind.in_(("validated", "quarantined", "refused")))
        .where(events.c.actor == made.did("sender"))
        .order_by(events.c.number),
    )
    # One whose status could not be asked, because its issuer was just killed, is judged again.
    assert len({(row.document, row.kind) for row in verdicts}) == len(verdicts)
    for lane in range(CONSIGNMENTS):
        mine = [bytes(r.document).hex() for r in verdicts if r.consignment == consignment(lane)]
        assert list(dict.fromkeys(mine)) == story.digests[lane]


def test_receipts_on_both_sides_are_the_same_and_chained(played):
    made, nodes, _ = played
    got = {row.id: row for row in received(played)}
    sent = rows(
        nodes["sender"].home,
        select(outbox).where(outbox.c.type.startswith("urn:pratique:document:")),
    )
    assert {row.id for row in sent} == set(got)
    for row in sent:
        mine = got[row.id]
        assert (row.digest, row.item, row.receipt_seq, row.item_index, row.body) == (
            mine.digest,
            mine.item,
            mine.receipt_seq,
            mine.item_index,
            mine.body,
        )
    held = rows(nodes["sender"].home, select(receipts_received).order_by("seq"))
    issued = rows(
        nodes["receiver"].home,
        select(receipts_issued).where(receipts_issued.c.peer == made.did("sender")).order_by("seq"),
    )
    assert [row.receipt for row in held] == [row.receipt for row in issued]
    chain = [receipt.read(row.receipt) for row in held]
    assert receipt.links(None, chain[0])
    receipt.verify_chain(chain)
    for one in chain:
        receipt.verify(
            one,
            network=made.members.network,
            receiver=made.did("receiver"),
            sender=made.did("sender"),
            key=made.members.key,
        )


def test_r8_every_stored_message_has_its_leaf_in_the_log(played):
    _, nodes, _ = played
    logged = {
        bytes(row.leaf_hash) for row in rows(nodes["receiver"].home, select(leaves.c.leaf_hash))
    }
    assert {bytes(row.leaf) for row in received(played)} <= logged
