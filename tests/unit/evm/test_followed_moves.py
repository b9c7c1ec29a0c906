"""What was read of a chain after its signed end is forgotten, and nothing else (R21)."""

from __future__ import annotations

from sqlalchemy import create_engine

from ledger import evm_title
from ledger.evm_tables import metadata
from ledger.evm_title import Move

ARBITER, OTHER = b"a" * 32, b"b" * 32
MOVED, LATE = b"m" * 32, b"l" * 32


def move(title: bytes, seq: int, block: int) -> Move:
    digest = bytes([seq]) + title[1:]
    return Move(title, seq, digest, block, bytes([block]) * 32, bytes([block]) * 32, 0)


def test_r21_moves_of_later_blocks_are_forgotten_and_titles_learned_anew() -> None:
    with create_engine("sqlite://").connect() as conn:
        metadata.create_all(conn)
        found = [move(MOVED, 1, 5), move(MOVED, 2, 7), move(LATE, 1, 8)]
        for arbiter in (ARBITER, OTHER):
            evm_title.put_moves(conn, arbiter, found)
            evm_title.follow(conn, arbiter, 9, 1)
            evm_title.learned(conn, arbiter, MOVED, 2)
        evm_title.forget_after(conn, ARBITER, 6)
        assert evm_title.newest_seqs(conn, ARBITER) == {MOVED: 1}
        assert evm_title.behind(conn, ARBITER, [MOVED, LATE], 9) == [MOVED]
        assert evm_title.followed_to(conn, ARBITER) == (6, 1)
        # Where nothing ended, nothing is forgotten.
        assert evm_title.newest_seqs(conn, OTHER) == {MOVED: 2, LATE: 1}
        assert evm_title.behind(conn, OTHER, [MOVED, LATE], 9) == [LATE]
        evm_title.forget_after(conn, OTHER, 9)
        assert evm_title.followed_to(conn, OTHER) == (9, 1)
        assert evm_title.newest_seqs(conn, OTHER) == {MOVED: 2, LATE: 1}
