"""A listed member that signs whatever it likes, and what came of it."""

from __future__ import annotations

import secrets
from datetime import timedelta

from node.keystore import KeyStore
from protocols.exchange import answer, manifest
from protocols.exchange.frames import Frame
from protocols.exchange.manifest import Manifest
from tests.support.exchange_world import TYPE, applied, did


class Hostile:
    """Signs whatever it likes with the listed exchange key of node `name`."""

    def __init__(self, nodes, name, victim):
        self.did, self.victim = did(name), victim
        self.network = nodes.members.network
        self.signer = KeyStore(nodes.homes[name].keys, self.did).signer("exchange")
        self.now = victim.node.clock.now()

    def made(self, body=b"x", **changes):
        values = {
            "network": self.network,
            "id": manifest.new_id(self.now, secrets.token_bytes(10)),
            "sender": self.did,
            "recipient": self.victim.node.did,
            "type": TYPE,
            "stream": None,
            "seq": None,
            "prev": None,
            "issued_at": self.now,
            "expires": self.now + timedelta(days=1),
            "body": manifest.body_of(body, "text/plain"),
        }
        return Manifest(**(values | changes))

    def frame(self, body=b"x", **changes):
        return Frame(manifest.sign(self.made(body, **changes), self.signer).text, body)

    def chain(self, bodies, stream="UCR-1"):
        prev, made = None, []
        for seq, body in enumerate(bodies, 1):
            signed = manifest.sign(self.made(body, stream=stream, seq=seq, prev=prev), self.signer)
            made.append(Frame(signed.text, body))
            prev = signed.digest
        return made

    async def hand_in(self, *batch):
        return await self.victim.exchange.receive(self.did, list(batch))


def codes(answers):
    return [
        one.code if isinstance(one, answer.Unsigned) else (one.item.code or one.item.state.value)
        for one in answers
    ]


async def has_applied(party, total):
    return await party.count(applied) == total
