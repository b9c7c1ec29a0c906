"""The demo with one guarantee broken in the code.

``python -m tests.support.broken GUARANTEE [options of pratique demo]`` replaces one function before
the warm parent is forked, so that every node of the test network lacks that guarantee, and then
plays the story. The demo must notice: an expectation fails and the exit code is not 0.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def nothing() -> None:
    """Breaks nothing: the control."""


def receipt_check() -> None:
    """A sender takes any receipt for genuine."""
    from protocols.exchange import receipt

    receipt.verify = lambda *_, **__: None
    receipt.verify_item = lambda *_, **__: None


def second_transfer() -> None:
    """The state machine forgets compare-and-swap: an offer from an old head goes through."""
    from protocols.title import machine as title

    honest = title._move

    def careless(state: Any, operation: Any, at: Any) -> Any:
        if state is not None and operation.seq < state.seq:
            live = {"state": title.State.LIVE, "offer": None}
            state = replace(state, seq=operation.seq, possessor=operation.sender, **live)
        return honest(state, operation, at)

    title._move = careless


def revocation() -> None:
    """A relying node drops the push, and does not care what the list says."""
    from node.documents.revoking import RevocationHandler
    from protocols.credentials import status_list
    from protocols.credentials.status_list import Status

    status_list.check = lambda *_, **__: Status.VALID
    RevocationHandler.apply = lambda *_: None


def witness_quorum() -> None:
    """Any number of cosignatures is a quorum, even none."""
    from protocols.log.policy import Policy

    Policy.satisfied = lambda *_, **__: True


def order() -> None:
    """What waited during the outage is applied in the wrong order."""
    from node.exchange import delivery_rows

    honest = delivery_rows.chunk
    delivery_rows.chunk = lambda *given, **named: honest(*given, **named)[::-1]


def receipt_order() -> None:
    """A receiving platform says RECE first and accepts at the arbiter afterwards (PINT, R20)."""
    import asyncio

    from node.pint.receiving import Receiving

    honest, later = Receiving._take, set()

    async def take(self: Receiving, looked: Any, body: bytes) -> None:
        if not looked.judgement.moves_possession:
            await honest(self, looked, body)
            return

        async def accept() -> None:
            await asyncio.sleep(0.5)
            await self.acceptance.take(looked.judgement, looked.account)

        task = asyncio.create_task(accept())
        later.add(task)
        task.add_done_callback(later.discard)

    Receiving._take = take


BROKEN: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        nothing,
        receipt_check,
        second_transfer,
        revocation,
        witness_quorum,
        order,
        receipt_order,
    )
}


def main() -> None:
    """Breaks it and plays."""
    guarantee, *options = sys.argv[1:]
    BROKEN[guarantee]()
    from node.cli.main import main as pratique

    sys.argv = ["pratique", "demo", *options]
    pratique()


if __name__ == "__main__":
    main()
