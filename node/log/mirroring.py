"""Handing our own entries to the mirrors: every witness of the log stores it (C2SP tlog-mirror).

From time to time, and not with every checkpoint: a mirror is for the day when this node has lost
its store, and what partners hold then is what can be recovered.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ledger import checkpoints, log
from node.log import partners
from protocols.log import cosignature, merkle_subtree, mirror_protocol, note
from protocols.log.mirror_protocol import MirrorInfo, Upload, parse_info
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from ledger.publisher import LogPublisher
    from node.runtime import Node
    from protocols.log.policy import Policy, Witness

DEADLINE = 30.0
MAX_REQUESTS = 64
"""Requests to one mirror in a turn; a long log takes several turns."""
MAX_BYTES = 8 * 1024 * 1024


@dataclass(slots=True)
class MirrorLink:
    """What is known of one mirror: the next entry it wants, the size it has signed, its trouble."""

    next_entry: int = 0
    size: int = 0
    error: str = ""


@dataclass(slots=True)
class Mirroring:
    """Runs for one log under one policy."""

    node: Node
    publisher: LogPublisher
    policy: Policy
    links: dict[str, MirrorLink] = field(default_factory=dict)

    async def run(self, interval: float) -> None:
        """Hand over what is new, every `interval` seconds, for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.turn()

    async def turn(self) -> None:
        """Hand over to every mirror once."""
        voters = self.policy.voters(self.publisher.identity.origin)
        await asyncio.gather(*(self._serve(item) for item in voters))

    def standing(self) -> list[dict[str, object]]:
        """For people: each mirror, the size it has signed, and what is wrong with it."""
        rows = sorted(self.links.items())
        return [{"name": n, "size": link.size, "error": link.error or None} for n, link in rows]

    async def _serve(self, witness: Witness) -> None:
        link = self.links.setdefault(witness.key.name, MirrorLink())
        try:
            await self._push(witness, link)
            link.error = ""
        except TradeError as error:
            link.error = error.code
            self.node.telemetry.log.warning(
                "log.mirror_failed", mirror=witness.key.name, code=error.code
            )

    async def _push(self, witness: Witness, link: MirrorLink) -> None:
        """Upload up to the last checkpoint that the witness has cosigned."""
        cosigned = await self.node.store.read(
            checkpoints.cosigned_sizes, log=self.publisher.identity.log
        )
        end, ticket = cosigned.get(witness.key.key_id, 0), b""
        for _ in range(MAX_REQUESTS):
            if end <= link.size:
                return
            start = min(link.next_entry, end)
            told = await self._upload(witness, Upload(self._origin, start, end, ticket))
            if told is None:
                link.size, link.next_entry = end, max(link.next_entry, end)
                return
            link.next_entry, end, ticket = told.next_entry, told.size, told.ticket
            if max(end, told.next_entry) > self.publisher.tree.size:
                raise RefusedError("mirror_ahead", "the mirror says it has more than there is")

    @property
    def _origin(self) -> str:
        return self.publisher.identity.origin

    async def _upload(self, witness: Witness, upload: Upload) -> MirrorInfo | None:
        """One request; None when the mirror has everything, else where it stands."""
        body = await self._body(upload)
        answer = await partners.ask_mirror(self.node, witness, body, deadline=DEADLINE)
        if answer.status in (202, 409):
            return parse_info(answer.body)
        if answer.status != 200:
            raise UnavailableError("peer_unreachable", f"the mirror answered {answer.status}")
        await self._keep(upload.end, answer.body)
        return None

    async def _body(self, upload: Upload) -> bytes:
        tree, parts, total = self.publisher.tree, [upload.to_bytes()], 0
        for number, package in enumerate(upload.packages()):
            if number == mirror_protocol.MAX_PACKAGES or total > MAX_BYTES:
                break
            stored = await self.node.store.read(
                log.read, package.start, package.end, log=self.publisher.identity.log
            )
            proof = merkle_subtree.consistency_proof(
                package.low, package.end, upload.end, tree.hash_at
            )
            parts.append(package.to_bytes([leaf.entry for leaf in stored], proof))
            total += len(parts[-1])
        return b"".join(parts)

    async def _keep(self, size: int, body: bytes) -> None:
        """Keep the mirror's line when the policy knows its key."""
        name = self.publisher.identity.log
        stored = await self.node.store.read(checkpoints.at_size, size, log=name)
        if stored is None or stored.note is None:
            return
        text, lines = note.parse(stored.note).text, []
        for line in note.parse_signature_lines(body.decode("utf-8", "replace")):
            known = self.policy.witness_of(line)
            if known is not None:
                lines.append((line, cosignature.verify(text, line, known.key)))
        if lines:
            await self.node.store.write(checkpoints.add_cosignatures, size, lines, log=name)
