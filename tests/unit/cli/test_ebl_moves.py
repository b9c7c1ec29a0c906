"""Bills moved in bulk: what could not be asked is open, not refused (R13)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from node.cli import ebl, output
from schemas.errors import RefusedError, TradeError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Client:
    """Answers each bill with its own error; nothing is asked about what the node never took."""

    def __init__(self, errors: Mapping[str, TradeError]) -> None:
        self._errors = errors

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        del body
        raise self._errors[path.split("/")[4]]


def test_r13_a_bill_whose_arbiter_is_out_of_reach_is_not_called_refused() -> None:
    client = Client(
        {
            "AWAY": UnavailableError("registry_awaiting_witnesses", "three of four are away"),
            "NEVER": RefusedError("title_bad_recipient", "it is the carrier"),
        }
    )
    moves = [ebl._order(client, bill, {}, alone=False) for bill in ("AWAY", "NEVER")]
    assert [one["outcome"] for one in moves] == ["pending", "refused"]
    assert all(one["message"]["en"] != one["message"]["zh"] for one in moves)
    ebl._until_decided(client, moves, 5.0, lambda _: None)
    assert ebl._exit_code(moves) is output.ExitCode.REFUSED
    assert ebl._exit_code(moves[:1]) is output.ExitCode.UNREACHABLE
