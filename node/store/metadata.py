"""The one SQLAlchemy MetaData of the node's tables.

Conventions: bytes are LargeBinary, moments BigInteger milliseconds UTC, JSON is Text holding
canonical JSON. Every constraint has a predictable name, so that migrations can find it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer, MetaData

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite gives a rowid alias, hence automatic numbers, only to a column typed exactly INTEGER.
AutoInteger = BigInteger().with_variant(Integer, "sqlite")
