"""Short names for the kinds of column: bytes, moments as milliseconds, JSON and words as text.

They belong to this migration alone and stay as they are, whatever the program uses later.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def text(name: str, length: int | None = None, *, null: bool = False) -> sa.Column[Any]:
    """Words of at most `length` characters, or a text without bound."""
    return sa.Column(name, sa.String(length) if length else sa.Text(), nullable=null)


def octets(name: str, length: int | None = None, *, null: bool = False) -> sa.Column[Any]:
    """Bytes; 32 of them are a digest."""
    return sa.Column(name, sa.LargeBinary(length), nullable=null)


def big(name: str, *, null: bool = False) -> sa.Column[Any]:
    """A count, a size, or a moment in milliseconds UTC."""
    return sa.Column(name, sa.BigInteger(), nullable=null, autoincrement=False)


def small(name: str, *, null: bool = False) -> sa.Column[Any]:
    """A count that never grows large."""
    return sa.Column(name, sa.Integer(), nullable=null, autoincrement=False)


def flag(name: str, *, null: bool = False) -> sa.Column[Any]:
    """Yes or no."""
    return sa.Column(name, sa.Boolean(), nullable=null)


def numbered(name: str) -> sa.Column[Any]:
    """A key that the store counts up; SQLite numbers only what is typed exactly INTEGER."""
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, autoincrement=True, nullable=False)


def primary(name: str | None, *columns: str) -> sa.PrimaryKeyConstraint:
    """The primary key."""
    return sa.PrimaryKeyConstraint(*columns, name=name)


def unique(name: str, *columns: str) -> sa.UniqueConstraint:
    """A key that no two rows share."""
    return sa.UniqueConstraint(*columns, name=name)
